"""score, embed, classify and reconstruct of Python: results, and arguments that are refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled

from atelier import on_arrays
from atelier.run import restore
from atelier.run.restore import TrainedRun

pytestmark = pytest.mark.usefixtures('untrained')
FUNCTIONS = ('score', 'embed', 'classify', 'reconstruct')


def opened(run):
    return TrainedRun(run, restore.initial_state(run), '')


@pytest.fixture
def trained(vae):
    return opened(vae)


@pytest.fixture
def x():
    return np.random.RandomState(0).randint(0, 17, (6, 8, 8, 1)).astype(np.uint8)


def test_results_have_a_row_an_example(trained, x, tmp_path):
    """An array, a list, an array of JAX and a file give the same."""
    np.savez(tmp_path / 'mine.npz', x=x)
    scores = on_arrays.score(trained, x)
    assert {name: len(each) for name, each in scores.items()} == dict.fromkeys(scores, 6)
    assert on_arrays.embed(trained, x).shape == (6, 2)
    assert on_arrays.reconstruct(trained, x).shape == x.shape
    for same in (x.tolist(), jnp.asarray(x), tmp_path / 'mine.npz', str(tmp_path / 'mine.npz')):
        np.testing.assert_array_equal(on_arrays.embed(trained, same), on_arrays.embed(trained, x))
    size = trained.run.data.size('valid')
    assert len(on_arrays.score(trained, split='valid')['log_prob_nats']) == size


def test_classes_have_probabilities(tmp_path, x):
    probabilities = on_arrays.classify(opened(assembled(tmp_path, 'classifier')), x)
    np.testing.assert_allclose(probabilities.sum(1), np.ones(6), rtol=1e-5)


@pytest.mark.slow
def test_labels_are_used(tmp_path, x, complaint):
    trained = opened(assembled(tmp_path, 'cvae'))
    scores = [on_arrays.score(trained, x, [k] * 6)['half_squared_error'] for k in (0, 1)]
    assert not np.array_equal(*scores)
    assert complaint(on_arrays.embed, trained, x).endswith('of each example: give label')


def test_labels_may_be_names(tmp_path, x, complaint):
    """Also in another order than that of the classes; a number as text is one, if no name is."""
    run = assembled(tmp_path, 'cvae')
    names = tuple(f'class {letter}' for letter in 'abcdefghij')
    spec = run.data.spec._replace(class_names=names)
    trained = opened(run._replace(data=run.data._replace(spec=spec)))
    numbers = [3, 0, 9, 0, 3, 1]
    expected = on_arrays.embed(trained, x, numbers)
    np.testing.assert_array_equal(
        on_arrays.embed(trained, x, [names[i] for i in numbers]), expected
    )
    np.testing.assert_array_equal(on_arrays.embed(trained, x, [*map(str, numbers)]), expected)
    line = complaint(on_arrays.score, trained, x, ['class a'] * 5 + ['clas b'])
    assert line.startswith("the examples: label: there is no class 'clas b'")


@pytest.mark.parametrize('name', FUNCTIONS)
def test_contradictory_arguments_are_refused(trained, x, name, complaint):
    function = getattr(on_arrays, name)
    assert complaint(function, trained, x, split='train') == "split='train' and x: give one of them"
    assert complaint(function, trained, split='tset').startswith("split='tset': choose one of")
    if name != 'classify':
        assert complaint(function, trained, 'a.npz', [1]).startswith("label and x='a.npz'")
        assert complaint(function, trained, label=[1]).startswith('label without x')


def test_messages_name_the_argument(trained, x, tmp_path, complaint):
    for examples, words in (
        (tmp_path / 'none.npz', f"x='{tmp_path}/none.npz': there is no such file"),
        ([[1.0], [1.0, 2.0]], 'the examples: x is no array of numbers, all rows of one shape'),
        (x[..., 0], 'the examples: x is uint8 (6, 8, 8): give numbers [n, 8, 8, 1]'),
    ):
        assert complaint(on_arrays.score, trained, examples).startswith(words)
    assert 'label is no array' in complaint(on_arrays.score, trained, x, [[1], [1, 2]])
    assert 'has no class probabilities; it has' in complaint(on_arrays.classify, trained, x)


def test_values_beyond_float32_are_refused(tmp_path, complaint):
    trained = opened(assembled(tmp_path, 'vae', 'eight_gaussians,debug'))
    huge = np.array([[1e300, 0.0]])
    assert 'x goes up to 1e+300, more than float32 holds' in complaint(
        on_arrays.score, trained, huge
    )
    np.savez(tmp_path / 'huge.npz', x=huge)
    line = complaint(on_arrays.score, trained, tmp_path / 'huge.npz')
    assert 'huge.npz' in line and 'more than float32 holds' in line
    line = complaint(on_arrays.score, trained, np.array([[np.nan, 0]]))
    assert line.endswith('x has values that are not finite: 1 of 2')
