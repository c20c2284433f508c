"""`config.data.condition`: which columns of a file are the condition of its examples.

| value | condition |
|---|---|
| `()` | the captions, if the file has them; a note says so |
| `age,height` | these columns: all of numbers, or all of texts |
| `caption` or `text` | the words of this column |
| `none` | none; earlier runs, which keep it, have none |
"""

from collections.abc import Sequence

from atelier.data.conditions.condition import MAX_COLUMNS, fault_of_texts
from atelier.errors import UserError, did_you_mean, shortened
from atelier.log import escaped, listed

NONE = 'none'
TEXTS = ('caption', 'text')  # columns of words, the first of which is taken
SWITCH_OFF = f'--config.data.condition={NONE} leaves captions out'
MAX_SHOWN = 20


def chosen(setting: Sequence) -> tuple[str, ...] | None:
    """Returns the names of the columns; (): captions if there are any; None: no condition.

    A text may hold several names, with commas between them, as a flag gives them.

    Raises:
      UserError: a name is empty or repeated, or words are chosen with other columns.
    """
    names = tuple(part.strip() for each in setting for part in str(each).split(','))
    if not names or names == (NONE,):
        return None if names else ()
    fault = fault_of_texts(names, MAX_COLUMNS)
    if fault:
        raise UserError(f'{described(names)}: {fault}: give the names of columns')
    alone = next((name for name in (NONE, *TEXTS) if name in names), '')
    if alone and len(names) > 1:
        what = 'leaves the condition out' if alone == NONE else 'is a condition of words'
        raise UserError(f'{described(names)}: {alone} {what}: give it alone')
    return names


def described(names: Sequence[str]) -> str:
    """Returns the setting that chooses these columns, for messages."""
    return f'config.data.condition={listed([*map(escaped, names)], MAX_SHOWN)}'


def check_known(names: Sequence[str], known: Sequence[str], owner: object) -> None:
    """Checks that a file has columns of these names.

    Args:
      names: of the condition.
      known: names of all columns of the file.
      owner: the file, for messages.

    Raises:
      UserError: one is missing, or several have its name; lists those that there are.
    """
    for name in names:
        count = [*known].count(name)
        if count != 1:
            fault = f'{count} columns called' if count else 'no column'
            hint = '' if count else did_you_mean(name, known)
            columns = listed([escaped(each) for each in known], MAX_SHOWN) or 'none'
            raise UserError(
                f'{owner} has {fault} {shortened(name)}{hint}: it has {columns}: choose of them '
                'by config.data.condition'
            )
