"""What an evaluation prints: a short table, warnings, and where the files are."""

from typing import Any

from atelier.core import game
from atelier.evaluation import evaluation_file
from atelier.evaluation.latents.report import show_latents
from atelier.evaluation.samples.report import memorisation_warning, show_samples
from atelier.log import counted, log
from atelier.report.metrics_log import plus_minus
from atelier.run.experiment import Run

# times that `_warn` gives the family's advice the test means, as if from successive validations
NUM_EQUAL_VALIDATIONS = 3


def show(result: dict[str, Any], run: Run) -> None:
    """Logs a short table of the results and the paths of all outputs."""
    data = result['data']
    examples = counted(data['examples'], 'example')
    log.info('\n%s split of %s (%s)', data['split'], data['description'], examples)
    for name, value in result['values'].items():
        if value['mean'] is None:
            log.warning('%s is not finite for some examples', name)
            continue
        mean, *spread = plus_minus(value['mean'], value['standard_error']).partition(' ')
        note = f'  {result["log_prob"]}' if name == 'nll_nats' else ''
        log.info('  %-22s %10s%s%s', name, mean, ''.join(spread), note)
    show_samples(result['samples'])
    show_latents(result.get('latents', {}))
    _warn(result, run)
    if warning := memorisation_warning(result['samples']):
        log.warning('%s', warning)
    if run.choice is not None:
        log.info('%s', run.choice)
    if augmentation := evaluation_file.augmentation_text(result):
        log.info('%s', augmentation)
    log.info('weights: %s', result['weights'])
    log.info('numbers: %s', evaluation_file.path_of(run))
    if (run.folder / 'samples').exists():
        log.info('samples: %s', run.folder / 'samples')
    log.info('checkpoints: %s', run.folder / 'checkpoints')


def _warn(result: dict[str, Any], run: Run) -> None:
    """Logs the training warnings that the family would give for these test means.

    These warnings assume that the last `NUM_EQUAL_VALIDATIONS` validations all had these means.
    """
    if not game.advisers(run.family.turns):
        return
    means = {name: value['mean'] for name, value in result['values'].items()}
    if None not in means.values():
        for warning in game.advice(run.family.turns, [means] * NUM_EQUAL_VALIDATIONS).values():
            log.warning('%s', warning)
