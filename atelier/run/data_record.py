"""What config.json records of a run's data: with it, the model is built without the data.

    "data_name": "digits",
    "spec": {"event_shape": [8, 8, 1], "levels": 17, "num_classes": 10, ...}
    "train_shapes": {"x": {"shape": [1200, 8, 8, 1], "dtype": "uint8"}, ...}

The file may be untrusted: types, sizes and their agreement are checked before anything is built.
"""

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from atelier.data import kinds
from atelier.data.classes import indices_of
from atelier.data.conditions import condition as conditions
from atelier.data.dataset import Dataset, Spec
from atelier.data.images import LEVELS
from atelier.data.items import are_items
from atelier.data.sources import ITEMS, TEXTS, decodes_pictures, is_name_of
from atelier.data.stand_in import ArrayShape, StandIn, shapes_of, stand_in
from atelier.errors import UserError, shortened
from atelier.names import are_encodable, are_names
from atelier.run import limits
from atelier.run.stored_values import damaged

FIELDS = ('data_name', 'spec', 'train_shapes')  # of config.json
MAX_RECORD = (
    1 << 20
)  # characters of the record; a table may have more columns than config.json can hold
MAX_SIZE = 2**31 - 1  # of an axis
MAX_KINDS = 2**24  # of levels or classes, as of the sizes in config.model
MAX_AXES = 8
MAX_ARRAYS = 16
DTYPES = (
    *('bool', 'uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64'),
    *('float16', 'float32', 'float64'),
)


class DataRecord(NamedTuple):
    """The name and the Spec of a run's data, and the shapes of their training split."""

    name: str
    spec: Spec
    shapes: dict[str, ArrayShape]


def recorded_fields(data: Dataset) -> dict[str, Any]:
    """Returns the fields of config.json for these data.

    They are None if the record would be too large for the file: then the model is built from the
    data alone.
    """
    shapes = {
        name: {'shape': list(array.shape), 'dtype': array.dtype}
        for name, array in shapes_of(data).items()
    }
    spec = data.spec._asdict() | {'condition': conditions.recorded(data.spec.condition)}
    record = {'data_name': data.name, 'spec': spec, 'train_shapes': shapes}
    is_small = len(json.dumps(record, indent=2)) <= MAX_RECORD
    return record if is_small else dict.fromkeys(FIELDS)


def read(path: pathlib.Path, record: dict[str, Any]) -> DataRecord | None:
    """Returns what the record in the file `path` says of the run's data, or None if nothing.

    Runs of earlier versions recorded nothing.

    Raises:
      UserError: a value has another type than the program writes, or values contradict each other.
    """
    if all(record[field] is None for field in FIELDS):
        return None
    if record['data_name'] is None:
        raise damaged(path, 'data_name is missing')
    spec = _spec(path, record['spec'])
    shapes = _shapes(path, record['train_shapes'])
    _check_agreement(path, spec, shapes, record)
    _check_source(path, spec, record)
    return DataRecord(record['data_name'], spec, shapes)


def stand_in_for(
    path: pathlib.Path, recorded: DataRecord, read_data: Callable[[], Dataset]
) -> StandIn:
    """Returns a stand-in for the data of the run whose config.json is `path`.

    Args:
      path: of the file.
      recorded: as `read` returns it.
      read_data: reads the data.

    Raises:
      UserError: an example would not fit into memory.
    """
    name, spec, shapes = recorded
    values = [math.prod(spec.event_shape) * max(spec.levels or 1, spec.dequantized_levels or 1)]
    values += [array.values_per_example for array in shapes.values()]
    limits.check_one_example(f'the data that {path} describes', max(values))
    return stand_in(name, spec, shapes, read_data)


def _spec(path: pathlib.Path, stored: Any) -> Spec:
    required = {*Spec._fields} - {*Spec._field_defaults}
    if not isinstance(stored, dict) or not required <= {*stored} <= {*Spec._fields}:
        raise damaged(path, f'spec is {shortened(stored)}')
    for field, value in stored.items():
        if not _CHECKS[field](value):
            raise damaged(path, f'spec.{field} is {shortened(value)}')
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    spec = Spec(**plain | {'condition': _condition(path, stored.get('condition'))})
    if spec.symbols is not None and len(spec.symbols) != spec.levels:
        raise damaged(path, f'spec has {len(spec.symbols)} symbols for {spec.levels} levels')
    for field in ('mean', 'std'):
        value = getattr(spec, field)
        if isinstance(value, tuple) and (len(value),) != spec.event_shape:
            raise damaged(path, f'spec.{field} has {len(value)} values')
    if spec.background is not None and (spec.image_shape or ())[2:] != (len(spec.background),):
        raise damaged(path, f'spec.background has {len(spec.background)} values')
    if spec.class_names and len(spec.class_names) != spec.num_classes:
        raise damaged(path, f'spec has {len(spec.class_names)} names of {spec.num_classes} classes')
    if spec.column_names and spec.event_shape[-1:] != (len(spec.column_names),):
        raise damaged(path, f'spec has {len(spec.column_names)} names of columns')
    if not all(0 <= label < (spec.num_classes or 0) for label in spec.left_out):
        raise damaged(path, f'spec.left_out is {shortened(spec.left_out)}')
    return spec


def _condition(path: pathlib.Path, stored: Any) -> conditions.Condition | None:
    try:
        return conditions.from_record(stored)
    except ValueError as error:
        raise damaged(path, f'spec.condition: {error}') from None


def _shapes(path: pathlib.Path, stored: Any) -> dict[str, ArrayShape]:
    if not isinstance(stored, dict) or 'x' not in stored or len(stored) > MAX_ARRAYS:
        raise damaged(path, f'train_shapes is {shortened(stored)}')
    shapes = {}
    for name, array in stored.items():
        is_whole = isinstance(array, dict) and {*array} == {'shape', 'dtype'}
        if not (name.isidentifier() and is_whole and array['dtype'] in DTYPES):
            raise damaged(path, f'train_shapes.{shortened(name)} is {shortened(array)}')
        if not _is_shape(array['shape']) or not array['shape']:
            raise damaged(path, f'train_shapes.{name}.shape is {shortened(array["shape"])}')
        shapes[name] = ArrayShape(tuple(array['shape']), array['dtype'])
    return shapes


def _check_agreement(
    path: pathlib.Path, spec: Spec, shapes: dict[str, ArrayShape], record: dict[str, Any]
) -> None:
    """Refuses a Spec that is not that of the shapes, of the config or of the fingerprint."""
    x, config = shapes['x'].shape, record['values']['data']
    if len({array.shape[0] for array in shapes.values()}) > 1:
        raise damaged(path, 'the arrays of train_shapes have different numbers of examples')
    have_ends = are_items(spec)
    is_packed = have_ends and bool(config.get('is_packed'))
    has_pieces = spec.symbols is not None and not have_ends and bool(config.get('num_pieces'))
    is_row = len(x) == 2 and (has_pieces or is_packed and x[1] >= spec.num_dims)
    if x[1:] != spec.event_shape and not is_row:
        event = list(spec.event_shape)
        raise damaged(path, f'train_shapes.x.shape is {list(x)}, spec.event_shape is {event}')
    condition, given = spec.condition, shapes.get(conditions.KEY)
    columns = None if condition is None else condition.num_columns
    if (condition is None) != (given is None) or given and given.shape[1:] != (columns,):
        raise damaged(path, 'train_shapes.condition does not agree with spec')
    one_axis = {'label': spec.num_classes is not None, 'num_scored': has_pieces}
    for name, is_expected in one_axis.items():
        if is_expected != (name in shapes) or is_expected and len(shapes[name].shape) != 1:
            raise damaged(path, f'train_shapes.{name} does not agree with spec')
    if not _is_left_out(spec, config):
        raise damaged(path, f'spec.left_out is {shortened(spec.left_out)}')
    fingerprint = record['data'] or {}
    if fingerprint.get('x', spec.format) != spec.format:
        raise damaged(path, f'spec is {spec.format}, data is {fingerprint["x"]}')


def _check_source(path: pathlib.Path, spec: Spec, record: dict[str, Any]) -> None:
    """Refuses a Spec that data of the source and the settings in the config cannot have."""
    config, num_levels = record['values']['data'], spec.levels or spec.dequantized_levels
    source, name = config['name'], record['data_name']
    has_pictures = decodes_pictures(source)
    is_image = len(spec.event_shape) == 3 and spec.event_shape[2] in (1, 3)
    is_binary = config.get('binarize', 'none') != 'none'
    has_noise = config.get('dequantize', 'none') != 'none'
    agrees = (
        is_name_of(name, source)
        and (source in TEXTS) == (spec.symbols is not None)
        and (source in ITEMS) == are_items(spec)
        and has_noise == (spec.dequantized_levels is not None)
        and (not is_binary or num_levels == 2)
        and (not has_pictures or is_image and num_levels == (2 if is_binary else LEVELS))
    )
    if not agrees:
        raise damaged(
            path,
            f'data_name {shortened(name)} and spec ({shortened(spec.format)}) do not agree with '
            f'config.data (name {shortened(source)})',
        )


def _is_left_out(spec: Spec, config: dict[str, Any]) -> bool:
    """Whether the classes that the config leaves out are those without training examples."""
    try:
        of_config = {*indices_of(spec, config.get('without_classes', ()))}
    except UserError:
        return False
    if config.get('classes', 'declared') == 'trained':
        return of_config <= {*spec.left_out} and bool(spec.known_classes or not spec.left_out)
    return spec.left_out == tuple(sorted(of_config))


def _is_integer(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_shape(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) <= MAX_AXES
    return is_list and all(_is_integer(size, 1, MAX_SIZE) for size in value)


def _is_count(value: Any) -> bool:
    return value is None or _is_integer(value, 1, MAX_KINDS)


def _are_numbers(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    if not all(type(each) in (int, float) for each in values):
        return False
    try:
        return bool(np.all(np.isfinite(np.asarray(values, np.float64))))
    except OverflowError:  # an integer of hundreds of digits
        return False


def _are_positive(value: Any) -> bool:
    return _are_numbers(value) and min(value if isinstance(value, list) else [value], default=0) > 0


def _are_classes(value: Any) -> bool:
    return isinstance(value, list) and all(_is_integer(each, 0, MAX_KINDS) for each in value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and are_names(value) and are_encodable(value)


def _is_background(value: Any) -> bool:
    if value is None:
        return True
    is_filled = isinstance(value, list) and len(value) > 0
    return is_filled and _are_numbers(value) and 0 <= min(value) <= max(value) <= 1


def _are_symbols(value: Any) -> bool:
    if value is None:
        return True
    is_vocabulary = isinstance(value, str) and len(value) == len({*value}) >= 2
    return is_vocabulary and are_encodable(value)


_CHECKS = {  # of the fields of a Spec, as JSON holds them
    'event_shape': _is_shape,
    'levels': _is_count,
    'num_classes': _is_count,
    'dequantized_levels': _is_count,
    'mean': _are_numbers,
    'std': _are_positive,
    'left_out': _are_classes,
    'symbols': _are_symbols,
    'class_names': _are_names,
    'column_names': _are_names,
    'draw_as': lambda value: value in (kinds.AUTO, *kinds.KINDS),
    'chiral': lambda value: type(value) is bool,
    'background': _is_background,
    'condition': lambda value: value is None or isinstance(value, dict),
}
