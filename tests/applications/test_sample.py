"""Samples by class, as files."""

import jax
import numpy as np
import pytest
from PIL import Image
from support import assembled

import states
from applications import sample

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A conditional GAN that paints the number of the class."""

    def paint(params, extra, draw, condition):
        label = (condition or {'label': jax.numpy.full(len(draw.keys), 5)})['label']
        return jax.numpy.ones((len(label), 8, 8, 1)) * label[:, None, None, None]

    made = assembled(tmp_path, 'cgan')
    monkeypatch.setattr(states, 'load_state', lambda run: (states.initial_state(run), 'untrained'))
    return made._replace(family=made.family._replace(sample=paint))


@pytest.mark.parametrize(
    ('labels', 'want'),
    [('7', [7, 7, 7, 7, 7]), ('0,3', [0, 3, 0, 3, 0]), ('all', [0, 1, 2, 3, 4]), ('', [5] * 5)],
)
def test_labels_are_given_in_turn(run, labels, want):
    x = sample.apply(run, num_samples=5, labels=labels)
    assert x[:, 0, 0, 0].tolist() == want
    (path,) = (run.folder / 'samples').glob('*.npz')
    with np.load(path) as file:
        np.testing.assert_array_equal(file['x'], x)
        assert ('label' in file) == bool(labels)
        if labels:
            assert file['label'].tolist() == want


def test_a_class_is_a_column_of_the_picture(run):
    sample.apply(run, num_samples=6, labels='0,8,9')
    (path,) = (run.folder / 'samples').glob('*.png')
    picture = np.asarray(Image.open(path))
    factor = -(-400 // 28)  # three columns of 8 pixels and four borders
    assert picture.shape == (factor * 19, factor * 28)
    assert picture[2 * factor, 2 * factor] == 0
    assert picture[2 * factor, 11 * factor] == picture[11 * factor, 11 * factor] == 128


@pytest.mark.parametrize('labels', ['10', 'x', '1,', '-1', 'ALL'])
def test_what_is_no_class_is_refused(run, complaint, labels):
    assert 'give classes' in complaint(sample.apply, run, labels=labels)


def test_a_family_that_knows_no_classes_says_so(tmp_path, complaint, monkeypatch):
    run = assembled(tmp_path, 'gan')
    monkeypatch.setattr(states, 'load_state', lambda run: (states.initial_state(run), 'untrained'))
    assert 'does not sample by class' in complaint(sample.apply, run, labels='3')
