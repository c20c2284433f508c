"""Text as a sequence of symbols: your own file, or the help topics of Python.

    python main.py --config=configs/char_lm.py --config.data.path=mine.txt

The file is UTF-8, and may be packed by gzip. Without a path, the text is the help topics of Python,
the language reference that `help()` shows (`pydoc_data.topics`, about 450,000 characters of English
and code): no download, but each version of Python has a different text.

Two rules split it (`config.data.split_by`). The vocabulary is the sorted symbols of training and
validation.

'content', for a file: pieces of about 1,000 characters are split by their digests (`text_pieces`),
so that a text may grow. Test and validation get a share `config.data.held_out_share` each.

'order', and for the help topics: the first 90 % are the training part, the last 10 % the test
split, which nanoGPT and others call validation: they have no third part. We cut the validation
split, a share `config.data.valid_share`, from the end of the training part, so that nothing is
selected on the reported split.

With `config.data.valid_share=0` validation text is used for training too, by either rule.

An example is a window of `config.data.context` symbols. Training has a window at every position and
scores all its symbols. Validation and test score each symbol of their part once. Their windows
advance by half a context and score the last half, given at least half a context before it. The
first window is scored completely; the last ends with the part and scores the remaining symbols.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Integer

from atelier.data import text_files, text_splits
from atelier.data.dataset import Dataset, Spec
from atelier.data.items import END
from atelier.data.origins import named
from atelier.data.text_pieces import Spans, code_points
from atelier.data.text_splits import VALID_SHARE, Division, length, positions
from atelier.errors import UserError, about, at_least, reading
from atelier.paths import user_path

Symbols = Integer[np.ndarray, 'length']  # indices into the vocabulary
NEWLINE = '\n'
NUM_POINTS = 0x110000  # of Unicode


def load(
    path: str = '',
    *,
    context: int,
    valid_share: float = VALID_SHARE,
    num_pieces: int = 0,
    split_by: str = 'order',
    held_out_share: float = 0.1,
    train_on_valid: bool = False,
) -> Dataset:
    """Loads the text in windows of `context` symbols; 'valid' and 'test' also have 'num_scored'.

    Args:
      path: a UTF-8 file; '': the help topics of Python, which are split by order.
      context: length of a window in symbols, an even number.
      valid_share: by order, share of the training part held out for validation. 0: training uses
        the validation text too; by order it is the end of the training part, of the default length.
      num_pieces: 0: training has a window at every position. Otherwise, for count-based models, the
        training split is this many pieces. Each symbol is scored in one piece. Each piece after the
        first has at least `context` symbols before its scored ones. The length of a piece follows
        from their number and may differ from `context`.
      split_by: rule of the splits, 'content' or 'order'.
      held_out_share: by content, share of the pieces of text in each of test and validation.
      train_on_valid: whether training uses the validation text too, without any seam.

    Raises:
      UserError: the file is missing, not text or too short, one of its symbols is outside the
        vocabulary, or a setting is invalid.
    """
    _check(context, valid_share, num_pieces)
    text, name = (_read(path), user_path(path).name) if path else (_python_topics(), 'pydoc topics')
    if path and split_by == 'content':
        division = text_splits.by_content(text, name, valid_share, held_out_share)
    else:
        division = text_splits.by_order(text, name, valid_share)
    if train_on_valid and valid_share:
        division = text_splits.with_valid_in_training(division)
    text_splits.check_sizes(division, context)
    parts, symbols = _tokenized(text, division)
    splits = {'train': _training(parts.pop('train'), context, num_pieces)}
    splits |= {split: scored_once(part, context, context // 2) for split, part in parts.items()}
    spec = Spec((context,), len(symbols), None, symbols=symbols)
    description = f'{name}: {len(text):,} characters, {len(symbols)} different ones'
    rows = {split: positions(division.spans[split], part) for split, part in splits.items()}
    return Dataset(
        'text',
        spec,
        splits,
        f'{description}, in windows of {context}',
        split_rule=division.rule,
        split_origin=division.origin,
        origins=named([name], [len(text)])._replace(rows=rows),
    )


def decode(x: np.ndarray, symbols: str) -> list[str]:
    """Returns the texts of vocabulary indices x [n, length]; an item stops before its end."""
    table = np.array(list(symbols), object)  # arrays of strings drop zero characters
    return [''.join(table[row]).partition(END)[0] for row in np.asarray(x).astype(int)]


def encode(text: str, symbols: str) -> Symbols:
    """Returns the vocabulary indices of one text: the inverse of `decode`.

    Raises:
      UserError: names the first symbol that is outside the vocabulary.
    """
    index_of = {symbol: index for index, symbol in enumerate(symbols)}
    for symbol in text:
        if symbol not in index_of:
            raise UserError(f'{symbol!r} is outside the vocabulary: {listed(symbols)}')
    return np.array([index_of[symbol] for symbol in text], np.int32)


def listed(symbols: str) -> str:
    """Returns a vocabulary in one line, without the end of an item, which is no character."""
    return repr(symbols.removeprefix(END))[1:-1]


def scored_once(part: Symbols, length: int, stride: int) -> dict[str, np.ndarray]:
    """Returns windows 'x' [n, length] whose last 'num_scored' [n] symbols are scored.

    Together they score each symbol of `part` once. A window ends `stride` after the one before it,
    or with the part.
    """
    count = 1 - (-(len(part) - length) // stride)
    ends = np.minimum(length + stride * np.arange(count), len(part))
    windows = np.lib.stride_tricks.sliding_window_view(part, length)
    num_scored = np.diff(ends, prepend=0).astype(np.int32)
    return {'x': windows[ends - length], 'num_scored': num_scored}


def symbols_of(split: dict[str, np.ndarray]) -> Symbols:
    """Returns the symbols of a split in their order, from the windows that `load` has made."""
    x = split['x']
    if 'num_scored' in split:
        is_scored = np.arange(x.shape[1]) >= x.shape[1] - np.asarray(split['num_scored'])[:, None]
        return x[is_scored]
    return np.concatenate([x[:, 0], x[-1, 1:]])


def _training(part: Symbols, context: int, num_pieces: int) -> dict[str, np.ndarray]:
    """Returns windows at every position, as a view that takes no memory; or `num_pieces` pieces."""
    if not num_pieces:
        return {'x': np.lib.stride_tricks.sliding_window_view(part, context)}
    stride = -(-len(part) // num_pieces)
    length = min(context + stride, len(part))
    pieces = scored_once(part, length, stride)
    missing = num_pieces - len(pieces['x'])  # padded with unscored copies
    return {
        'x': np.concatenate([pieces['x'], np.repeat(pieces['x'][-1:], missing, 0)]),
        'num_scored': np.pad(pieces['num_scored'], (0, missing)),
    }


def _check(context: int, valid_share: float, num_pieces: int) -> None:
    at_least(2, 'data.context', context)
    at_least(0, 'data.num_pieces', num_pieces)
    if context % 2:
        raise UserError(f'config.data.context={context}: give an even number')
    if not 0 <= valid_share < 1:
        raise UserError(f'config.data.valid_share={valid_share}: it must be from 0 to below 1')


def _read(path: str) -> str:
    file = user_path(path)
    with reading(file), about('config.data.path'):
        return text_files.read(file)


def _python_topics() -> str:
    """Returns all topics in alphabetical order, without symbols that only the last fifth has.

    So no symbol is outside the vocabulary, whatever the version of Python.
    """
    from pydoc_data.topics import topics  # a few 100 kilobytes

    text = '\n'.join(topics[name] for name in sorted(topics))
    known = {*text[: int(0.8 * len(text))]}
    return ''.join(symbol for symbol in text if symbol in known)


def _tokenized(text: str, division: Division) -> tuple[dict[str, Symbols], str]:
    """Returns each split as vocabulary indices, and the vocabulary, which the test split lacks."""
    spans = division.spans
    is_known = np.zeros(NUM_POINTS, bool)
    for split in ('train', 'valid'):
        for _, points in _points(text, spans[split]):
            is_known[points] = True
    known = np.flatnonzero(is_known)
    if len(known) < 2:
        raise UserError(f'{division.vocabulary} of {division.name} repeat one character')
    for first, points in _points(text, spans['test']):
        unknown = np.flatnonzero(~is_known[points])
        if len(unknown):
            position = first + int(unknown[0])
            line = 1 + text.count(NEWLINE, 0, position)
            raise UserError(
                f'{division.name}: {text[position]!r} (line {line}) is outside the vocabulary, '
                f'which comes from {division.vocabulary}: {division.remedy}'
            )
    dtype = np.uint8 if len(known) <= 256 else np.int32
    index_of, parts = np.zeros(NUM_POINTS, dtype), {}
    index_of[known] = np.arange(len(known))
    for split in spans:
        parts[split], end = np.empty(length(spans[split]), dtype), 0
        for _, points in _points(text, spans[split]):
            parts[split][end : end + len(points)] = index_of[points]
            end += len(points)
    return parts, ''.join(map(chr, known))


def _points(text: str, spans: Spans) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the code points of spans in chunks, each with its position in the text."""
    for start, stop in spans.tolist():
        yield from code_points(text, start, stop)
