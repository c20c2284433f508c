"""What was understood of a data set, as numbers and as a table: printed before training, and kept.

digits: 8x8x1, 17 levels, training values 0 to 16
                 train       valid        test
  examples       1,000         350         447
  10 classes, with 96 to 104 training examples each
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from atelier.data import items, kinds
from atelier.data.classes import MAX_SHOWN, described
from atelier.data.dataset import EMBEDDED, Dataset
from atelier.data.spec import Spec
from atelier.data.splits import SPLITS
from atelier.log import counted, escaped, listed

MAX_VALUES = 1 << 26  # of the training split whose range is computed; of larger ones, the first
MAX_COMPARED = 1 << 24  # values of all splits in which copies are counted
MAX_NAMES_KEPT = 1000  # classes in the file
MAX_BINS = 8  # of the lengths of items
COPIES = {
    'repeated': 'examples that repeat another one of their split',
    'trained': 'examples that training has too',
}

Summary = dict[str, Any]


def summary_of(data: Dataset) -> Summary:
    """Returns what was understood of `data`, as JSON holds it.

    Returns:
      name, description, is_embedded (the data never change), event_shape, levels, stored_levels
      (before the data were binarised), splits (examples by name), items (number of texts that end,
      by split; None without them), split_origin, value_range of the stored training values [least,
      largest], num_values_read for it, constant_columns (of tables), drawn_as (what pictures take x
      for, None for endless text), is_drawn_by_guess, lengths (as of `item_lengths`), copies (as of
      `copies`), num_classes, num_classes_with_examples, classes [{name, train, valid, test}],
      num_classes_not_listed there, without_training_examples (names of classes),
      num_without_training_examples and notes.
    """
    spec = data.spec
    x = np.asarray(data.splits['train']['x'])
    part = x[: max(1, MAX_VALUES // max(1, spec.num_dims))]
    counts = class_counts(data)
    return {
        'name': data.name,
        'is_embedded': data.name in EMBEDDED and not spec.class_names,
        'description': data.description,
        'event_shape': list(spec.event_shape),
        'levels': spec.levels or spec.dequantized_levels,
        'stored_levels': data.stored_levels,
        'splits': {name: data.size(name) for name in SPLITS if name in data.splits},
        'items': _num_items(data),
        'split_origin': data.split_origin,
        'value_range': None if spec.symbols else [part.min().item(), part.max().item()],
        'num_values_read': part.size,
        'constant_columns': [] if spec.symbols else _constant_columns(part),
        'drawn_as': kinds.kind_of(spec) or None,
        'is_drawn_by_guess': kinds.is_guess(spec),
        'lengths': item_lengths(data),
        'copies': copies(data),
        'num_classes': spec.num_classes,
        'num_classes_with_examples': int(np.sum(sum(counts.values(), np.zeros(1, int)) > 0)),
        'classes': [
            {'name': spec.class_name(label), **{name: int(n[label]) for name, n in counts.items()}}
            for label in range(min(spec.num_classes or 0, MAX_NAMES_KEPT))
        ],
        'num_classes_not_listed': max(0, (spec.num_classes or 0) - MAX_NAMES_KEPT),
        'num_without_training_examples': len(spec.left_out),
        'without_training_examples': [
            spec.class_name(label) for label in spec.left_out[:MAX_NAMES_KEPT]
        ],
        'notes': list(data.notes),
    }


def class_counts(data: Dataset) -> dict[str, np.ndarray]:
    """Returns the number of examples of each class [classes], by split; {} without labels."""
    if data.spec.num_classes is None:
        return {}
    count = lambda split: np.bincount(np.asarray(split['label']), minlength=data.spec.num_classes)
    return {name: count(split) for name, split in data.splits.items()}


def item_lengths(data: Dataset) -> dict[str, Any] | None:
    """Returns how many symbols items have; None of data that are no items.

    Returns:
      The least, median and most symbols of training items, and bins [[first, last, number of
      items]] of about equally many symbols.
    """
    if not items.are_items(data.spec):
        return None
    train = items.all_num_symbols(data.splits['train']['x'])
    low, high = int(train.min()), int(train.max())
    edges = np.unique(np.linspace(low, high + 1, MAX_BINS + 1).round().astype(int))
    counts, _ = np.histogram(train, edges)
    bins = zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), counts.tolist(), strict=True)
    return {
        'least': low,
        'median': float(np.median(train)),
        'most': high,
        'bins': [[*each] for each in bins],
    }


def _num_items(data: Dataset) -> dict[str, int] | None:
    """Returns the number of items in each split, whose rows may have several; None if none end."""
    if not items.are_items(data.spec):
        return None
    return {name: items.count(data.splits[name]['x']) for name in SPLITS if name in data.splits}


def _constant_columns(x: np.ndarray) -> list[int]:
    """Returns the columns of a table [n, columns] that have one value; [] for other data."""
    return np.flatnonzero((x == x[:1]).all(0)).tolist() if x.ndim == 2 and len(x) > 1 else []


def copies(data: Dataset) -> dict[str, dict[str, int]] | None:
    """Counts equal examples, as they are stored: before data are binarised.

    Returns:
      {'repeated': {split: examples that repeat an earlier one of their split}, 'trained': {split:
      examples of other splits that training has too}}; None for endless text, whose windows repeat,
      and if the splits have more than `MAX_COMPARED` values. Items count one by one.
    """
    x = {name: part['x'] for name, part in data.splits.items()} | (data.stored or {})
    num_values = sum(part.size for part in x.values())
    symbols, have_ends = data.spec.symbols, items.are_items(data.spec)
    if (symbols is not None and not have_ends) or num_values > MAX_COMPARED:
        return None
    rows_of = (lambda x: items.unpacked(x, symbols)) if have_ends else _rows
    rows = {name: rows_of(x[name]) for name in SPLITS if name in x}
    known = {*rows['train']}
    repeated = {name: len(each) - len({*each}) for name, each in rows.items()}
    trained = {name: sum(row in known for row in rows[name]) for name in rows if name != 'train'}
    return {'repeated': repeated, 'trained': trained}


def _rows(x: np.ndarray) -> list[bytes]:
    x = np.ascontiguousarray(x).reshape(len(x), -1)
    return [row.tobytes() for row in x]


def lines_of(summary: Summary, spec: Spec) -> list[str]:
    """Returns the table of a summary, a line each; names in it are escaped."""
    return [
        escaped(line) for line in (_headline(summary), *_table(summary), *_remarks(summary, spec))
    ]


def _headline(summary: Summary) -> str:
    if summary['lengths']:
        longest = counted(summary['event_shape'][0] - 1, 'symbol')
        return (
            f'{summary["name"]}: items of at most {longest}, {summary["levels"] - 1} different ones'
        )
    shape = 'x'.join(map(str, summary['event_shape'])) or 'single values'
    parts = [f'{summary["name"]}: {shape}']
    if summary['levels']:
        parts.append(f'{summary["levels"]} levels')
    if summary['value_range'] is not None:
        low, high = summary['value_range']
        binarised = '' if summary['stored_levels'] is None else 'binarised from '
        parts.append(f'{binarised}training values {low:.6g} to {high:.6g}')
    return ', '.join(parts)


def _table(summary: Summary) -> list[str]:
    """Returns the sizes of the splits and, below them, of each class."""
    splits = [*summary['splits']]
    names = [] if summary['is_embedded'] else _occurring(summary)[:MAX_SHOWN]
    rows = [['', *splits], ['examples', *(f'{summary["splits"][name]:,}' for name in splits)]]
    if summary['items'] not in (None, summary['splits']):
        rows.append(['items', *(f'{summary["items"][name]:,}' for name in splits)])
    rows += [[each['name'], *(f'{each[name]:,}' for name in splits)] for each in names]
    first = max(len(row[0]) for row in rows)
    cells = lambda row: ''.join(f'{cell:>12}' for cell in row[1:])
    return [f'  {row[0]:<{first}}{cells(row)}' for row in rows]


def _occurring(summary: Summary) -> list[dict[str, Any]]:
    """Returns the listed classes that some split has."""
    return [each for each in summary['classes'] if any(each[name] for name in summary['splits'])]


def _remarks(summary: Summary, spec: Spec) -> Iterable[str]:
    if summary['lengths']:
        yield from _lengths(summary['lengths'])
    num_classes = summary['num_classes'] or 0
    if num_classes and summary['is_embedded']:
        yield f'  {counted(num_classes, "class")}, {_sizes(summary["classes"])}'
    elif summary['num_classes_with_examples'] > len(shown := _occurring(summary)[:MAX_SHOWN]):
        more = summary['num_classes_with_examples'] - len(shown)
        yield f'  and {counted(more, "more class")}'
    if summary['split_origin']:
        yield f'  splits: {summary["split_origin"]}'
    if spec.left_out:
        yield f'  classes without training examples: {described(spec, spec.left_out)}'
    num_read = summary['num_values_read'] // max(1, spec.num_dims)
    if num_read < summary['splits']['train'] and not spec.symbols:
        columns = ' and columns with one value' if len(spec.event_shape) == 1 else ''
        yield f'  range{columns}: of the first {counted(num_read, "training example")} only'
    if summary['constant_columns']:
        name_of = spec.column_name if spec.column_names else str
        columns = listed([*map(name_of, summary['constant_columns'])], MAX_SHOWN)
        yield f'  columns with one value: {columns}'
    if kinds.is_guess(spec):
        yield f'  {kinds.remark_of(spec)}'
    if summary['copies'] is None and (not spec.symbols or items.are_items(spec)):
        yield '  copies of examples: not counted, because the data are large'
    for name, title in COPIES.items():
        counts = (summary['copies'] or {}).get(name, {})
        found = [f'{n:,} in {split}' for split, n in counts.items() if n]
        if found:
            yield f'  {title}: {", ".join(found)}'


def _lengths(lengths: dict[str, Any]) -> Iterable[str]:
    """Yields the range of the lengths of training items, and their histogram in two lines."""
    low, high = lengths['least'], lengths['most']
    yield f'  training items have {low} to {high} symbols, with median {lengths["median"]:g}'
    names = [
        f'{first}-{last}' if last > first else f'{first}' for first, last, _ in lengths['bins']
    ]
    yield '  symbols' + ''.join(f'{name:>9}' for name in names)
    yield '  number ' + ''.join(f'{count:>9,}' for _, _, count in lengths['bins'])


def _sizes(classes: list[dict[str, Any]]) -> str:
    counts = [each['train'] for each in classes]
    return f'with {min(counts):,} to {max(counts):,} training examples each'
