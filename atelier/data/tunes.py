"""Fiddle tunes in ABC notation, from the corpus of the package music21.

    pip download --no-deps music21
    python main.py --config=configs/char_lm.py:tunes \\
        --config.data.path=music21-10.5.1-py3-none-any.whl

Without a path, an installed music21 is read. The package is never imported. The tunes are those of
three books of fiddle tunes: Aird's Airs (1778 to 1803), Ryan's Mammoth Collection (1883) and
O'Neill's Music of Ireland (1903). Their transcribers wrote in different ways, so an item has only
what is music:

    M:6/8
    L:1/8
    K:G
    d/c/|BAG GFG|D2E {G}FEF|GAG GAB|{d}cAG FGA|

An item has the metre, the length of a note, the key, and then the tune in its lines. Titles,
sources, names of transcribers, tempo, words, comments, chords, fingerings and other texts between
quotation marks are left out. A line that is continued is one line, and several spaces are one. Of
several transcriptions of one number of a book, the first is an item.

The label is the rhythm, such as reel or jig, if at least 100 tunes have it, and otherwise 'other':
many tunes name none. See `atelier.data.lines` for the fields of `config.data`.
"""

import re
from collections.abc import Iterator

import numpy as np

from atelier.data import package_files, text_files
from atelier.data.dataset import Dataset
from atelier.data.item_sets import Rules, dataset_of
from atelier.data.item_texts import Items, usual_labels
from atelier.log import counted

PACKAGE = DISTRIBUTION = 'music21'
# folders of the corpus, and whether the numbers of tunes in them are those of the book
COLLECTIONS = {'airdsAirs': True, 'oneills1850': True, 'ryansMammoth': False}
ENDING = '.abc'
MAX_BYTES = 1 << 20  # of a file; the largest has 75,976
KEPT = 'MLK'  # fields: metre, length of a note, key
FIELD = re.compile(r'([A-Za-z]) *:[ \t]*(.*)')
REPEAT = re.compile(r'[A-Ga-gz]:[|:].*')  # after a note that begins a line; no field
NOT_MUSIC = re.compile(r'"[^"\n]*"|![^!\n]*!|[`*]')  # texts, names of signs, signs of layout


def load(
    path: str = '',
    max_length: int = 0,
    too_long: str = 'refuse',
    is_packed: bool = False,
    context: int = 0,
    num_pieces: int = 0,
    split_by: str = 'content',
    held_out_share: float = 0.1,
    num_valid: int = 0,
    train_on_valid: bool = False,
) -> Dataset:
    """Loads the tunes.

    Args:
      path: of the wheel of music21, or of a folder that has the package; '': the installed one.
      max_length: as of `lines.load`, and so the following.
      too_long: what happens to longer tunes.
      is_packed: whether training rows hold several tunes.
      context: tokens of a packed row.
      num_pieces: number of packed rows.
      split_by: rule of the splits.
      held_out_share: by content, share of the tunes in each of test and validation.
      num_valid: by order, number of tunes in each of them.
      train_on_valid: whether training has the validation items too.

    Raises:
      UserError: music21 is not there or damaged, or a setting is invalid.
    """
    first = next(iter(COLLECTIONS))
    files = package_files.find(path, PACKAGE, DISTRIBUTION, f'corpus/{first}/book1{ENDING}')
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
    return dataset_of('tunes', 'fiddle tunes', {'train': _items(files)}, rules, 'tune')


def _items(files: package_files.PackageFiles) -> Items:
    texts, rhythms, again, empty = [], [], 0, 0
    for collection, has_numbers in COLLECTIONS.items():
        folder, numbers = f'corpus/{collection}', set()
        names = files.names(folder, ENDING)
        for name, raw in zip(names, files.read(folder, names, MAX_BYTES), strict=True):
            for number, text, rhythm in tunes_of(text_files.decoded(raw, name)):
                if has_numbers and number in numbers:
                    again += 1
                elif not text:
                    empty += 1
                else:
                    numbers.add(number)
                    texts.append(text)
                    rhythms.append(rhythm)
    notes = [f'{counted(again, "other transcription")} of the same number left out'] * bool(again)
    notes += [f'{counted(empty, "tune")} without notes left out'] * bool(empty)
    return Items(texts, np.arange(1, 1 + len(texts)), usual_labels(rhythms), tuple(notes), 'tune')


def tunes_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Yields the number, the item ('' if there are no notes) and the rhythm of each tune."""
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    for tune in re.split(r'(?m)^(?=X:)', text)[1:]:
        fields, music = {}, []
        for line in tune.split('\n'):
            line = line.partition('%')[0].strip()
            field = FIELD.fullmatch(line)
            if 'K' not in fields:
                if field is not None:
                    fields.setdefault(field[1], field[2])
            elif field is None or REPEAT.fullmatch(line):
                music.append(_without_texts(line))
            elif field[1] in KEPT:  # a change within the tune
                music.append(f'{field[1]}:{field[2]}')
        notes = re.sub(r'\\\n*', '', '\n'.join(filter(None, music)))
        header = [f'{name}:{fields[name]}' for name in KEPT if fields.get(name)]
        item = '\n'.join([*header, *(line.strip() for line in notes.split('\n'))])
        yield fields.get('X', ''), item if notes else '', _rhythm(fields.get('R', ''))


def _without_texts(line: str) -> str:
    return re.sub(r'\s+', ' ', NOT_MUSIC.sub('', line)).strip()


def _rhythm(text: str) -> str:
    return text.strip().lower().replace('slipjig', 'slip jig')
