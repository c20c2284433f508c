"""The columns of one parquet file of images, read by pyarrow within limits of memory."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from atelier.data.conditions.setting import TEXTS, check_known
from atelier.data.original.bounded import check_memory, naming_damage
from atelier.errors import UserError
from atelier.files import open_regular
from atelier.log import listed

IMAGE_COLUMNS = ('image', 'img')
LABEL_COLUMNS = ('label', 'labels')  # the first one in the file is read
MAX_PICTURE = 1 << 26  # bytes
MAX_TEXT = 1 << 20  # bytes
ROWS = 16  # in a batch
OLDEST = (14, 0, 1)  # a file can make an older pyarrow unpickle


class Table:
    """The images of one file, in memory and still encoded, their labels and their condition.

    label: int64 [count], or None.
    class_names: names of the labels, or () if the file does not give them.
    condition: the values [count] of each column of the condition, by name.
    unread: names of the other columns.
    """

    def __init__(self, path: pathlib.Path, condition: tuple[str, ...] | None = None):
        """Reads the file at `path`, and the condition that is chosen as by `setting.chosen`.

        Raises:
          UserError: it is damaged, has other columns or more than memory, or pyarrow is missing.
        """
        parquet = _pyarrow_parquet()
        labels = [np.zeros(0, np.int64)]
        self._path, self._images, self._size = path, [], 0
        self._texts: dict[str, str] = {}
        with naming_damage(path), open_regular(path) as source:
            file = parquet.ParquetFile(source)
            column, leaf = _image_column(file.schema_arrow, path)
            groups = range(file.num_row_groups)
            unpacked = sum(file.metadata.row_group(i).total_byte_size for i in groups)
            check_memory(path, unpacked)
            names = file.schema_arrow.names
            label = next((name for name in LABEL_COLUMNS if name in names), None)
            self.class_names = _class_names(file.schema_arrow.metadata, label)
            self.condition = {name: [] for name in _condition(file.schema_arrow, condition, path)}
            columns = [*dict.fromkeys([leaf, *([label] if label else []), *self.condition])]
            self.unread = tuple(name for name in names if name not in (column, *columns))
            known: dict[bytes, bytes] = {}
            for batch in _batches(file, columns):
                images = batch.column(column)
                self._add(images.field('bytes') if leaf != column else images, known)
                if label is not None:
                    labels.append(_labels(batch.column(label), label, path))
                for name in self.condition:
                    self._add_values(name, batch.column(name))
        self.label = None if label is None else np.concatenate(labels)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._images)

    def _add(self, images: Any, known: dict[bytes, bytes]) -> None:
        """Appends encoded images. Equal ones share memory: a file can repeat one cheaply."""
        for value in images:
            size = value.as_buffer().size if value.is_valid else 0
            if not 0 < size <= MAX_PICTURE:
                raise UserError(
                    f'{self._path}, row {self.count}: its image has {size:,} bytes; expected 1 to '
                    f'{MAX_PICTURE:,}'
                )
            content = value.as_py()
            if content not in known:
                known[content] = content
                self._size += size
                check_memory(self._path, self._size)
            self._images.append(known[content])

    def _add_values(self, name: str, column: Any) -> None:
        """Appends values of the condition. Equal texts share memory."""
        values = self.condition[name]
        for value in column:
            value = value.value if hasattr(value, 'dictionary') and value.is_valid else value
            size = value.as_buffer().size if hasattr(value, 'as_buffer') and value.is_valid else 0
            if size > MAX_TEXT:
                raise UserError(
                    f'{self._path}, row {len(values)}: its {name} has {size:,} bytes; expected at '
                    f'most {MAX_TEXT:,}'
                )
            content = value.as_py()
            if size and content not in self._texts:
                self._texts[content] = content
                self._size += size
                check_memory(self._path, self._size)
            values.append(self._texts[content] if size else content)

    def image(self, index: int) -> bytes:
        """Returns the encoded image of a row."""
        return self._images[index]


def _batches(file: Any, columns: list[str]) -> Iterator[Any]:
    """Yields all rows of a file, few at a time: each row may unpack to something large."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(ROWS, row_groups=[group], columns=columns, use_threads=False)


def _image_column(schema: Any, path: pathlib.Path) -> tuple[str, str]:
    """Returns the name of the column of images, and the name of its part that holds the bytes."""
    import pyarrow

    column = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    if column is None:
        raise UserError(f'{path} has no column image: it has {listed(schema.names)}')
    kind, leaf = schema.field(column).type, column
    if pyarrow.types.is_struct(kind) and kind.get_field_index('bytes') >= 0:
        kind, leaf = kind.field('bytes').type, f'{column}.bytes'
    if not pyarrow.types.is_binary(kind) and not pyarrow.types.is_large_binary(kind):
        raise UserError(f'{path}: its column {column} holds {str(kind)[:80]}, not encoded images')
    return column, leaf


def _condition(schema: Any, names: tuple[str, ...] | None, path: pathlib.Path) -> tuple[str, ...]:
    """Returns the names of the columns of the condition.

    Args:
      schema: of the file.
      names: as of `setting.chosen`.
      path: of the file.

    Raises:
      UserError: there is no such column, or it holds something else.
    """
    import pyarrow

    kinds = dict(zip(schema.names, schema.types, strict=True))
    text = lambda kind: pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
    if not names:
        words = [name for name in TEXTS if name in kinds and text(kinds[name])]
        return tuple(words[:1]) if names == () else ()
    check_known(names, schema.names, path)
    plain = lambda kind: pyarrow.types.is_boolean(kind) or text(kind) or _is_number(kind)
    for name in names:
        kind = kinds[name]
        inner = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
        if not plain(inner):
            raise UserError(
                f'{path}: its column {name} holds {str(kind)[:80]}: a condition is of numbers, '
                'texts, or true and false'
            )
    return names


def _is_number(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)


def _labels(column: Any, name: str, path: pathlib.Path) -> Int[np.ndarray, 'n']:
    import pyarrow

    if not pyarrow.types.is_integer(column.type) or column.null_count:
        raise UserError(f'{path}: its column {name} has to hold whole numbers, one for each image')
    label = column.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(label) and not 0 <= label.min() <= label.max() < 2**31:
        raise UserError(
            f'{path}: labels are whole numbers from 0 on, got {label.min()} to {label.max()}'
        )
    return label


def _class_names(metadata: dict[bytes, bytes] | None, label: str | None) -> tuple[str, ...]:
    """Returns the names of the classes in the description that huggingface.co adds to a file."""
    try:
        names = json.loads((metadata or {})[b'huggingface'])['info']['features'][label]['names']
    except (KeyError, TypeError, ValueError, RecursionError):  # there is no such description
        return ()
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_list else ()


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError('parquet files are read by pyarrow: pip install pyarrow') from error
    version = tuple(int(part) for part in re.findall(r'\d+', pyarrow.__version__)[:3])
    if version < OLDEST:
        raise UserError(f'pyarrow {pyarrow.__version__} is unsafe: pip install --upgrade pyarrow')
    return parquet
