"""Checks of a run's settings, before anything is written, compiled or trained."""

import pathlib

from ml_collections import ConfigDict

from atelier.core import compilation, optimizers
from atelier.core.abilities import Sample
from atelier.core.game import num_together
from atelier.errors import UserError, about, at_least, choose
from atelier.evaluation.evaluate import check_evaluation
from atelier.evaluation.samples.features import classifier_for
from atelier.evaluation.samples.validity import validity_of
from atelier.log import counted
from atelier.run import two_stage
from atelier.run.experiment import Run
from atelier.run.limits import check_examples
from atelier.run.restore import fitting_weights
from atelier.training.input_pipeline import PLACEMENTS
from atelier.training.validation import BEST_MODES, metric_names


def check_training(run: Run, num_devices: int) -> None:
    """Checks every setting that the loop reads.

    Raises:
      UserError: a setting is invalid; the message names the field and its valid values.
    """
    config, train, n = run.config, run.config.train, run.data.size('train')
    if 'valid' not in run.data.splits or run.data.size('valid') == 0:
        raise UserError(f'{run.data.name} has no validation examples: add some to the split')
    check_evaluation(config)
    images = config.eval.num_pictures
    check_examples(f'config.eval.num_pictures={images}', images, run.data.spec)
    check_seed(config)
    optimizers.check_hypers(config.hypers)
    cadences = 'steps', 'steps_per_dispatch', 'log_every', 'evaluate_every', 'checkpoint_every'
    for name in (*cadences, 'unroll'):
        at_least(1, f'train.{name}', train[name])
    compilation.training_options(train)
    optimizers.chosen(config)
    choose('data.placement', config.data.placement, PLACEMENTS)
    _check_batch(train.batch_size, n, run.data.name, num_devices)
    _check_neighbours(train.batch_size // num_devices, num_together(run.family.turns))
    at_least(0, 'train.patience', train.patience)
    choose('train.best_mode', train.best_mode, BEST_MODES)
    if train.best_metric:
        choose('train.best_metric', train.best_metric, metric_names(run))
    elif train.patience:
        raise UserError(f'config.train.patience={train.patience} needs config.train.best_metric')
    has_samples = run.family.ability(Sample) is not None
    evaluated = two_stage.used(run)
    if config.eval.classifier and has_samples:  # fail now, not after hours of training
        classifier_for(evaluated)
    validity_of(evaluated)  # likewise
    if run.init_from is not None and not (run.folder / 'checkpoints').exists():
        with about('--init_from'):
            fitting_weights(run, pathlib.Path(run.init_from))


def check_seed(config: ConfigDict) -> None:
    """Checks that a key can be created from the seed.

    Raises:
      UserError: the seed does not fit into 32 bits.
    """
    if not 0 <= config.seed < 2**32:
        raise UserError(f'config.seed={config.seed}: it must lie in 0..2**32 - 1')


def _check_batch(batch_size: int, n: int, name: str, num_devices: int) -> None:
    at_least(1, 'train.batch_size', batch_size)
    if batch_size > n:
        largest = max(num_devices, n // num_devices * num_devices)
        raise UserError(
            f'config.train.batch_size={batch_size} is larger than the training split of {name}, '
            f'which has {counted(n, "example")}: --config.train.batch_size={largest} is the largest'
        )
    if batch_size % num_devices:
        near = num_devices * max(1, batch_size // num_devices)
        raise UserError(
            f'config.train.batch_size={batch_size} is not divisible by the {num_devices} devices: '
            f'{near} would be'
        )


def _check_neighbours(local: int, together: int) -> None:
    if local % together:
        raise UserError(
            f'the model needs {together} consecutive examples on one device, but a device has '
            f'{counted(local, "example")}, not a multiple of {together}: change '
            'config.train.batch_size or the number of devices'
        )
