"""Items: one a line of your own file, such as names, or names of characters without a file.

    python main.py --config=configs/char_lm.py:lines --config.data.path=names.txt

| file | items |
|---|---|
| `.txt`, or any other ending | its lines, or the parts between `config.data.separator` |
| `.csv`, `.tsv` | the cells of `config.data.column`, with classes in `config.data.label_column` |
|  | and what they are conditional on in `config.data.condition` |

The file is UTF-8 and may be packed by gzip. Without a path, the items are the names of the
characters of Unicode 3.2 (`character_names`), with their scripts as labels.

An item is an event [max_length + 1] of `items`. Training rows hold several items one after the
other (`config.data.is_packed`), so that short items cost no more time than their symbols.
"""

from atelier.data import character_names, item_texts
from atelier.data.conditions.setting import NONE, chosen, described
from atelier.data.dataset import Dataset
from atelier.data.item_sets import Rules, dataset_of
from atelier.errors import UserError, reading
from atelier.paths import user_path


def load(
    path: str = '',
    column: str = '',
    label_column: str = '',
    separator: str = '',
    max_length: int = 0,
    too_long: str = 'refuse',
    is_packed: bool = False,
    context: int = 0,
    num_pieces: int = 0,
    split_by: str = 'content',
    held_out_share: float = 0.1,
    num_valid: int = 0,
    train_on_valid: bool = False,
    condition: tuple[str, ...] = (NONE,),
) -> Dataset:
    r"""Loads the items of a file.

    Args:
      path: of the file; '': the names of characters.
      column: of a table; '': its only one.
      label_column: of a table, names of classes; '': there are none. Packed rows have no labels.
      separator: text between items that have several lines, in which `\n` stands for a new line;
        '': each line is an item.
      max_length: most symbols of an item; 0: those of the longest.
      too_long: what happens to longer items: 'refuse', 'cut' or 'leave_out'.
      is_packed: whether training rows hold several items.
      context: tokens of a packed row; 0: about 256, or more if items are longer.
      num_pieces: for count-based models, the number of packed rows, which are as short as all items
        allow but at least `context`; 0: as many as there are.
      split_by: rule of the splits, by the digest of each item ('content') or by 'order'.
      held_out_share: by content, share of the items in each of test and validation.
      num_valid: by order, number of items in each of them; 0: a tenth, at most 5,000.
      train_on_valid: whether training has the validation items too.
      condition: columns of a table that items are conditional on. Packed rows have none.

    Raises:
      UserError: the file is missing or damaged, an item is too long, or a setting is invalid.
    """
    rules = Rules(
        max_length=max_length,
        too_long=too_long,
        is_packed=is_packed,
        context=context,
        num_pieces=num_pieces,
        split_by=split_by,
        held_out_share=held_out_share,
        num_valid=num_valid,
        train_on_valid=train_on_valid,
    )
    names = chosen(condition) or ()
    given = {'column': column, 'label_column': label_column, 'separator': separator}
    for field, value in {**given, 'condition': ','.join(names)}.items():
        if value and not path:
            raise UserError(f'config.data.{field}={value!r}: set config.data.path to a file, too')
    if label_column and is_packed:
        raise UserError(
            f'config.data.label_column={label_column!r}: packed rows have no labels: set '
            'config.data.is_packed=False'
        )
    if names and is_packed:
        raise UserError(
            f'{described(names)}: packed rows have no condition: set config.data.is_packed=False'
        )
    if not path:
        parts = {'train': character_names.items()}
        return dataset_of('lines', 'names of characters', parts, rules, 'name')
    file = user_path(path)
    with reading(file):
        if not file.is_file():
            raise UserError(f'config.data.path: there is no file {file}')
        items = item_texts.read(file, column, label_column, separator, names)
    return dataset_of('lines', file.name, {'train': items}, rules, 'item')
