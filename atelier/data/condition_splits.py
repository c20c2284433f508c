"""Conditions in the arrays of splits: captions become tokens, and training fixes the rest."""

from typing import Any

import numpy as np

from atelier.data.conditions.condition import (
    KEY,
    MAX_COLUMNS,
    MAX_WORDS,
    fault_of_texts,
    in_stored_type,
    of_training,
)
from atelier.data.conditions.labels import MAX_SHOWN, Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import END, Words, of_captions
from atelier.data.left_out import rows_of
from atelier.data.origins import Origins
from atelier.errors import UserError, shortened
from atelier.log import counted, escaped, listed, log

CAPTION = 'caption'  # array of a split, texts [n], that a source gives
Splits = dict[str, dict[str, np.ndarray]]


def conditioned(data: Any) -> Any:
    """Returns a `Dataset` with the condition of its Spec as an array `KEY`, as training fixes it.

    Captions are in an array `CAPTION`. Their vocabulary is that of training and validation. Test
    examples whose captions have other words, or more words, are left out.

    Args:
      data: with the splits 'train', 'valid' and 'test'.

    Raises:
      UserError: a caption is empty, a column is constant or varies too little for float32, or there
        are too many words or columns.
    """
    if CAPTION in data.splits['train']:
        data = _with_tokens(data)
    condition = data.spec.condition
    if condition is None:
        return data
    if condition.num_columns > MAX_COLUMNS:
        raise UserError(
            f'a condition of {condition.num_columns:,} columns: at most {MAX_COLUMNS:,} are read'
        )
    condition = of_training(condition, data.splits['train'][KEY])
    splits = {
        name: {**split, KEY: in_stored_type(condition, split[KEY])}
        for name, split in data.splits.items()
    }
    data = data._replace(spec=data.spec._replace(condition=condition), splits=splits)
    return _with_note_on_untrained(data)


def _with_note_on_untrained(data: Any) -> Any:
    """Returns the data with a note on examples whose condition training lacks; it is logged."""
    condition, counts = data.spec.condition, ()
    if isinstance(condition, Numbers) or not condition.untrained:
        return data
    for name, split in data.splits.items():
        count = int((~condition.is_trained(split[KEY])).any(1).sum())
        if count:
            counts += (f'{count:,} of {name}',)
    note = f'training lacks {_untrained_in(condition)}: requests of them are refused'
    if counts:
        note += f'; examples with them, which results count: {", ".join(counts)}'
    (log.warning if counts else log.info)('%s: %s', data.name, note)
    return data._replace(notes=(*data.notes, note))


def _untrained_in(condition: Labels | Words) -> str:
    if isinstance(condition, Words):
        return f'the words {listed([*map(escaped, condition.untrained)], MAX_SHOWN)}'
    each = [
        f'{escaped(name)} {escaped(text)}'
        for name, lacking in zip(condition.names, condition.untrained, strict=True)
        for text in lacking
    ]
    return f'the values {listed(each, MAX_SHOWN)}'


def _with_tokens(data: Any) -> Any:
    """Returns the data with tokens in place of captions, and their `Words` in the Spec."""
    words, splits, notes = _words_of(data.splits), {}, ()
    for name, split in data.splits.items():
        rows, index = _tokens(words, split[CAPTION])
        if not len(index):
            raise UserError(f'each caption of {name} has a word that training lacks')
        others = {key: array for key, array in split.items() if key != CAPTION}
        if len(index) < len(rows):
            lost = counted(len(rows) - len(index), 'example')
            notes += (f'{lost} of {name} left out: training lacks words of their captions',)
            log.info('%s: %s', data.name, notes[-1])
            others = rows_of(others, index, f'{name}-with-known-words')
            data = data._replace(origins=_at(data.origins, name, index))
        splits[name] = {**others, KEY: rows[index]}
    spec = data.spec._replace(condition=words)
    return data._replace(splits=splits, spec=spec, notes=data.notes + notes)


def _words_of(splits: Splits) -> Words:
    """Returns the words of training and validation.

    Raises:
      UserError: a caption is empty, or there are too many different words, or too many in one.
    """
    known = [str(text) for split in ('train', 'valid') for text in splits[split][CAPTION]]
    words = of_captions(known)
    if len(words.vocabulary) > MAX_WORDS or words.length > MAX_COLUMNS:
        raise UserError(
            f'captions of {counted(len(words.vocabulary), "different word")} and up to '
            f'{counted(words.length - 1, "word")}: at most {MAX_WORDS:,} and {MAX_COLUMNS - 1:,} '
            'are read'
        )
    fault = fault_of_texts(words.vocabulary, MAX_WORDS)
    if fault:
        raise UserError(f'captions: {fault}')
    return words


def _at(origins: Origins | None, split: str, index: np.ndarray) -> Origins | None:
    """Returns the origins with only these examples of the split."""
    if origins is None or split not in origins.rows:
        return origins
    return origins._replace(rows=origins.rows | {split: np.asarray(origins.rows[split])[index]})


def _tokens(words: Words, captions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows [n, length] of captions, and the indices of those without unknown words."""
    rows, is_known = np.full((len(captions), words.length), END, np.int32), []
    for i, text in enumerate(captions):
        tokens = words.tokens(str(text))
        if not tokens:
            raise UserError(f'a caption is empty: {shortened(str(text))}')
        is_known.append(None not in tokens and len(tokens) < words.length)
        if is_known[-1]:
            rows[i, : len(tokens)] = tokens
    return rows, np.flatnonzero(is_known)
