"""Scores each example: log p(x), the reconstruction error, or the predicted class."""

from typing import Any

import numpy as np

from atelier.applications import _common, _text_figure
from atelier.applications._application import CLASSIFY, LOG_PROB, RECONSTRUCT, Application
from atelier.core.abilities import LogProb
from atelier.data.items import are_items
from atelier.data.text import decode
from atelier.evaluation.evaluate import condition_suffix, density_suffix, summary
from atelier.evaluation.examples.anomaly_score import description_of, weighting_of
from atelier.evaluation.examples.known_classes import of_known_classes
from atelier.evaluation.examples.scores import has_inputs, over_test, scores
from atelier.evaluation.per_example.per_dimension import per_dimension
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.figure_text import figure_text
from atelier.report.metrics_log import plus_minus
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (LOG_PROB | RECONSTRUCT | CLASSIFY,)
MAX_CHARACTERS = 1 << 24  # of the windows whose nats by character are kept: 64 megabytes


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
      [n] and confidence [n]. An item, a text that ends, has its own nats_per_character, in which
      its end counts; their mean is over all characters.
      Of a text also text [n], the windows, and character_nats [n, length], -log p of each of their
      characters, 0 where it is not scored; a figure shows the least and the most likely windows or,
      of a file of yours, its beginning. Of items, text [n] holds the items.

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
        'means': _means(run, values),
    }
    characters = _characters(trained)
    path = _common.save(trained, 'score', {**arrays, **characters}, results, [*arrays])
    _log(trained, results)
    if characters:
        _common.draw_figure(path, _figure(run, **characters))
    return {**arrays, **characters}


def _means(run: Run, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the mean of each score; of nats per character, that of an evaluation."""
    values = {name: value for name, value in values.items() if name != 'predicted'}
    if 'log_prob_nats' in values:
        nll = -np.asarray(values['log_prob_nats'], np.float64)
        values |= per_dimension(run.data, 'test', nll)
    return {name: summary(value) for name, value in values.items()}


def _characters(trained: TrainedRun) -> dict[str, np.ndarray]:
    """Returns 'text' [n] and 'character_nats' [n, length] of a language model, else nothing."""
    run, log_prob = trained.run, trained.run.family.ability(LogProb)
    if not texts.is_text(run.data.spec) or log_prob is None or log_prob.by_value is None:
        return {}
    x = run.data.splits['test']['x']
    if x.size > MAX_CHARACTERS:
        message = 'no nats by character: the windows have %s characters, more than %s'
        log.info(message, f'{x.size:,}', f'{MAX_CHARACTERS:,}')
        return {}
    nats = 0.0 - np.asarray(over_test(trained, log_prob.by_value))
    return {'text': np.array(decode(x, run.data.spec.symbols)), 'character_nats': nats}


def _figure(run: Run, text: np.ndarray, character_nats: np.ndarray):
    """Returns the figure of the beginning of the user's text, or of single windows of a split."""
    split, examples = run.data.splits['test'], figure_text(_common.described_examples(run))
    num_scored = np.asarray(split.get('num_scored', np.full(len(text), run.data.spec.num_dims)))
    if are_items(run.data.spec):
        passages = _text_figure.items(text.tolist(), character_nats, _common.are_given(run))
    elif _common.are_given(run):
        passages = _text_figure.beginning(text.tolist(), character_nats, num_scored)
    else:
        rows = run.data.origin_of('test')['row']
        passages = _text_figure.windows(text.tolist(), character_nats, num_scored, rows)
    return _text_figure.figure(passages, run.data.spec.levels, f'Nats by character: {examples}')


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
