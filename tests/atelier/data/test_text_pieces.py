"""Splits of a text by content: what a change moves, what it does not, and how pieces are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data import text_pieces
from atelier.data.text_pieces import ALONE, HEAD, LONG_LINE

MEAN_LENGTH = 1047
SPLITS = ('train', 'valid', 'test')
FORMS = {
    'lines': 'abcdefghij  \n',
    'words': 'abcdefghij  ',
    'one long word': 'acgt',
    'wide': 'äö漢🙂\n',
}
kinds = st.sampled_from([*FORMS])
NEAR = 12 * MEAN_LENGTH  # characters after a change in which a piece has ended, almost certainly


def written(form, length, seed=0):
    return ''.join(np.random.default_rng(seed).choice([*FORMS[form]], length))


def owners(text, share=0.2):
    """The index of the split of each character."""
    found = np.full(len(text), -1)
    for index, name in enumerate(SPLITS):
        for start, stop in text_pieces.by_content(text, share)[0][name].tolist():
            assert (found[start:stop] == -1).all() and start < stop
            found[start:stop] = index
    assert (found >= 0).all()
    return found


@pytest.mark.parametrize('form', FORMS)
def test_pieces_have_the_mean_length_and_the_share(form):
    text = written(form, 1_000_000)
    spans, count = text_pieces.by_content(text, 0.2)
    assert len(text) / count == pytest.approx(MEAN_LENGTH, rel=0.15)
    for name in ('valid', 'test'):
        assert np.diff(spans[name]).sum() / len(text) == pytest.approx(0.2, abs=0.08)
    assert (spans[name][1:, 0] > spans[name][:-1, 1]).all()


@pytest.mark.slow
def test_anchors_are_apart_so_repetition_gives_no_tiny_pieces():
    assert min(np.diff([*text_pieces._anchors(written('words', 500_000))])) > ALONE
    words = (f'{n:032}' for n in range(10**5))
    word = next(word for word in words if [*text_pieces._anchors('x' * ALONE + word)])
    assert len([*text_pieces._anchors('x' * ALONE + word * 1000)]) == 1


def test_pieces_end_with_lines_unless_these_are_long():
    text = written('lines', 200_000)
    assert all(text[end - 1] == '\n' for end in text_pieces._ends(text))
    long = text.replace('\n', ' ')
    changed = long[:50_000] + '\n' + long[50_000:]
    ends = [end for end in text_pieces._ends(changed) if end <= 50_000]
    assert all(end > LONG_LINE for end in ends) and len(ends) > 10


@settings(max_examples=20, deadline=None)
@given(kinds, st.integers(1, 60_000), st.integers(1, 20_000))
def test_appending_moves_no_character_but_the_last(form, length, more):
    text = written(form, length + more)
    now, before = owners(text), owners(text[:length])
    kept = max(0, length - HEAD)
    np.testing.assert_array_equal(now[:kept], before[:kept])


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(kinds, st.integers(0, 80_000), st.integers(0, 5000), st.integers(0, 5000))
def test_a_change_moves_only_what_is_near(form, position, removed, inserted):
    text = written(form, 80_000 + NEAR)
    after = text[:position] + written(form, inserted, seed=1) + text[position + removed :]
    then, now = owners(text), owners(after)
    start = max(0, position - HEAD)
    np.testing.assert_array_equal(now[:start], then[:start])
    rest = max(0, len(text) - position - removed - NEAR)
    assert rest == 0 or (now[-rest:] == then[-rest:]).all()


@settings(max_examples=10, deadline=None)
@given(kinds, st.integers(1, 3000))
def test_chunks_do_not_matter(form, chunk):
    text = written(form, 10_000)
    ends = text_pieces._ends(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_pieces, 'CHUNK', chunk)
        assert text_pieces._ends(text) == ends


def test_equal_pieces_share_a_split_and_the_rule_never_changes():
    """A copy of a text is split like the text, but for the piece in which it begins."""
    text = written('lines', 60_000)
    first, copy = np.split(owners(text + text), 2)
    end = text_pieces._ends(text)[0]
    np.testing.assert_array_equal(first[end:-HEAD], copy[end:-HEAD])
    spans, count = text_pieces.by_content(text, 0.2)
    expected = [4465, 9329, 14368, 16236, 26327, 31537, 44132, 49042]
    assert (count, spans['test'][:, 0].tolist()) == (59, expected)


def test_a_larger_share_keeps_the_test_split():
    text = written('lines', 100_000)
    small, large = owners(text, 0.1) == 2, owners(text, 0.2) == 2
    assert large[small].all() and large.sum() > small.sum()


@pytest.mark.parametrize('text', ['a', 'a' * 31, '\n' * 40, 'ab' * 5000])
def test_texts_without_an_anchor_are_one_piece(text):
    spans, count = text_pieces.by_content(text, 0.1)
    assert count == 1
    assert sum(np.diff(each).sum() for each in spans.values()) == len(text)


def test_spans_are_united():
    spans = np.array([[0, 3], [8, 9]]), np.array([[3, 5], [20, 30]])
    assert text_pieces.united(*spans).tolist() == [[0, 5], [8, 9], [20, 30]]
    none = np.zeros((0, 2), np.int64)
    assert text_pieces.united(none, none).shape == (0, 2)
