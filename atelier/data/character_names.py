"""Names of characters of Unicode 3.2, such as LATIN SMALL LETTER A: items without a file.

Python keeps that version beside the newest one (`unicodedata.ucd_3_2_0`), because domain names need
it, and names of characters never change. So the names are the same in every Python. Ideographs and
syllables whose names only count them (CJK UNIFIED IDEOGRAPH-4E00, HANGUL SYLLABLE GA) are left out.
"""

import functools
import sys
import unicodedata

import numpy as np

from atelier.data.item_texts import Items, usual_labels

COUNTED = ('CJK UNIFIED', 'HANGUL SYLLABLE')


@functools.cache
def items() -> Items:
    """Returns the 13,789 names, in the order of the characters.

    The label is the script, the first word of the name (see `usual_labels`).
    """
    name_of = unicodedata.ucd_3_2_0.name
    names = [name_of(chr(point), '') for point in range(sys.maxunicode + 1)]
    names = [name for name in names if name and not name.startswith(COUNTED)]
    scripts = [name.split(' ')[0] for name in names]
    return Items(names, np.arange(1, 1 + len(names)), usual_labels(scripts))
