"""Scores by example, and by character of a text."""

import json

import numpy as np
import pytest
from support import assembled

from atelier.applications import perform, score
from atelier.data.text import decode

pytestmark = pytest.mark.usefixtures('untrained')


TEXT = 'The for statement is used to iterate.\n' * 40


@pytest.fixture(scope='module')
def text_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('markov')
    words = np.random.default_rng(0).choice(['The', 'for', 'statement', 'is', 'used.\n'], 2000)
    (folder / 'words.txt').write_text(' '.join(words) + TEXT)
    data = dict(data__path=str(folder / 'words.txt'), data__split_by='order')
    return assembled(folder, 'markov', 'text,debug', **data)


def test_the_nats_of_characters_sum_to_those_of_their_window(text_run):
    """Characters that a window does not score have no nats, and the file has the same arrays."""
    arrays = perform(score.APPLICATION, text_run)
    nats, split = arrays['character_nats'], text_run.data.splits['test']
    assert nats.shape == split['x'].shape and (nats >= 0).all()
    np.testing.assert_allclose(nats.sum(1), -arrays['log_prob_nats'], rtol=1e-5)
    is_scored = np.arange(nats.shape[1]) >= nats.shape[1] - split['num_scored'][:, None]
    assert (nats[~is_scored] == 0).all()
    assert arrays['text'].tolist() == decode(split['x'], text_run.data.spec.symbols)
    folder = text_run.folder / 'applications'
    stored = np.load(folder / 'score.npz')
    np.testing.assert_array_equal(stored['character_nats'], nats)
    assert (folder / 'score.png').stat().st_size > 5000
    assert 'character_nats' not in (folder / 'score.csv').read_text().split('\n')[0]
    assert 'character_nats' not in json.loads((folder / 'score.json').read_text())['means']


@pytest.mark.slow
def test_a_text_of_yours_is_shown_from_its_beginning(text_run, tmp_path, monkeypatch):
    (tmp_path / 'mine.txt').write_text(TEXT)
    shown = []
    draw = score._text_figure.figure
    record = lambda passages, *rest: shown.extend(passages) or draw(passages, *rest)
    monkeypatch.setattr(score._text_figure, 'figure', record)
    arrays = perform(score.APPLICATION, text_run, data=str(tmp_path / 'mine.txt'))
    (passage,) = shown
    assert passage.text == TEXT and 'Mean of 1,520 characters' in passage.title
    np.testing.assert_allclose(passage.nats.sum(), -arrays['log_prob_nats'].sum(), rtol=1e-5)


@pytest.mark.slow
def test_a_huge_text_has_no_nats_by_character(text_run, monkeypatch, caplog):
    caplog.set_level('INFO')
    monkeypatch.setattr(score, 'MAX_CHARACTERS', 10)
    assert 'character_nats' not in perform(score.APPLICATION, text_run)
    assert 'no nats by character' in caplog.text


def test_images_have_no_characters(vae, tmp_path):
    arrays = score.apply(vae._replace(folder=tmp_path))
    assert 'character_nats' not in arrays
    assert {path.suffix for path in (tmp_path / 'applications').iterdir()} == {
        *('.csv', '.json', '.npz')
    }
