"""A data set of items: their splits, the vocabulary, events, and packed rows for training.

The vocabulary is the end of an item (`items.END`) and the sorted symbols of training and
validation. Test items with other symbols are left out, and a note counts them.

The split of an item by content follows from the digest (`splits.file_digest`) of its UTF-8 text, so
equal items share a split.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from atelier.data import item_tokens
from atelier.data.classes import natural
from atelier.data.condition_columns import Arrays, Columns, joined, of_cell, prepared
from atelier.data.dataset import Dataset, Spec
from atelier.data.item_texts import Items
from atelier.data.origins import Origins, named
from atelier.data.splits import (
    SPLITS,
    Digests,
    file_digest,
    fixed_order,
    hold_out,
    hold_out_by_content,
    printed_rule,
)
from atelier.data.train_and_valid import described
from atelier.errors import UserError, at_least, choose
from atelier.log import counted, log
from atelier.names import stored_names

TOO_LONG = ('refuse', 'cut', 'leave_out')  # of `config.data.too_long`
MAX_CLASSES = 1000
USUAL, MUCH = 99, 3  # percentile of lengths; how many times longer the longest item is then


class Rules(NamedTuple):
    """Fields of `config.data` that make events of items, and their splits.

    max_length: most symbols of an item; 0: those of the longest.
    too_long: what happens to longer ones, one of `TOO_LONG`.
    is_packed: whether training rows hold several items; otherwise they are events, with labels.
    context, num_pieces: as of `item_tokens.packed`.
    """

    max_length: int
    too_long: str
    is_packed: bool
    context: int
    num_pieces: int
    split_by: str
    held_out_share: float
    num_valid: int
    train_on_valid: bool


def dataset_of(name: str, file: str, parts: dict[str, Items], rules: Rules, noun: str) -> Dataset:
    """Returns the data set of items.

    Args:
      name: of the source.
      file: what the data are called.
      parts: the items of 'train' and, if the data have their own, of other splits.
      rules: see there.
      noun: what an item is called.

    Raises:
      UserError: an item is too long, a split is empty, or a rule is invalid.
    """
    _check(rules)
    parts = {split: _of_length(items, rules, file, noun) for split, items in parts.items()}
    given = _condition(parts, file)
    index, rule, origin = _split(parts, rules)
    texts = [text for items in parts.values() for text in items.texts]
    tokens, symbols, index, unknown = item_tokens.encoded(texts, index, noun)
    length = rules.max_length or int(tokens.sizes.max())
    if rules.train_on_valid:
        index['train'] = np.concatenate([index['train'], index['valid']])
        rule, origin = rule and described(rule), described(origin)
    label, class_names = _classes(parts, rules, file)
    notes = dict.fromkeys(note for items in parts.values() for note in items.notes)
    notes = (*notes, *unknown, *(given.notes if given else ()))
    for note in notes:
        log.info('%s: %s', file, note)
    num_classes = None if label is None else int(label.max()) + 1
    spec = Spec((length + 1,), len(symbols), num_classes, symbols=symbols, class_names=class_names)
    return Dataset(
        name,
        spec._replace(condition=given and given.condition),
        _arrays(tokens, label, given.arrays if given else {}, index, length, rules),
        f'{file}: {counted(len(texts), noun)} of at most {length} symbols, '
        f'{len(symbols) - 1} different ones',
        split_rule=rule,
        split_origin=origin,
        notes=notes,
        origins=_origins(parts, index, rules.is_packed, file),
    )


def _arrays(
    tokens: item_tokens.Encoded,
    label: Int[np.ndarray, 'items'] | None,
    condition: dict[str, np.ndarray],
    index: dict[str, np.ndarray],
    length: int,
    rules: Rules,
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the arrays of each split."""
    splits = {}
    for split, each in index.items():
        if rules.is_packed and split == 'train':
            x = item_tokens.packed(tokens, each, length, rules.context, rules.num_pieces)
        else:
            x = item_tokens.events(tokens, each, length)
        others = condition if label is None else {'label': label, **condition}
        splits[split] = {'x': x, **{key: array[each] for key, array in others.items()}}
    return splits


def _condition(parts: dict[str, Items], file: str) -> Arrays | None:
    """Returns the condition of all items; None if they have none.

    Raises:
      UserError: as `condition_columns.arrays_of`.
    """
    given = joined([columns_of(items, file) for items in parts.values()], file)
    return prepared(given, file, is_guess=False)


def columns_of(items: Items, file: str, are_texts: bool = False) -> Columns | None:
    """Returns the columns that items are conditional on; None if there are none.

    Cells that hold numbers become numbers, or stay texts, as `rows_as` reads them.
    """
    if items.condition is None:
        return None
    value = str if are_texts else of_cell
    values = {name: [*map(value, cells)] for name, cells in items.condition.items()}
    return Columns(values, lambda i: f'{file}, {items.counted_by} {items.rows[i]:,}')


def _origins(
    parts: dict[str, Items], index: dict[str, np.ndarray], is_packed: bool, file: str
) -> Origins:
    """Returns the line of each item; packed rows have none."""
    names = [file] if len(parts) == 1 else [f'{file}:{split}' for split in parts]
    sizes = [int(items.rows.max()) + 1 for items in parts.values()]  # lines are counted from 1
    starts = np.cumsum([0, *sizes[:-1]])
    lines = [items.rows + start for items, start in zip(parts.values(), starts, strict=True)]
    rows = np.concatenate(lines)
    events = [split for split in index if split != 'train' or not is_packed]
    return named(names, sizes)._replace(rows={split: rows[index[split]] for split in events})


def _check(rules: Rules) -> None:
    for field in ('max_length', 'context', 'num_pieces', 'num_valid'):
        at_least(0, f'data.{field}', getattr(rules, field))
    choose('data.too_long', rules.too_long, dict.fromkeys(TOO_LONG))
    if rules.num_pieces and not rules.is_packed:
        raise UserError(
            f'config.data.num_pieces={rules.num_pieces}: pieces are packed rows: set '
            'config.data.is_packed=True'
        )


def _of_length(items: Items, rules: Rules, file: str, noun: str) -> Items:
    """Returns the items without those that are too long, or with their first symbols only.

    Raises:
      UserError: some are too long, and they are refused or there are no others.
    """
    most, sizes = rules.max_length, np.fromiter(map(len, items.texts), np.int64)
    longest = int(sizes.argmax())
    if not most:
        return items._replace(notes=(*items.notes, *_note_on_longest(items, longest, sizes)))
    is_long = sizes > most
    count = int(is_long.sum())
    if not count:
        return items
    which = f'{counted(count, noun)} of more than config.data.max_length={most} symbols'
    if rules.too_long == 'refuse':
        raise UserError(
            f'{file} has {which}, at most {sizes[longest]:,} ({items.counted_by} '
            f'{items.rows[longest]:,}): set '
            'config.data.too_long to cut or leave_out, or a larger max_length'
        )
    if rules.too_long == 'cut':
        texts = [text[:most] for text in items.texts]
        return items._replace(texts=texts, notes=(*items.notes, f'{which}, cut'))
    if count == len(sizes):
        raise UserError(f'{file} has only {which}: set a larger one')
    kept = items.at(np.flatnonzero(~is_long))
    return kept._replace(notes=(*kept.notes, f'{which}, left out'))


def _note_on_longest(items: Items, longest: int, sizes: np.ndarray) -> tuple[str, ...]:
    """Returns a note if few items make all events much longer than most items need."""
    usual = math.ceil(np.percentile(sizes, USUAL))
    if sizes[longest] <= MUCH * usual:
        return ()
    return (
        f'events are as long as the longest item, which has {sizes[longest]:,} symbols '
        f'({items.counted_by} {items.rows[longest]:,}); {USUAL} % of the items have at most '
        f'{usual:,}: config.data.max_length and too_long leave longer ones out or cut them',
    )


def _split(
    parts: dict[str, Items], rules: Rules
) -> tuple[dict[str, Int[np.ndarray, '_']], str, str]:
    """Returns the indices of the items of each split, the rule by content, and the origin."""
    splits, sorted_digests, before = {}, {}, 0
    for split, items in parts.items():
        order = fixed_order(len(items.texts))
        if rules.split_by == 'content':
            digests = _digests(items.texts)
            order = order[np.argsort(digests[order], kind='stable')]
            sorted_digests[split] = digests[order]
        splits[split] = {'x': before + order}
        before += len(order)
    if rules.split_by == 'content':
        train = sorted_digests['train']
        splits, rule = hold_out_by_content(splits, train, rules.held_out_share)
        origin = printed_rule(rule)
    else:
        missing = [split for split in ('valid', 'test') if split not in parts]
        splits, rule = hold_out(splits, rules.num_valid), ''
        origin = f'{" and ".join(missing)} cut from the end of train, in a fixed random order'
    return {split: splits[split]['x'] for split in SPLITS}, rule, origin


def _digests(texts: list[str]) -> Digests:
    return np.fromiter((file_digest(text.encode()) for text in texts), np.uint64, len(texts))


def _classes(
    parts: dict[str, Items], rules: Rules, file: str
) -> tuple[Int[np.ndarray, 'items'] | None, tuple[str, ...]]:
    """Returns the class of each item and the names of the classes; None and () without labels."""
    labels = [label for items in parts.values() for label in items.labels or ()]
    if not labels or rules.is_packed:
        return None, ()
    names = sorted({*labels}, key=natural)
    if len(names) > MAX_CLASSES:
        raise UserError(
            f'{file} has {counted(len(names), "different label")}, more than {MAX_CLASSES:,}: are '
            'they classes?'
        )
    number = {name: index for index, name in enumerate(names)}
    label = np.fromiter((number[each] for each in labels), np.int32, len(labels))
    return label, stored_names(names)
