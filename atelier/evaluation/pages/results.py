"""The section of results: tables of evaluations, with the kind and the error of each value."""

import re
from typing import Any

from atelier.evaluation.evaluation_file import augmentation_text
from atelier.evaluation.latents.report import lines_of
from atelier.evaluation.pages.known import Known
from atelier.evaluation.samples.report import (
    COLUMNS,
    columns_of,
    heading_of,
    memorisation_warning,
    reasons_of,
    texts_of,
)
from atelier.log import counted
from atelier.report.metrics_log import plus_minus
from atelier.report.page.html import Html, element, folded, joined, note, table
from atelier.report.page.page import Limits, Section

# values that are computed from log p(x), and have its kind
KIND_OF = re.compile('nll_nats$|bits_per_|nats_per_')


def results(known: Known, limits: Limits) -> Section:
    """Returns the section; without an evaluation, it says which command makes one."""
    if not known.evaluations:
        text = f'There is no evaluation: --mode=evaluate --workdir={known.name} makes one.'
        return Section('results', 'Results', note(text))
    parts = [
        tables(evaluation, limits)
        if name == 'evaluation.json'
        else folded(f'With other settings: {name}', tables(evaluation, limits))
        for name, evaluation in known.evaluations.items()
    ]
    return Section('results', 'Results', joined(parts))


def tables(evaluation: dict[str, Any], limits: Limits) -> Html:
    """Returns the tables of one evaluation."""
    return joined(
        [
            _of_split(evaluation, limits),
            _of_samples(evaluation.get('samples') or {}, limits),
            _of_latents(evaluation.get('latents') or {}, limits),
        ]
    )


def plus_minus_text(value: dict[str, Any]) -> str:
    """Returns a mean and its standard error as text."""
    return plus_minus(value.get('mean'), value.get('standard_error')).replace('+-', '±')


def _of_split(evaluation: dict[str, Any], limits: Limits) -> Html:
    values, kind = evaluation.get('values') or {}, evaluation.get('log_prob')
    rows = [
        [name, plus_minus_text(value), *([kind if KIND_OF.match(name) else ''] if kind else [])]
        for name, value in values.items()
    ]
    data = evaluation.get('data') or {}
    number, weights = data.get('examples'), evaluation.get('weights')
    title = f'{str(data.get("split", "test")).capitalize()} split'
    about = [
        f'{counted(number, "example")} of {data.get("description")}'
        if isinstance(number, int)
        else data.get('description'),
        f'± is the standard error over them; weights: {weights}',
        augmentation_text(evaluation),
    ]
    return joined(
        [
            element('h3', title),
            note('; '.join(str(each) for each in about if each)),
            table(
                ['', 'mean', *(['kind of log p(x)'] if kind else [])], rows, limits.rows, 'metric'
            ),
        ]
    )


def _of_samples(samples: dict[str, Any], limits: Limits) -> Html | None:
    values = samples.get('values') or {}
    if not values:
        return None
    rows = [
        [name, *(text.replace('+-', '±') for text in texts)]
        for name, texts in texts_of(values).items()
    ]
    headings = [COLUMNS[column] for column in columns_of(values)]
    return joined(
        [
            element('h3', 'Samples'),
            note(heading_of(samples)),
            table(['', *headings], rows, limits.rows, 'metric'),
            *map(note, reasons_of(values)),
            _warning(samples),
        ]
    )


def _warning(samples: dict[str, Any]) -> Html | None:
    try:
        text = memorisation_warning(samples)
    except (KeyError, TypeError, ValueError):  # of a file that another program wrote
        return None
    return element('p', text, class_='warning') if text else None


def _of_latents(latents: dict[str, Any], limits: Limits) -> Html | None:
    if not latents:
        return None
    try:
        rows = [[text.replace('+-', '±') for text in line] for line in lines_of(latents)]
    except (KeyError, TypeError, ValueError, AttributeError):
        rows = [['', '-', 'these values are not those that an evaluation writes']]
    return joined(
        [
            element('h3', 'Latent space'),
            table(['', 'value', ''], rows, limits.rows, 'metric', longest=300, class_='remarks'),
        ]
    )
