"""Items in place of a run's test split: from a file, or from a list of texts."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from atelier.data import item_texts
from atelier.data.item_sets import columns_of
from atelier.data.item_tokens import encoded_as
from atelier.data.items import END, is_scored
from atelier.data.origins import Origins, named
from atelier.data.spec import Spec
from atelier.errors import UserError, shortened
from atelier.evaluation.examples import given_conditions
from atelier.evaluation.examples.given_labels import checked_labels, numbers_of
from atelier.log import log
from atelier.run.experiment import Run


def of_file(run: Run, file: pathlib.Path) -> tuple[dict[str, np.ndarray], Origins]:
    """Reads the items of a file in their order, as the source `lines` does.

    The row of an item is the number of its line, from 1. The separator and the columns are those of
    the run; a table may lack them, and its only column has the items then.

    Raises:
      UserError: the file is no such text; an item is too long or has a symbol that the run lacks.
    """
    config, spec = run.config.data, run.data.spec
    has_labels = spec.num_classes is not None
    items = item_texts.read_similar(
        file,
        config.get('column', ''),
        config.get('label_column', '') if has_labels else '',
        config.get('separator', ''),
        given_conditions.names_of(run) or (),
    )
    for note in items.notes:
        log.info('%s: %s', file.name, note)
    names = [f'line {row:,}' for row in items.rows.tolist()]
    split = {'x': encoded_as(items.texts, spec.symbols, spec.num_dims, names)}
    if items.labels is not None:
        numbers = numbers_of(spec, np.array(items.labels))
        split['label'] = checked_labels(run, numbers, len(items.texts))
    split |= given_conditions.of_columns(run, columns_of(items, file.name, are_texts=True))
    origins = named([file.name], [int(items.rows.max()) + 1])
    return split, origins._replace(rows={'test': items.rows})


def are_texts(x: Any) -> bool:
    """Whether x is a list or an array of texts."""
    is_list = isinstance(x, Sequence | np.ndarray) and not isinstance(x, str | bytes) and len(x)
    return bool(is_list) and all(isinstance(each, str) for each in x)


def of_texts(spec: Spec, texts: Sequence[str] | np.ndarray) -> Integer[np.ndarray, 'n length']:
    """Returns the tokens of items.

    Raises:
      UserError: an item is empty, too long or has a symbol that the run lacks.
    """
    texts = [str(text) for text in texts]
    for number, text in enumerate(texts):
        if not text or END in text:
            raise UserError(
                f'item {number} is {shortened(text)}: give texts of one or more symbols'
            )
    names = [f'item {number}' for number in range(len(texts))]
    return encoded_as(texts, spec.symbols, spec.num_dims, names)


def check_events(x: Integer[np.ndarray, 'n length']) -> None:
    """Checks that each row of tokens is one item.

    Raises:
      UserError: a row has no symbol, no end, or symbols after its end.
    """
    is_item = (is_scored(x).sum(1) == 1 + (x != 0).sum(1)) & (x[:, 0] != 0) & (x[:, -1] == 0)
    if not is_item.all():
        row = int(np.argmin(is_item))
        raise UserError(
            f'row {row} of x is no item: give its tokens from 1 on, then 0, its end, up to the end '
            'of the row'
        )
