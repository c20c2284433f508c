"""A run of codes as it is used: its data are those of the parent, whose codes its family models."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from atelier.core.randomness import Stream, key_for, rng_for
from atelier.core.stages import Stages
from atelier.core.two_stage import composed
from atelier.data.stand_in import StandIn
from atelier.errors import UserError, about
from atelier.run.experiment import Parent, Run
from atelier.run.initialization import abstract_state
from atelier.run.parent_copy import FOLDER


def used(run: Run) -> Run:
    """Returns a run of codes as evaluation and applications see it; any other run as it is.

    Its family is the composition of both families, its data are those of the parent, and its config
    describes these data. The result is used, and never trained.

    Raises:
      UserError: the recorded codes are not those of the parent.
    """
    if run.parent is None or run.child is not None:
        return run
    parent = run.parent.run
    if isinstance(run.data, StandIn):  # else the codes were encoded just now
        _check_fit(run)
    spec = parent.data.spec
    middle = 0.0 if spec.interval is None else 0.5
    stages = Stages(
        child=run.family,
        parent=parent.family,
        space=run.parent.space,
        middle=lambda x: spec.denormalize(jnp.full_like(x, middle)),
    )
    # the classes that exist for the model are those that the child was trained on
    data = parent.data._replace(spec=spec._replace(left_out=run.data.spec.left_out))
    config = _config(run.config, parent.config)
    return run._replace(family=composed(stages), data=data, config=config, child=run)


def stages_of(run: Run) -> tuple[Run, Run]:
    """Returns the run of codes and the copy of its parent, whose weights `run` composes.

    Args:
      run: as `used` returns it, of a run of codes.
    """
    parent = run.parent.run._replace(folder=run.folder / FOLDER)
    return run.child._replace(folder=run.folder), parent


def _config(child: ConfigDict, parent: ConfigDict) -> ConfigDict:
    """Returns the child's config with the parent's data, which are those of the composition."""
    config = ConfigDict(child.to_dict())
    config.data = ConfigDict(parent.data.to_dict())
    config.data.train_on_valid |= child.data.train_on_valid
    config.data.classes = child.data.classes
    return config.lock()


def _check_fit(run: Run) -> None:
    """Refuses a record of codes of another shape than the parent's, before anything is computed.

    Raises:
      UserError: they do not agree.
    """
    parent, spec = run.parent, run.data.spec
    with about(f'the parent of {run.folder}'):
        found, levels = _num_codes(parent), parent.space.levels
    if (spec.num_dims, spec.levels) != (found, levels):
        recorded = _described(spec.num_dims, spec.levels)
        raise UserError(
            f'{run.folder / "config.json"} is damaged: it describes {recorded}, and the parent has '
            f'{_described(found, levels)}'
        )


def _described(num_codes: int, levels: int | None) -> str:
    return f'{num_codes} codes' + ('' if levels is None else f' of {levels} levels')


def _num_codes(parent: Parent) -> int:
    """Returns how many codes an example has, without computing them."""
    data = parent.run.data
    if not isinstance(data, StandIn):  # a run of an earlier version: its data have been read
        raw = {name: array[:1] for name, array in data.splits['train'].items()}
        batch = data.preprocess(raw, jnp.zeros((1, 2), jnp.uint32))
    else:
        batch = data.zero_batch(1)
    weights = abstract_state(parent.run).averaged_weights
    rng = rng_for(key_for(jax.random.PRNGKey(0), Stream.EVALUATE), jnp.arange(1), 1)
    codes, _ = jax.eval_shape(parent.space.encode, weights, batch, rng)
    return codes.shape[1]
