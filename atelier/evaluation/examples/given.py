"""Examples in place of a run's test split: another split, a file or folder of yours, or arrays."""

import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from atelier.data import dataset, text_files
from atelier.data.arrays import check_float32
from atelier.data.classes import MAX_SHOWN
from atelier.data.condition_arrays import NAMES
from atelier.data.conditions.condition import KEY
from atelier.data.dataset import Dataset, Spec
from atelier.data.items import are_items, are_packed, as_events
from atelier.data.moments import moments
from atelier.data.npz_files import open_npz
from atelier.data.origins import Origins, joined, named, of_splits
from atelier.data.splits import SPLITS
from atelier.data.stand_in import StandIn, stand_in
from atelier.data.text import encode, scored_once
from atelier.data.text_splits import positions
from atelier.data.units import warn_of_units
from atelier.errors import UserError, about, check_option, reading, shortened
from atelier.evaluation.examples import given_conditions, given_items, given_parquet
from atelier.evaluation.examples.given_labels import check_class_names, checked_labels, numbers_of
from atelier.evaluation.examples.given_pictures import of_folder, pictures, unbinarised_levels
from atelier.log import counted, listed
from atelier.names import stored_names
from atelier.paths import user_path
from atelier.run.experiment import Run
from atelier.run.refit import warn_if_trained

SPLIT_SUFFIX = '-split-'  # of the names of results of another split
FROM_ARRAYS = 'array'  # the file of an example that was given as an array


def with_split(run: Run, split: str) -> Run:
    """Returns the run with a split in place of its test split.

    Raises:
      UserError: there is no such split.
    """
    check_option('split', split, SPLITS)
    if split == 'test':
        return run
    warn_if_trained(run.config, run.folder, split)
    data = run.data
    examples, old = _events(data, split)
    origins = old._replace(
        rows={**old.rows, 'test': old.rows[split]}, suffix=f'{SPLIT_SUFFIX}{split}'
    )
    splits = {**data.splits, 'test': examples}
    description = f'the {split} split of {data.description}'
    return run._replace(data=data._replace(splits=splits, origins=origins, description=description))


def _events(data: Dataset, split: str) -> tuple[dict[str, np.ndarray], Origins]:
    """Returns the arrays of a split with one event a row, and the origins of its rows."""
    arrays = data.splits[split]
    if not are_items(data.spec) or not are_packed(arrays['x']):
        return arrays, data.origins_with(split)
    x = as_events(arrays['x'], data.spec.num_dims)
    return {'x': x}, of_splits(data.name, {split: len(x)})


def with_given(run: Run, given: Dataset) -> Run:
    """Returns the run with the examples of `read` or `from_arrays` in place of its test split.

    If its data were not read, they still are not, and there are no other splits.
    """
    if isinstance(run.data, StandIn):
        data = stand_in(run.data.name, run.data.spec, run.data.shapes, lambda: given)
        return run._replace(data=data._replace(origins=given.origins))
    sizes = {split: run.data.size(split) for split in run.data.splits}
    data = run.data._replace(
        splits={**run.data.splits, **given.splits},
        origins=joined(run.data.origins or of_splits(run.data.name, sizes), given.origins),
        description=given.description,
    )
    return run._replace(data=data)


def read(run: Run, path: str, suffix: str = '') -> Dataset:
    """Returns the examples at `path` as a data set with the split 'test' alone, in their order.

    The run's Spec decides what is read: a text for symbols, or items; otherwise an .npz with x and
    perhaps label (or x_train, ...), a picture, a folder of pictures, or parquet files of images.
    Pictures are cropped and scaled to the run's shape. Folders are classes, if the run has classes
    of these names.

    Args:
      run: its Spec and its preprocessing are those of the examples.
      path: of a file or a folder.
      suffix: of the names of results.

    Raises:
      UserError: there is no such file, or its examples are not like those of the run.
    """
    file = user_path(path)
    with reading(file):
        if not file.exists():
            raise UserError('there is no such file')
        is_folder = file.is_dir()
    if are_items(run.data.spec):
        split, origins = given_items.of_file(run, file)
    elif run.data.spec.symbols is not None:
        split, origins = _text(run, file)
    elif parquet_files := given_parquet.files_at(file):
        split, origins = given_parquet.of_files(run, parquet_files, file.name)
    elif is_folder:
        split, origins = of_folder(run, file)
    elif zipfile.is_zipfile(file):
        split, origins = _arrays(run, file)
    else:
        split, origins = {'x': pictures(run, [file])}, named([file.name])
    split = given_conditions.check_whole(run, split)
    return as_data(run, split, origins._replace(suffix=suffix), file.name)


def from_arrays(run: Run, x: Any, label: Any = None, condition: Any = None) -> Dataset:
    """Returns examples x [n, *event], in the units of the stored data, as `read` does.

    If the run has items, x may be a list of texts, too. The condition is as of
    `given_conditions.checked`.

    Raises:
      UserError: x, label or condition is not like those of the run.
    """
    if are_items(run.data.spec) and given_items.are_texts(x):
        split = {'x': given_items.of_texts(run.data.spec, x)}
    else:
        split = {'x': _checked(run, _as_array('x', x))}
    if label is not None:
        numbers = numbers_of(run.data.spec, _as_array('label', label))
        split['label'] = checked_labels(run, numbers, len(split['x']))
    if condition is not None and run.data.spec.condition is not None:
        values = _as_array('condition', condition)
        expected = run.data.spec.condition
        split[KEY] = given_conditions.checked(expected, values, len(split['x']), 'condition')
    split = given_conditions.check_whole(run, split)
    return as_data(run, split, named([FROM_ARRAYS], [len(split['x'])]), FROM_ARRAYS)


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of several lengths, for example
        reason = ' '.join(str(error).split())
        raise UserError(
            f'{name} is no array of numbers, all rows of one shape: {reason}'
        ) from error


def _text(run: Run, file: pathlib.Path) -> tuple[dict[str, np.ndarray], Origins]:
    """Returns windows that together score each character once, as those of the test split."""
    (context,), symbols = run.data.spec.event_shape, run.data.spec.symbols
    text = text_files.read(file)
    if len(text) < context:
        raise UserError(f'it has {counted(len(text), "character")}, fewer than a window: {context}')
    split = scored_once(encode(text, symbols), context, context // 2)
    rows = {'test': positions(np.array([[0, len(text)]]), split)}
    return split, named([file.name], [len(text)])._replace(rows=rows)


def _arrays(run: Run, file: pathlib.Path) -> tuple[dict[str, np.ndarray], Origins]:
    with open_npz(file) as arrays:
        suffixes = [suffix for suffix in ('', *(f'_{s}' for s in SPLITS)) if f'x{suffix}' in arrays]
        if not suffixes:
            raise UserError(f'it has no x: it has {", ".join(arrays) or "nothing"}')
        labels = [arrays[f'label{suffix}'] for suffix in suffixes if f'label{suffix}' in arrays]
        _check_keys(run, arrays, suffixes, len(labels))
        parts = [_checked(run, arrays[f'x{suffix}']) for suffix in suffixes]
        sizes = [len(part) for part in parts]
        condition = given_conditions.of_arrays(run, arrays, suffixes, sizes)
    split = {'x': np.concatenate(parts), **condition}
    if labels:
        split['label'] = checked_labels(run, np.concatenate(labels), sum(sizes))
    names = [f'{file.name}:x{suffix}' if suffix else file.name for suffix in suffixes]
    return split, named(names, sizes)


def _check_keys(run: Run, arrays: Mapping, suffixes: list[str], num_labels: int) -> None:
    """Refuses keys that would be ignored, and levels or names that the run has not."""
    kinds = ('x', 'label', *given_conditions.keys_of(run))
    known = {f'{kind}{suffix}' for kind in kinds for suffix in suffixes}
    known |= {NAMES} if KEY in kinds else set()
    unknown = sorted(set(arrays) - known - {'levels', 'class_names', 'column_names'})
    if unknown or 0 < num_labels < len(suffixes):
        raise UserError(
            f'it has {", ".join(arrays)}: known are x or x_train, x_valid, x_test, '
            f'{" and ".join(kinds[1:])} likewise for each of them or for none, levels, '
            'class_names and column_names'
        )
    spec, levels = run.data.spec, unbinarised_levels(run)
    if 'levels' in arrays and arrays['levels'].tolist() != levels:
        raise UserError(
            f'it has {shortened(arrays["levels"].tolist())} levels, and {run.data.name} has '
            f'{levels or "real values"}: give x in the units of the run'
        )
    names = [str(name) for name in arrays.get('class_names', np.array([])).ravel().tolist()]
    if num_labels:
        check_class_names(run, names)
    columns = [str(name) for name in arrays.get('column_names', np.array([])).ravel().tolist()]
    if columns and spec.column_names and stored_names(columns) != spec.column_names:
        raise UserError(
            f'its column_names are {listed(columns, MAX_SHOWN)}, and those of the run are '
            f'{listed(spec.column_names, MAX_SHOWN)}: give the same columns in the same order'
        )


def _checked(run: Run, x: np.ndarray) -> np.ndarray:
    """Returns x in the type of stored data.

    Raises:
      UserError: x has another shape or other levels than the run's data.
    """
    event, levels = run.data.spec.event_shape, unbinarised_levels(run)
    if x.shape[1:] != event or x.ndim != 1 + len(event) or not len(x) or x.dtype.kind not in 'biuf':
        others = 'texts, or ' if are_items(run.data.spec) else ''
        needed = f'{others}numbers [n, {", ".join(map(str, event))}]'
        raise UserError(f'x is {x.dtype} {x.shape}: give {needed}')
    if x.dtype.kind == 'f':
        check_float32(x, 'x')
    if levels is None:
        warn_of_units(*moments(x), run.data.spec)
        return x.astype(np.float32)
    if (x != np.floor(x)).any() or x.min() < 0 or x.max() >= levels:
        raise UserError(
            f'x goes from {x.min():g} to {x.max():g}: {run.data.name} has the {levels} levels 0 to '
            f'{levels - 1}, as integers'
        )
    if are_items(run.data.spec):
        given_items.check_events(x)
    return x.astype(np.uint8 if levels <= 256 else np.int32)


def as_data(run: Run, split: dict, origins: Origins, name: str) -> Dataset:
    """Returns the examples as a data set, preprocessed like the run's data."""
    config, spec, n = run.config.data, run.data.spec, len(split['x'])
    stored = Spec(spec.event_shape, unbinarised_levels(run), spec.num_classes, symbols=spec.symbols)
    rows = origins.rows or {'test': np.arange(n)}
    data = Dataset(
        run.data.name,
        stored,
        {'test': split},
        f'{name}, {counted(n, "example")}',
        origins=origins._replace(rows=rows),
    )
    return dataset.dequantized(dataset.binarized(data, config.binarize), config.dequantize)


def examples_in_place(run: Run, split: str, path: str, suffix: str = '') -> Run:
    """Returns the run whose test split is another split, or the examples at `path` if it is given.

    Raises:
      UserError: as `read` and `with_split`, or both are given.
    """
    if not path:
        return with_split(run, split)
    if split != 'test':
        raise UserError(f'--split={split} --data={path}: give one of them')
    with about(f'--data={path}'):
        return with_given(run, read(run, path, suffix))
