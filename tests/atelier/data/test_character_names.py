"""Names of characters: as many as the documentation says, the same in every Python."""

import hashlib

from atelier.data import character_names

CHECKSUM = '75e63653d6421a7251216714395dde5b33f996a6bd6e2f5fb4fec17c0cac0fa4'


def test_the_names_never_change():
    items = character_names.items()
    assert len(items.texts) == len({*items.texts}) == 13_789
    assert max(map(len, items.texts)) == 83
    assert hashlib.sha256('\n'.join(items.texts).encode()).hexdigest() == CHECKSUM


def test_the_label_is_the_script_if_many_have_it():
    items = character_names.items()
    label = dict(zip(items.texts, items.labels, strict=True))
    assert label['LATIN SMALL LETTER A'] == 'LATIN'
    assert label['OGHAM LETTER BEITH'] == label['SPACE'] == 'other'
    assert len({*items.labels}) == 29
