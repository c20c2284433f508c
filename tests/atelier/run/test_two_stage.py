"""A run of codes as it is used: the data of its parent, and the classes that it was trained on."""

from support import assembled

from atelier.core.code_space import code_space
from atelier.evaluation.examples.known_classes import classes_of
from atelier.run.experiment import Parent
from atelier.run.parent_copy import FOLDER
from atelier.run.two_stage import stages_of, used


def run_of_codes(vae, **data):
    """The debug VAE as a run of the codes of another one; `data` are config fields."""
    run = assembled(vae.folder / 'child', 'vae', **data)
    space = code_space(vae.family, 'auto', 'RUN')
    return run._replace(parent=Parent(vae, '0' * 64, 1, space))


def test_the_classes_are_those_of_the_child(vae):
    """It may leave out classes that the parent has, and have another rule for the others."""
    run = used(run_of_codes(vae, data__without_classes=(3,)))
    assert classes_of(run) == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    declared = used(run_of_codes(vae, data__without_classes=(3,), data__classes='declared'))
    assert classes_of(declared) == tuple(range(10))


def test_the_config_is_the_childs_with_the_data_of_the_parent(vae):
    """Its own rule for classes stays, and training on validation examples by either is told."""
    child = run_of_codes(vae, data__classes='declared', data__without_classes=(3,), seed=7)
    run = used(child)
    assert run.config.data.name == 'digits'
    assert run.config.data.classes == 'declared'
    assert run.config.data.without_classes == ()  # those of the parent: its data are read by it
    assert run.config.seed == 7
    assert run.config.is_locked
    assert not run.config.data.train_on_valid
    assert run.data.name == vae.data.name
    assert vae.config.data.classes == 'trained'  # the parent's config is left as it is
    for trained_on in (child, child.parent.run):
        config = trained_on.config.copy_and_resolve_references().unlock()
        config.data.train_on_valid = True
        either = child._replace(config=config)
        if trained_on is not child:
            either = child._replace(parent=child.parent._replace(run=vae._replace(config=config)))
        assert used(either).config.data.train_on_valid


def test_the_stages_are_the_run_and_the_copy_in_its_folder(vae):
    """Wherever the folder is now, and whatever the parent's folder was."""
    child = run_of_codes(vae)
    moved = used(child)._replace(folder=vae.folder / 'moved')
    own, parent = stages_of(moved)
    assert own.folder == vae.folder / 'moved'
    assert parent.folder == vae.folder / 'moved' / FOLDER
    assert own.family is child.family
    assert parent.family is vae.family
    assert used(moved) is moved
    assert used(vae) is vae
