"""Divides a variational bound into its terms: KL by layer, or noise by time."""

import itertools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from atelier.applications import _beside, _common
from atelier.applications._application import BOUND_TERMS, Application
from atelier.core.abilities import BoundTerms
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import natural
from atelier.errors import UserError, shortened_text
from atelier.evaluation.evaluate import condition_suffix, density_suffix, summary
from atelier.evaluation.examples.known_classes import of_known_classes
from atelier.log import counted, log
from atelier.report import figures
from atelier.report.figure_text import figure_text, title_lines
from atelier.report.metrics_log import aligned, plus_minus
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (BOUND_TERMS,)
MAX_BINS = 100
WIDTH = 4.6  # of a panel, in inches
DIFFUSION, BY_TIME = 'diffusion_nats', 'diffusion_by_time_nats'
FIRST = 'reconstruction_nats', 'rest_nats'  # of x given z, of one model or of two
TOTAL = 'negative_bound_nats'
ROUNDING = 1e-6  # of times k / bins, which belong to the bin that they end


class Row(NamedTuple):
    """A term of the bound: its name and its mean over the examples, with standard error."""

    name: str
    nats: dict[str, float | None]


def apply(run: Run, beside: str = '', num_bins: int = 10) -> dict[str, np.ndarray]:
    """Computes the terms of the bound on -log p(x) for every test example; they sum to it.

    For a VAE they are the reconstruction and the KL of each stochastic layer. For a diffusion model
    they are the reconstruction from the first time, the noise of the times between, and the KL of
    the last time to the prior. For a run of codes they are the codes, and what x costs besides.
    A row of the table is a term, with its mean over the examples. With the keys of an evaluation,
    the sum equals the bound that an evaluation reports.

    Args:
      run: of a family with a variational bound.
      beside: folder of another run on the same examples, for a second table and panel.
      num_bins: number of equal parts of the time [0, 1] of a diffusion model.

    Returns:
      file, row and, with labels, label [n]; each term [n], such as reconstruction_nats and
      kl_z1_nats; negative_bound_nats [n], their sum; for a diffusion model, diffusion_by_time_nats
      [n, bins], whose sum over bins is diffusion_nats [n]. Those of the other run begin with
      beside_.

    Raises:
      UserError: a missing checkpoint, a bad option, or `beside` has other examples.
    """
    _common.at_least(1, MAX_BINS, num_bins=num_bins)
    _common.check_split(run, 'test', 1, 'there is nothing to bound')
    runs = [run, _opened_beside(run, beside)] if beside else [run]
    arrays, rows, results = _common.origins_of(run), {}, {}
    every = [restore.load(each) for each in runs]
    for name, trained in zip(_beside.names_of(runs), every, strict=True):
        terms = compute(trained, num_bins)
        rows[name] = rows_of(terms)
        results[name] = _results(trained, rows[name])
        prefix = '' if trained is every[0] else 'beside_'
        arrays |= {f'{prefix}{term}': array for term, array in terms.items()}
        _log(trained, name, rows[name], len(terms[TOTAL]))
    changed = _common.changed_options(apply, num_bins=num_bins)
    table = {name: array for name, array in arrays.items() if array.ndim == 1}
    name = f'bound{_common.path_suffix(beside=beside)}{changed}'
    path = _common.save(every[0], name, arrays, {'runs': results}, table)
    _save_figure(runs, rows, path)
    return arrays


def _opened_beside(run: Run, beside: str) -> Run:
    """Opens the run to compare with, and leaves out classes that it does not know.

    Raises:
      UserError: as in `_beside.opened`, or the bounds are not of the same log p(x).
    """
    other = of_known_classes(_beside.opened(APPLICATION, run, beside, 'bounds'))
    same = [
        (each.data.spec.format, each.config.data.binarize, each.data.size('test'))
        for each in (run, other)
    ]
    if same[0] != same[1]:
        raise UserError(
            f'--beside={beside} bounds log p(x) of other values (x has {same[1][0]}; that of '
            f'{run.folder}, {same[0][0]}): give a run on the same examples'
        )
    return other


def compute(trained: TrainedRun, num_bins: int) -> dict[str, np.ndarray]:
    """Returns the terms of the test split, with an evaluation's random keys, as `apply` does."""
    run = trained.run
    terms_of = _terms(run.family.ability(BoundTerms), num_bins)
    apply = over_examples(terms_of, run.data, run.config.eval.batch_size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    terms = apply(trained.state, key, run.data.splits['test'], run.data.size('test'))
    names = sorted(terms, key=lambda name: (name not in FIRST, natural(name)))  # JAX sorts as text
    terms = {name: np.asarray(terms[name], np.float64) for name in names}
    if BY_TIME in terms:
        terms[DIFFUSION] = terms[BY_TIME].sum(1)
    return {**terms, TOTAL: sum(array for name, array in terms.items() if name != BY_TIME)}


def _terms(bound: BoundTerms, num_bins: int) -> Callable:
    """Returns f(weights, batch, rng) -> {term: [local]}, and the term by time [local, bins]."""

    def terms(weights, batch, rng):
        nats = bound.nats(weights, batch, rng)
        if bound.by_time is None:
            return nats
        return {**nats, BY_TIME: binned(*bound.by_time(weights, batch, rng), num_bins)}

    return terms


def binned(
    t: Float[Array, 'n draws'], nats: Float[Array, 'n draws'], num_bins: int
) -> Float[Array, 'n bins']:
    """Returns the share of each bin of time in the mean of the nats over the draws.

    The bins are ((i - 1) / bins, i / bins]; the first holds t = 0 too.
    """
    bins = jnp.clip(jnp.ceil((t - ROUNDING) * num_bins) - 1, 0, num_bins - 1)
    is_in = bins[..., None] == jnp.arange(num_bins)
    return jnp.mean(jnp.where(is_in, nats[..., None], 0), 1)


def rows_of(terms: dict[str, np.ndarray]) -> list[Row]:
    """Returns the rows of the table: from x to the prior, by layer or by time."""
    rows = [Row(_name_of(name), summary(terms[name])) for name in terms if name in FIRST]
    if BY_TIME in terms:
        edges = np.linspace(0, 1, terms[BY_TIME].shape[1] + 1)
        names = [f't {low:.3g} to {high:.3g}' for low, high in itertools.pairwise(edges)]
        rows += [Row(*row) for row in zip(names, map(summary, terms[BY_TIME].T), strict=True)]
    others = [name for name in terms if name not in (*FIRST, BY_TIME, DIFFUSION, TOTAL)]
    rows += [Row(_name_of(name), summary(terms[name])) for name in others]
    return [*rows, Row('sum', summary(terms[TOTAL]))]


def _name_of(term: str) -> str:
    """Returns the name of a term: 'KL of z1' for kl_z1_nats, 'prior' for prior_nats."""
    name = term.removesuffix('_nats')
    kind, _, layer = name.partition('_')
    return f'KL of {layer or "z"}' if kind == 'kl' else name.replace('_', ' ')


def _results(trained: TrainedRun, rows: list[Row]) -> dict[str, Any]:
    """Returns what the JSON file has of a run."""
    terms = {row.name: row.nats for row in rows}
    return {'weights': trained.weights, 'bound_on': _subject(trained.run), 'nats': terms}


def _subject(run: Run) -> str:
    """Returns what the sum bounds from above."""
    return f'-log p(x){condition_suffix(run.family)}{density_suffix(run, "an upper bound")}'


def _log(trained: TrainedRun, name: str, rows: list[Row], n: int) -> None:
    """Logs the table of a run: each term in nats, and its share of the sum."""
    total = rows[-1].nats['mean']
    table = [[name, 'nats', 'share']]
    for row in rows:
        mean = row.nats['mean']
        share = '-' if mean is None or not total else f'{100 * mean / total:.1f} %'
        table.append([row.name, plus_minus(*row.nats.values()), share])
    for line in aligned([[shortened_text(cell) for cell in row] for row in table]):
        log.info('%s', line)
    examples, subject = counted(n, 'test example'), _subject(trained.run)
    log.info('the sum is an upper bound on %s: %s, %s', subject, examples, trained.weights)


@figures.style()
def _save_figure(runs: list[Run], rows: dict[str, list[Row]], path: pathlib.Path) -> None:
    """Draws a panel per run: a bar per term, with its nats beside it."""
    most = max(map(len, rows.values()))
    every = [row.nats['mean'] or 0.0 for terms in rows.values() for row in terms[:-1]]
    lowest, highest = min(every), max(every) or 1.0
    figure, axes = figures.panels(len(rows), size=(WIDTH, 1.3 + 0.27 * most))
    for axis, run, (name, terms) in zip(axes, runs, rows.items(), strict=True):
        *parts, total = terms
        means = [row.nats['mean'] or 0.0 for row in parts]
        bars = axis.barh(range(len(parts)), means, color=[_colour(row.name) for row in parts])
        axis.bar_label(bars, [f'{mean:.2f}' for mean in means], padding=3, fontsize='small')
        axis.set_yticks(range(len(parts)), [row.name for row in parts])
        axis.set_ylim(most - 1.5, -0.5)  # the first term on top, and bars of one thickness
        axis.set_xlim(min(0.0, 1.2 * lowest), 1.25 * highest)  # space for the numbers
        if any(row.name.startswith('t ') for row in parts):
            axis.set_ylabel('t = 0: data, t = 1: noise')
        bound = plus_minus(*total.nats.values())
        axis.set_title(f'{figure_text(shortened_text(name))}\nsum {bound} nats')
        subject = _subject(run).replace('log p', 'log\N{NO-BREAK SPACE}p')
        axis.set_xlabel(title_lines(f'nats of a bound on {subject}', WIDTH))
    _common.draw_figure(path, figure)


def _colour(name: str) -> str:
    """Returns the colour of x given z, of a layer, a time or codes, or of the prior."""
    is_first = f'{name}_nats' in FIRST
    return figures.colour(1 if is_first else {'prior': 2}.get(name, 0))


APPLICATION = Application(apply, NEEDS, reads='it bounds log p(x) of test examples')
