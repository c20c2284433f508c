"""The functions of `import atelier`: open, sample, evaluate and train runs from Python.

`build(config, spec)` returns a `Family`, as in a config file.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core.abilities import LogProb, Sample
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError, shortened
from atelier.evaluation import evaluate as evaluate_lib
from atelier.evaluation.codes.prior_draws import (
    WHY_FITTED,
    can_draw_codes,
    decoded_draws,
    samples_without_data,
)
from atelier.evaluation.samples.requests import Given, checked_prompts, checked_rows
from atelier.evaluation.samples.sampling import check_labels, sampler
from atelier.on_arrays import classify, embed, reconstruct, score
from atelier.paths import user_path
from atelier.run import config_values, experiment, restore, run_data, run_folder
from atelier.run.over_examples import over_examples
from atelier.run.refit import warn_if_trained
from atelier.run.restore import TrainedRun
from atelier.run.run_path import init_from_path
from atelier.training import refit as refit_lib

__all__ = [
    'TrainedRun',
    'classify',
    'common_config',
    'embed',
    'evaluate',
    'load',
    'over_split',
    'reconstruct',
    'sample',
    'score',
    'train',
]


def common_config() -> ConfigDict:
    """Returns the fields that every config has, locked so that a misspelt field is refused.

    `with config.unlocked():` allows adding fields for your own `build`.
    """
    return checkout.common_config().lock()


def load(
    folder: str | pathlib.Path,
    build: experiment.Build | None = None,
    overrides: dict[str, Any] | None = None,
    trust: str | pathlib.Path | Sequence[str | pathlib.Path] = (),
) -> TrainedRun:
    """Opens a run folder. The data of the run are read when a function first needs an example.

    Args:
      folder: the run's folder.
      build: the `build` passed to `train`; only for a run trained from Python.
      overrides: new values of fields of config.eval, such as {'eval.weights': 'last'}. A function
        among them is trusted.
      trust: paths that you trust: of the run's config file, if it is not in `configs/` of the
        checkout; of the folder of its checkpoints, if they are behind a link; and of its
        eval.validity, FILE:FUNCTION.

    Raises:
      UserError: the folder is not a run or has no checkpoint, or its config file or its
        checkpoints are elsewhere and not trusted.
    """
    _trust(trust)
    checkout.trust(*config_values.functions_of(overrides or {}))
    device_lib.enable_compilation_cache()
    run = run_folder.reopen(user_path(folder), overrides, build, reads=None)
    return restore.load(run)


def train(
    config: ConfigDict,
    build: experiment.Build,
    folder: str | pathlib.Path,
    init_from: str | pathlib.Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    trust: str | pathlib.Path | Sequence[str | pathlib.Path] = (),
    refit: bool = False,
) -> TrainedRun:
    """Trains the family that `build(config, spec)` returns, or resumes its run; then loads the run.

    Args:
      config: has all fields of `common_config()`, and those that `build` reads.
      build: as in a config file.
      folder: the run's folder; repeating the call resumes the run.
      init_from: folder of another run, whose weights this one starts with.
      devices: all by default.
      trust: as for `load`.
      refit: whether to train again on train + validation, for the number of steps that validation
        chose, in a folder beside `folder` with the ending -refit; that run is returned.

    Raises:
      UserError: as `train_lib.train`, the folder holds another run, or a refit is impossible.
    """
    if not callable(build):
        raise UserError(
            f'build={shortened(build)}: give the function build(config, spec) that returns the '
            'Family'
        )
    _trust(trust)
    device_lib.enable_compilation_cache()
    config = ConfigDict(config.to_dict()).lock()  # a copy: the caller may change theirs
    folder, config_file = user_path(folder), checkout.ConfigFile('', None)
    init_from = init_from_path(init_from)
    if refit:
        refit_lib.check_can_choose(config)
    run_folder.check_same(folder, config_file, config, init_from)
    run = experiment.assemble(
        folder, config_file, config, build, init_from, experiment.prepared_data
    )
    checkout.train_lib().train(run, devices)
    if refit:
        run = refit_lib.refit_of(run, build)
        checkout.train_lib().train(run, devices)
    return restore.load(run)


def _trust(paths: str | pathlib.Path | Sequence[str | pathlib.Path]) -> None:
    checkout.trust(*([paths] if isinstance(paths, str | pathlib.Path) else paths or ()))


def _run_of(trained, reads: str = '') -> experiment.Run:
    """Returns the run, with its data if `reads` says why they are read.

    Raises:
      UserError: `trained` is something else, such as the path of a run; or the data are gone.
    """
    if not isinstance(trained, TrainedRun):
        raise UserError(f'{trained!r} is not a loaded run: pass atelier.load(FOLDER)')
    return run_data.with_data(trained.run, reads) if reads else trained.run


def sample(
    trained: TrainedRun,
    n: int,
    seed: int = 0,
    labels: Sequence[int | str] | None = None,
    condition: Sequence | np.ndarray | None = None,
    prompt: str | Sequence[str] | None = None,
) -> np.ndarray:
    """Draws x [n, *event] in the data's units; sample i depends on (seed, i) and the weights.

    A class-conditional family cycles through `labels`, numbers or names of classes. A family that
    is conditional on more cycles through the rows of `condition` [rows, columns], numbers or names
    of labels, or through the captions `prompt`: one, a list, or the path of a .txt with one in each
    line. An autoencoder decodes codes drawn from a Gaussian fitted to its training codes.

    Raises:
      UserError: the family cannot sample, or not class-conditionally, or n is not positive.
    """
    _at_least_one(n)
    run, state, devices = _run_of(trained), trained.state, jax.devices()
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    given = _given(run, labels, condition, prompt)
    given = None if given is None else given[np.arange(n) % len(given)]
    if run.family.ability(Sample) is None and can_draw_codes(run.family):
        if not samples_without_data(run.family):
            run = run_data.with_data(run, WHY_FITTED)
        return decoded_draws(run, state, key, n, devices)[0]
    return sampler(run, devices)(state, key, n, given)


def _given(
    run: experiment.Run,
    labels: Sequence[int | str] | None,
    condition: Sequence | np.ndarray | None,
    prompt: str | Sequence[str] | None,
) -> Given | None:
    """Returns what samples are given: labels or conditions."""
    if sum(each is not None for each in (labels, condition, prompt)) > 1:
        raise UserError('labels, condition and prompt: give one of them')
    if labels is not None:
        return check_labels(run, labels)
    if condition is not None:
        return checked_rows(run, condition)
    return None if prompt is None else checked_prompts(run, prompt)


def evaluate(
    trained: TrainedRun, features: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, Any]:
    """Evaluates the loaded weights on the whole test split and writes evaluation.json.

    Args:
      trained: the run.
      features: maps x [n, *event], in the data's units, to the features [n, features] in which
        samples are compared with data; by default those of config.eval.classifier. If given,
        nothing is written.

    Raises:
      UserError: the data have no test split, or nothing can be evaluated without features.
    """
    run = _run_of(trained, 'an evaluation reads the test split')
    return evaluate_lib.evaluate(run, trained=trained, features=features)


def over_split(
    trained: TrainedRun,
    ability: Callable | tuple | None,
    split: str = 'test',
    n: int | None = None,
):
    """Applies a per-example function to every example of a split. The function is (weights, batch,
    rng) -> [local, ...], where the `local` examples are those that one device computes.

    Args:
      trained: the run.
      ability: that function, such as run.family.ability(Codes).encode, or
        run.family.ability(LogProb).
      split: 'train', 'valid' or 'test'.
      n: only the first `n` examples; all by default.

    Raises:
      UserError: the family lacks the ability, it is not a function, or there is no such split.
    """
    run = _run_of(trained, f'over_split reads the {split} split')
    function = _per_example(run, ability)
    if split not in run.data.splits:
        raise UserError(
            f'{run.data.name} has no split {split!r}, only {", ".join(run.data.splits)}'
        )
    warn_if_trained(run.config, run.folder, split)
    n = run.data.size(split) if n is None else min(_at_least_one(n), run.data.size(split))
    key = key_for(trained.state.key, Stream.EVALUATE)
    apply = over_examples(function, run.data, run.config.eval.batch_size, jax.devices())
    return apply(trained.state, key, run.data.splits[split], n)


def _per_example(run: experiment.Run, ability) -> Callable:
    """Returns the per-example function that `over_split` applies.

    Raises:
      UserError: `ability` is None, a type, or no function.
    """
    if ability is None:
        raise UserError(
            f'the model of {run.folder} does not have this ability; it has '
            f'{run.family.ability_names}'
        )
    if isinstance(ability, type):  # a NamedTuple class is callable and would collect its arguments
        name = ability.__name__
        raise UserError(f'{name} is a type: pass run.family.ability({name})')
    if isinstance(ability, LogProb):
        return ability.nats
    if callable(ability):
        return ability
    if not hasattr(ability, '_asdict'):
        raise UserError(
            f'{shortened(ability)} is not a function: give one, such as '
            'run.family.ability(Codes).encode'
        )
    functions = [name for name, value in ability._asdict().items() if callable(value)]
    raise UserError(
        f'{type(ability).__name__} is not a function: give that of its functions which takes '
        f'(weights, batch, rng), of {", ".join(functions)}'
    )


def _at_least_one(n: int) -> int:
    if n < 1:
        raise UserError(f'n={n}: it must be at least 1')
    return n
