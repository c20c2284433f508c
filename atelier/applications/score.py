"""Scores each example: log p(x), the reconstruction error, or the predicted class."""

from typing import Any

import numpy as np

from atelier.applications import _common
from atelier.applications._application import CLASSIFY, LOG_PROB, RECONSTRUCT, Application
from atelier.core.abilities import LogProb
from atelier.evaluation.evaluate import condition_suffix, density_suffix, summary
from atelier.evaluation.examples.anomaly_score import description_of, weighting_of
from atelier.evaluation.examples.known_classes import of_known_classes
from atelier.evaluation.examples.scores import has_inputs, scores
from atelier.log import counted, log
from atelier.report.metrics_log import plus_minus
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (LOG_PROB | RECONSTRUCT | CLASSIFY,)


def apply(run: Run) -> dict[str, np.ndarray]:
    """Scores every example of a split (--split), or of a file of yours (--data).

    The log-likelihood is that of --mode=evaluate for the same examples, with its kind: exact, a
    lower bound or an estimate. A class-conditional model gives log p(x | label) or, without labels,
    log p(x) as the mean of p(x | label) over its classes, weighted by its own p(label) if it has
    one. If the likelihood takes integration
    steps, its error is the distance to the value with half as many steps.

    Args:
      run: of a family with `log_prob`, `reconstruct` or `classify`.

    Returns:
      file and row [n], where each example came from; label [n], if there are labels; and what the
      family has of: log_prob_nats [n], bits_per_dim [n] (nats_per_character and bits_per_character
      of text, neither of real values), log_prob_error_nats [n], half_squared_error [n], predicted
      [n] and confidence [n].

    Raises:
      UserError: a missing checkpoint, or no examples.
    """
    _common.check_split(run, 'test', 1, 'there is nothing to score')
    run = of_known_classes(run)
    trained = restore.load(run)
    values = scores(trained)
    arrays = {**_common.origins_of(run), **values}
    results = {
        'num_examples': run.data.size('test'),
        'kinds': _kinds(run, values),
        'means': {name: summary(value) for name, value in values.items() if name != 'predicted'},
    }
    _common.save(trained, 'score', arrays, results, [*arrays])
    _log(trained, results)
    return arrays


def _kinds(run: Run, values: dict[str, np.ndarray]) -> dict[str, str]:
    """Returns what kind of number the log-likelihood and the error are."""
    kinds, is_given = {}, has_inputs(run)
    if 'log_prob_nats' in values:
        # a lower bound by Jensen's inequality; evaluations report -log p, which is an upper bound
        kind = run.family.ability(LogProb).description + density_suffix(run, 'a lower bound')
        over = f', averaged over {weighting_of(run)}'
        kinds['log_prob_nats'] = kind + (condition_suffix(run.family) if is_given else over)
    if 'half_squared_error' in values:
        kinds['half_squared_error'] = description_of(run, 'reconstruction', is_given)
    return kinds


def _log(trained: TrainedRun, results: dict[str, Any]) -> None:
    """Logs the mean of each score, with its standard error and kind."""
    n = counted(results['num_examples'], 'example')
    log.info('%s, scored by the model of the %s', n, trained.weights)
    for name, mean in results['means'].items():
        if mean['mean'] is None:
            log.warning('%s is not finite for some examples', name)
            continue
        value, *spread = plus_minus(mean['mean'], mean['standard_error']).partition(' ')
        kind = results['kinds'].get(name, '')
        log.info('  %-22s %12s%s%s', name, value, ''.join(spread), kind and f'  ({kind})')


APPLICATION = Application(
    apply, NEEDS, reads='it scores examples', only_test=True, needs_labels=False
)
