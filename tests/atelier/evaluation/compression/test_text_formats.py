"""gzip, bzip2 and xz: what an earlier text is worth."""

import gzip

import numpy as np
import pytest

from atelier.evaluation.compression import text_formats


def words(n, seed):
    return b' '.join(b'%x' % number for number in np.random.RandomState(seed).randint(0, 9999, n))


def test_a_text_that_came_before_takes_few_bytes():
    text = words(3000, 0)
    sizes = text_formats.bytes_of(text, words(500, 1) + text)
    assert {*sizes} == {'gzip', 'bzip2', 'xz'}
    for name in ('gzip', 'xz'):
        assert sizes[name]['given'] < 0.05 * sizes[name]['alone']
    assert sizes['bzip2']['given'] < 0.6 * sizes['bzip2']['alone']
    assert sizes['gzip']['alone'] == len(gzip.compress(text, 9))


def test_the_file_of_both_is_that_of_the_earlier_text_and_what_was_given():
    text, earlier = words(2000, 0), words(3000, 1)
    for name, compress in text_formats.FORMATS.items():
        each = text_formats.bytes_of(text, earlier)[name]
        assert len(compress(earlier + text)) == len(compress(earlier)) + each['given']


def test_only_the_end_of_a_long_earlier_text_is_read(monkeypatch):
    text, earlier = words(2000, 0), words(3000, 1)
    monkeypatch.setattr(text_formats, 'MAX_EARLIER', 1000)
    assert text_formats.bytes_of(text, earlier) == text_formats.bytes_of(text, earlier[-1000:])


@pytest.mark.parametrize('earlier', [b'', b'x'])
def test_a_text_without_an_earlier_one(earlier):
    sizes = text_formats.bytes_of(words(300, 0), earlier)
    assert all(0 < each['given'] <= each['alone'] + 8 for each in sizes.values())
