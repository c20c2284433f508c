"""Makes the refit of a finished run: the same run on train + validation (`atelier.run.refit`)."""

import contextlib
import json
import pathlib

from ml_collections import ConfigDict

from atelier.data import dataset
from atelier.data.train_and_valid import has_valid
from atelier.errors import UserError
from atelier.multihost import processes
from atelier.run import experiment, run_folder
from atelier.run.checkpoint import Checkpoints, Memory
from atelier.run.experiment import Build, Run
from atelier.run.refit import Choice
from atelier.training.session import finished

SUFFIX = '-refit'  # of the folder of a refit, after the name of its choosing run


def check_can_choose(config: ConfigDict) -> None:
    """Checks, before training, that a run of this config chooses a number of steps by validation.

    Raises:
      UserError: it does not.
    """
    if has_valid(config.data):
        is_typed = config.data.train_on_valid
        field = 'train_on_valid=True' if is_typed else 'valid_share=0'
        raise UserError(
            f'--refit: with config.data.{field}, the run is trained on its validation examples, so '
            f'nothing can be chosen on them: {"leave it out" if is_typed else "set it above 0"}'
        )
    if not config.train.best_metric:
        raise UserError(
            '--refit: the run chooses no number of steps: set config.train.best_metric to a '
            'validation metric'
        )


def refit_of(run: Run, build: Build | None = None) -> Run:
    """Returns the refit of a finished run, with its data: not trained, or interrupted before.

    Its folder is beside that of `run`, with `SUFFIX`. `build` is as in `experiment.assemble`.

    Raises:
      UserError: the run has not finished, it has chosen no step, or the folder holds another run.
    """
    check_can_choose(run.config)
    choice = _choice(run)
    config, folder = refit_config(run, choice), run.folder.with_name(run.folder.name + SUFFIX)
    check = lambda: run_folder.check_same(
        folder, run.config_file, config, run.init_from, choice=choice
    )
    processes.on_first(check)
    refit = experiment.assemble(
        folder, run.config_file, config, build, run.init_from, dataset.load, choice
    )
    _check_data(run, refit)
    return refit


def refit_config(run: Run, choice: Choice) -> ConfigDict:
    """Returns the config of the refit.

    The schedules stay those of the choosing run, and end where the best checkpoint was: the refit
    is what was validated, step by step, on more data. A batch of the whole training split stays
    one.
    """
    config = run.config.copy_and_resolve_references()
    config.data.train_on_valid, config.train.steps = True, choice.steps
    if config.train.batch_size == run.data.size('train'):
        config.train.batch_size = 0
    return config


def _choice(run: Run) -> Choice:
    """Returns what the run has chosen, in every process that which the first reads.

    Raises:
      UserError: it has chosen nothing yet.
    """
    found: list[Choice] = []
    processes.on_first(lambda: found.append(_read_choice(run.config, run.folder)))
    return Choice(*json.loads(processes.text_from_first(json.dumps(found and found[0]))))


def _read_choice(config: ConfigDict, folder: pathlib.Path) -> Choice:
    is_begun = (folder / 'checkpoints').is_dir()
    run_id = run_folder.load(folder)['id'] if is_begun else None
    step, memory = _last_memory(folder, run_id) if is_begun else (0, Memory())
    if not finished(config, step, memory):
        raise UserError(
            f'{folder} is at step {step:,} of {config.train.steps:,}: a refit needs the whole run, '
            f'which --workdir={folder} continues'
        )
    if memory.best_step is None:
        metric = config.train.best_metric
        raise UserError(f'{folder} has chosen no step: valid/{metric} was never finite')
    path = str(folder.resolve())
    return Choice(path, run_id, memory.best_step, config.train.best_metric, memory.best_value)


def _last_memory(folder: pathlib.Path, run_id: str | None) -> tuple[int, Memory]:
    """Returns the step and the Memory of the last checkpoint; step 0 if there is none.

    The State is read too, because one checksum covers both.
    """
    with contextlib.closing(Checkpoints(folder / 'checkpoints', True, run_id)) as checkpoints:
        state, memory = checkpoints.restore_newest(None) or (None, Memory())
    return (0 if state is None else int(state.step)), memory


def _check_data(run: Run, refit: Run) -> None:
    """Checks that the held-out examples are those of the choosing run.

    Raises:
      UserError: they are not.
    """
    splits = ('valid', 'test')
    if run.data.fingerprint(*splits) != refit.data.fingerprint(*splits):
        raise UserError(f'the data of {run.folder} have changed since it chose: train it again')
