"""Which part of a text each split gets, by the content of its pieces or by position."""

from typing import NamedTuple

import numpy as np

from atelier.data import text_pieces
from atelier.data.origins import Ranges
from atelier.data.text_pieces import Spans, united
from atelier.data.train_and_valid import described
from atelier.errors import UserError
from atelier.log import counted

TRAIN_SHARE = 0.9
VALID_SHARE = 0.05  # of the training part


class Division(NamedTuple):
    """How a text is split.

    spans: of 'train', 'valid' and 'test'.
    size: of the text, in words.
    vocabulary: the part that the vocabulary comes from, in words.
    remedy: what to do with a symbol that it lacks.
    hint: what to do if a split is too short.
    rule, origin: as in `Dataset`.
    """

    name: str
    spans: dict[str, Spans]
    size: str
    vocabulary: str
    remedy: str
    hint: str
    rule: str
    origin: str


def by_content(text: str, name: str, valid_share: float, held_out_share: float) -> Division:
    """Returns the splits by `text_pieces`.

    Raises:
      UserError: another share than `held_out_share` is set.
    """
    if valid_share not in (0, VALID_SHARE):
        raise UserError(
            f'config.data.valid_share={valid_share}: by content each split gets a share: set '
            "config.data.held_out_share instead, or config.data.split_by='order' too"
        )
    spans, num_pieces = text_pieces.by_content(text, held_out_share)
    pieces, share = counted(num_pieces, 'piece'), f'a share of {held_out_share} each'
    division = Division(
        name,
        spans,
        size=f'{counted(len(text), "character")} in {pieces}, which are split by their content',
        vocabulary='the training and validation text',
        remedy='remove it, or set a smaller config.data.held_out_share',
        hint=': give more text, set a larger config.data.held_out_share, '
        "or set config.data.split_by='order'",
        rule=f'test and valid by content, {share}',
        origin=f'test and valid by content of {pieces}, {share}',
    )
    return division if valid_share else with_valid_in_training(division)


def with_valid_in_training(division: Division) -> Division:
    """Returns the splits with the spans of 'valid' among those of 'train'."""
    spans = division.spans
    return division._replace(
        spans={**spans, 'train': united(spans['train'], spans['valid'])},
        rule=division.rule and described(division.rule),
        origin=described(division.origin),
    )


def by_order(text: str, name: str, valid_share: float) -> Division:
    """Returns the splits by position, of which training is the first."""
    test_start = int(TRAIN_SHARE * len(text))
    train_stop = test_start - int(valid_share * test_start)
    valid_start = train_stop if valid_share else test_start - int(VALID_SHARE * test_start)
    ends = {
        'train': (0, train_stop),
        'valid': (valid_start, test_start),
        'test': (test_start, len(text)),
    }
    return Division(
        name,
        {split: np.array([span], np.int64) for split, span in ends.items()},
        size=counted(len(text), 'character'),
        vocabulary='the first nine tenths',
        remedy='remove it, or add it there too',
        hint='',
        rule='',
        origin='test is the last tenth, valid is before it'
        + ('' if valid_share else ' and part of train'),
    )


def length(spans: Spans) -> int:
    """Returns the number of characters of spans."""
    return int(np.sum(spans[:, 1] - spans[:, 0]))


def check_sizes(division: Division, context: int) -> None:
    """Raises UserError if a split is shorter than a window of `context` characters."""
    sizes = {split: length(spans) for split, spans in division.spans.items()}
    shortest = min(sizes, key=sizes.get)
    if sizes[shortest] < context:
        raise UserError(
            f'{division.name} has {division.size}, of which the {shortest} split gets '
            f'{sizes[shortest]}: fewer than config.data.context={context}{division.hint}'
        )


def positions(spans: Spans, split: dict[str, np.ndarray]) -> Ranges | np.ndarray:
    """Returns the position in the text of the first symbol of each window."""
    sizes = spans[:, 1] - spans[:, 0]
    if 'num_scored' not in split:
        return Ranges(spans[:, 0], sizes, len(split['x']))
    ends = np.cumsum(split['num_scored'])
    return Ranges(spans[:, 0], sizes, length(spans))[ends - split['x'].shape[1]]
