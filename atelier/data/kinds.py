"""Which kind of thing an event is, which decides how pictures show it.

| shape of an event | kind |
|---|---|
| [] or [1] | `values` |
| [2] or [3] | `points`, in the plane or in space |
| [d], d above 3 | `table`: a row of a table, whose columns have no order (a guess: or `signals`) |
| [length, channels] | `signals` if length >= 8 channels, else `images` (a guess: or the other) |
| [height, width, 1 or 3] | `images` |
| any other | `table` of all its values |
| [max_length + 1] of a text that ends (`items`) | `items` |

`config.data.draw_as` decides instead of a guess, and changes nothing but pictures. Windows of an
endless text have no kind: they are read, not drawn.
"""

from atelier.data.items import are_items
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.log import listed

AUTO = 'auto'
IMAGES, POINTS, SIGNALS, TABLE, VALUES = 'images', 'points', 'signals', 'table', 'values'
ITEMS = 'items'
KINDS = IMAGES, POINTS, SIGNALS, TABLE, VALUES, ITEMS
LONG = 8  # a signal has at least this many times as many values as channels
NOUNS = {TABLE: 'a table', SIGNALS: 'a signal', IMAGES: 'an image', POINTS: 'a point'}


def kind_of(spec: Spec) -> str:
    """Returns the kind of the events, one of `KINDS`; '' for endless text."""
    possible = kinds_of(spec)
    return spec.draw_as if spec.draw_as in possible else possible[0] if possible else ''


def is_guess(spec: Spec) -> bool:
    """Whether the kind follows from the shape alone, and the shape fits another kind as well."""
    return spec.draw_as == AUTO and len(kinds_of(spec)) > 1 and POINTS not in kinds_of(spec)


def kinds_of(spec: Spec) -> tuple[str, ...]:
    """Returns the kinds that events of this shape can be, the likeliest first.

    There are none for windows of an endless text.
    """
    if spec.symbols is not None:
        return (ITEMS,) if are_items(spec) else ()
    match spec.event_shape:
        case () | (1,):
            return (VALUES,)
        case (2,) | (3,):
            return POINTS, TABLE
        case (_,):
            return TABLE, SIGNALS
        case (length, channels):
            return (SIGNALS, IMAGES) if length >= LONG * channels else (IMAGES, SIGNALS)
        case (_, _, 1 | 3):
            return (IMAGES,)
    return (TABLE,)


def with_kind(spec: Spec, draw_as: str) -> Spec:
    """Returns a Spec whose events are drawn as `config.data.draw_as` says; 'auto': by the rule.

    Raises:
      UserError: events of this shape cannot be drawn so; names the kinds that they can be.
    """
    if draw_as != AUTO and draw_as not in kinds_of(spec):
        shape = list(spec.event_shape)
        raise UserError(
            f'config.data.draw_as={draw_as!r}: x of shape {shape} can be drawn as '
            f'{listed([AUTO, *kinds_of(spec)])}'
        )
    return spec._replace(draw_as=draw_as)


def remark_of(spec: Spec) -> str:
    """Returns a line on the guess of the kind, with the setting that decides it; '' if it is none.

    An example is 'drawn as: a table; if an event is a signal, set config.data.draw_as=signals'.
    """
    if not is_guess(spec):
        return ''
    kind, other = kinds_of(spec)
    return f'drawn as: {NOUNS[kind]}; if x is {NOUNS[other]}, set config.data.draw_as={other}'
