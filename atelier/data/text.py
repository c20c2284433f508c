"""Text as a sequence of symbols: your own file, or the help topics of Python.

    python main.py --config=configs/char_lm.py --config.data.path=mine.txt

The file is UTF-8. Without a path, the text is the help topics of Python, the language reference
that `help()` shows (`pydoc_data.topics`, about 450,000 characters of English and code): no
download, but each version of Python has a different text.

The first 90 % are the training part, the last 10 % the test split, which nanoGPT and others call
validation: they have no third part. We cut the validation split, a share `config.data.valid_share`,
from the end of the training part, so that nothing is selected on the reported split. With a share
of 0 that end is used for training too, and validation only reads training data. The vocabulary is
the sorted symbols of the training part, validation included.

An example is a window of `config.data.context` symbols. Training has a window at every position and
scores all its symbols. Validation and test score each symbol of their part once. Their windows
advance by half a context and score the last half, given at least half a context before it. The
first window is scored completely; the last ends with the part and scores the remaining symbols.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Integer

from atelier.data.dataset import Dataset, Spec
from atelier.errors import UserError, at_least, reading
from atelier.log import counted
from atelier.paths import user_path

TRAIN_SHARE = 0.9
VALID_SHARE = 0.05  # of the training part
Symbols = Integer[np.ndarray, 'length']  # indices into the vocabulary
NEWLINE = '\n'
NUM_POINTS = 0x110000  # of Unicode
PIECE = 2**20  # symbols; affects only memory use


def load(
    path: str = '', *, context: int, valid_share: float = VALID_SHARE, num_pieces: int = 0
) -> Dataset:
    """Loads the text in windows of `context` symbols; 'valid' and 'test' also have 'num_scored'.

    Args:
      path: a UTF-8 file; '': the help topics of Python.
      context: length of a window in symbols, an even number.
      valid_share: share of the training part held out for validation; 0: training uses all of it,
        and validation is its end, of the default length.
      num_pieces: 0: training has a window at every position. Otherwise, for count-based models, the
        training split is this many pieces. Each symbol is scored in one piece. Each piece after the
        first has at least `context` symbols before its scored ones. The length of a piece follows
        from their number and may differ from `context`.

    Raises:
      UserError: the file is missing, not text or too short, one of its symbols is outside the
        vocabulary, or a setting is invalid.
    """
    _check(context, valid_share, num_pieces)
    text, name = (_read(path), user_path(path).name) if path else (_python_topics(), 'pydoc topics')
    test_start = _end_of_training(len(text))
    train_stop = test_start - int(valid_share * test_start)
    valid_start = train_stop if valid_share else test_start - int(VALID_SHARE * test_start)
    spans = {
        'train': slice(0, train_stop),
        'valid': slice(valid_start, test_start),
        'test': slice(test_start, len(text)),
    }
    sizes = {split: span.stop - span.start for split, span in spans.items()}
    shortest = min(sizes, key=sizes.get)
    if sizes[shortest] < context:
        raise UserError(
            f'{name} has {counted(len(text), "character")}, of which the {shortest} split gets '
            f'{sizes[shortest]}: fewer than config.data.context={context}'
        )
    tokens, symbols = _tokenized(text, name)
    parts = {split: tokens[span] for split, span in spans.items()}
    splits = {split: scored_once(part, context, context // 2) for split, part in parts.items()}
    splits['train'] = _training(parts['train'], context, num_pieces)
    spec = Spec((context,), len(symbols), None, symbols=symbols)
    description = f'{name}: {len(text):,} characters, {len(symbols)} different ones'
    return Dataset('text', spec, splits, f'{description}, in windows of {context}')


def decode(x: np.ndarray, symbols: str) -> list[str]:
    """Returns the texts of vocabulary indices x [n, length]."""
    table = np.array(list(symbols))
    return [''.join(table[row]) for row in np.asarray(x).astype(int)]


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
    """Returns a vocabulary in one line."""
    return repr(symbols)[1:-1]


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
    with reading(file):
        if not file.is_file():
            raise UserError(f'config.data.path: there is no file {file}')
        raw = file.read_bytes()
    try:
        text = raw.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{file} is not UTF-8 text (byte {error.start:,}): convert it, or give another file'
        ) from error
    if '\0' in text:
        raise UserError(f'{file} is not text: it has zero bytes')
    if not text:
        raise UserError(f'{file} is empty')
    return text


def _python_topics() -> str:
    """Returns all topics in alphabetical order, without symbols that only the last fifth has.

    So no symbol is outside the vocabulary, whatever the version of Python.
    """
    from pydoc_data.topics import topics  # a few 100 kilobytes

    text = '\n'.join(topics[name] for name in sorted(topics))
    known = {*text[: int(0.8 * len(text))]}
    return ''.join(symbol for symbol in text if symbol in known)


def _end_of_training(length: int) -> int:
    return int(TRAIN_SHARE * length)


def _tokenized(text: str, name: str) -> tuple[Symbols, str]:
    """Returns the text as vocabulary indices, and the vocabulary."""
    is_known = np.zeros(NUM_POINTS, bool)
    for _, points in _points(text[: _end_of_training(len(text))]):
        is_known[points] = True
    known = np.flatnonzero(is_known)
    if len(known) < 2:
        raise UserError(f'the first nine tenths of {name} repeat one character')
    dtype = np.uint8 if len(known) <= 256 else np.int32
    index_of, tokens = np.zeros(NUM_POINTS, dtype), np.empty(len(text), dtype)
    index_of[known] = np.arange(len(known))
    for start, points in _points(text):
        unknown = np.flatnonzero(~is_known[points])
        if len(unknown):
            first = start + int(unknown[0])
            raise UserError(
                f'{name}: {text[first]!r} (line {1 + text.count(NEWLINE, 0, first)}) is outside '
                'the vocabulary, which comes from the first nine tenths: remove it, or add it '
                'there too'
            )
        tokens[start : start + len(points)] = index_of[points]
    return tokens, ''.join(map(chr, known))


def _points(text: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the code points of a text in pieces, each with the position of its first symbol."""
    for start in range(0, len(text), PIECE):
        piece = text[start : start + PIECE].encode('utf-32-le')
        yield start, np.frombuffer(piece, np.uint32)
