"""Sizes beyond any machine or beyond this one are refused before anything is allocated."""

import jax
import pytest
from support import contents, recipe_and_config

import train_lib
from atelier.core import devices
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.run import experiment, limits, restore


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('model__latent_dim', 10**20, 'model.latent_dim=1.*: the largest size is 16,777,216'),
        ('model__mixture_components', 2**31, 'model.mixture_components=2147483648'),
        ('model__hidden_sizes', (64, 2**40), 'model.hidden_sizes='),
        ('model__hidden_sizes', (1,) * 2000, 'hidden_sizes has more than 1,000 entries: 2,000'),
        ('eval__num_pictures', 2**64, 'eval.num_pictures=1844.*: the largest size is 2,147,483'),
        ('train__steps', -(2**64), 'train.steps=-1844'),
        ('data__num_valid', 2**31, 'data.num_valid='),
    ],
)
def test_integers_beyond_any_machine_are_refused(tmp_path, complaint, field, value, message):
    """The line names the field, its value and the limit, in training and in a sweep."""
    config_file, config = recipe_and_config(**{field: value})
    with pytest.raises(UserError, match=message):
        experiment.assemble(tmp_path, config_file, config)


def test_a_model_larger_than_memory_is_refused_before_files_are_written(tiny_run, monkeypatch):
    """The parameters are counted without allocating them, in training and in every later use."""
    run = tiny_run(model__hidden_sizes=(2**20, 2**20))
    with pytest.raises(
        UserError, match=r'2,199,\d+,\d+,\d+ parameters; .* 35,192.1 GB.*hidden_sizes'
    ):
        train_lib.train(run, jax.devices()[:1])
    assert contents(run.folder.parent) == {}
    monkeypatch.setattr(devices, 'memory_bytes', lambda device: 1000)
    with pytest.raises(UserError, match='a device has 0.0 GB'):
        restore.abstract_state(tiny_run())


@pytest.mark.parametrize(
    'error',
    [
        MemoryError('Unable to allocate 1 PiB'),
        OverflowError('Python int too large'),
        ValueError('array is too big; `arr.size` is larger than the maximum possible size'),
    ],
)
def test_sizes_that_overflow_while_a_model_is_built_are_refused(tmp_path, error):
    """NumPy and JAX raise several errors for such sizes; any other ValueError is a bug."""
    config_file, config = recipe_and_config(model__latent_dim=7)

    def build(config, spec):
        raise error

    with pytest.raises(UserError, match='does not fit into memory .*model.hidden_sizes'):
        experiment.assemble(tmp_path, config_file, config, build)
    error = ValueError('a bug')
    with pytest.raises(ValueError, match='a bug'):
        experiment.assemble(tmp_path, config_file, config, build)


def test_more_examples_than_memory_holds_are_refused():
    """The number of bytes is compared, whatever the type of the count."""
    spec = Spec((8, 8, 1), 17, None)
    limits.check_examples('--num_samples', 1000, spec)
    for count in (10**12, 2**64):
        with pytest.raises(UserError, match=rf'--num_samples: {count:,} examples take .* GB'):
            limits.check_examples('--num_samples', count, spec)
