"""Both classifiers on codes, against scikit-learn and by hand; the output without labels."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from support import assembled, with_abilities

from atelier import door
from atelier.applications import embed, perform
from atelier.applications.embed import Labelled
from atelier.core.abilities import Codes
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')


def blobs(n=200, classes=3, dims=4, seed=0):
    random = np.random.RandomState(seed)
    label = random.randint(0, classes, n)
    x = 1.5 * np.eye(classes, dims)[label] + random.normal(size=(n, dims))
    x = (x * [1, 10, 0.1, 1]).astype(np.float32)
    return Labelled(x[:150], x[150:], label[:150], label[150:])


def of_codes(run, train, test):
    """Returns `run` with these splits; its code is the first two pixels of x."""
    encode = lambda weights, batch, rng: batch['x'].reshape(-1, 64)[:, :2]
    return with_abilities(run, Codes(encode), splits={'train': train, 'test': test})


def levels(codes, rest=0):
    x = np.full((len(codes), 64), rest, np.uint8)
    x[:, :2] = codes
    return x.reshape(-1, 8, 8, 1)


def results(run):
    return json.loads((run.folder / 'applications' / 'embed.json').read_text())


def test_neighbours_equal_scikit_learns():
    """Two classes and an odd number of neighbours rule out ties."""
    data = blobs(classes=2)
    expected = KNeighborsClassifier(5).fit(data.train, data.train_label).predict(data.test)
    np.testing.assert_array_equal(embed.by_neighbours(data, 5), expected)


def test_ties_go_to_the_nearest_neighbour():
    """Neighbours of classes 7, 3 and 9 lie at distances 1 to 5 from 0."""

    def at(*labels):
        distances = np.arange(1.0, 1 + len(labels))[:, None]
        return Labelled(distances, np.zeros((1, 1)), np.array(labels), np.zeros(1, int))

    assert embed.by_neighbours(at(7, 3, 3, 7), 4).tolist() == [7]
    assert embed.by_neighbours(at(9, 3, 7, 7, 3), 5).tolist() == [3]
    assert embed.by_neighbours(at(9, 3, 3, 7, 3), 1).tolist() == [9]
    assert embed.by_neighbours(at(9, 9, 3, 3, 3), 5).tolist() == [3]


def test_the_probe_is_a_logistic_regression_on_standardized_features():
    data = blobs()
    scale = StandardScaler().fit(data.train)
    probe = LogisticRegression(max_iter=2000).fit(scale.transform(data.train), data.train_label)
    expected = probe.predict(scale.transform(data.test))
    np.testing.assert_array_equal(embed.by_probe(data), expected)
    constant = data._replace(
        train=np.pad(data.train, ((0, 0), (0, 1))), test=np.pad(data.test, ((0, 0), (0, 1)))
    )
    np.testing.assert_array_equal(embed.by_probe(constant), expected)


def test_codes_that_encode_the_class_are_classified_perfectly(vae):
    """Codes are (8, 0) or (0, 8) by class; all other pixels are noise."""
    random = np.random.RandomState(0)

    def split(n):
        label = np.arange(n) % 2
        x = random.randint(0, 17, (n, 64)).astype(np.uint8)
        x[:, :2] = 8 * np.eye(2)[label]
        return {'x': x.reshape(-1, 8, 8, 1), 'label': label}

    run = of_codes(vae, split(60), split(40))
    arrays = embed.apply(run)
    recorded = results(run)
    accuracy = {name: value['mean'] for name, value in recorded['accuracy'].items()}
    assert accuracy['neighbours_of_codes'] == accuracy['probe_of_codes'] == 1
    assert accuracy['neighbours_of_x'] < 0.95
    for name, value in recorded['accuracy'].items():
        assert value['mean'] == np.mean(arrays[name] == arrays['test_label'])
    assert (recorded['num_train'], recorded['num_test'], recorded['latent_dims']) == (60, 40, 2)
    assert (run.folder / 'applications' / 'embed.png').stat().st_size > 5000


@pytest.mark.slow
def test_only_the_first_codes_are_fitted(vae):
    """Only the first 10 codes match their class; all codes are written."""
    label = np.arange(50) % 2
    codes = 8 * np.eye(2, dtype=int)[label]
    codes[10:] = codes[10:, ::-1]
    run = of_codes(
        vae,
        {'x': levels(codes), 'label': label},
        {'x': levels([[8, 0], [0, 8]]), 'label': np.array([0, 1])},
    )
    few, all_of_them = embed.apply(run, num_codes=10), embed.apply(run)
    assert few['train_codes'].shape == (50, 2)
    for name in ('neighbours_of_codes', 'probe_of_codes', 'neighbours_of_x', 'probe_of_x'):
        assert few[name].tolist() == [0, 1]
        if 'probe' in name:  # neighbours at equal distances vote in no fixed order
            assert all_of_them[name].tolist() == [1, 0]


@pytest.mark.parametrize('name', ['vae', pytest.param('vae_gan', marks=pytest.mark.slow)])
def test_codes_and_labels_are_those_of_the_splits(tmp_path, name):
    run = assembled(tmp_path, name)
    short = {s: {n: a[:70] for n, a in part.items()} for s, part in run.data.splits.items()}
    run = run._replace(data=run.data._replace(splits=short))
    arrays = embed.apply(run)
    trained = door.TrainedRun(run, restore.initial_state(run), '')
    stored = np.load(tmp_path / 'applications' / 'embed.npz')
    assert set(stored) == set(arrays)
    for split in ('train', 'test'):
        codes = door.over_split(trained, run.family.ability(Codes).encode, split)
        np.testing.assert_array_equal(stored[f'{split}_codes'], codes)
        np.testing.assert_array_equal(stored[f'{split}_label'], short[split]['label'])


@pytest.mark.parametrize(
    ('label', 'message'),
    [(None, 'the data have no labels'), (np.ones(9, int), 'the training examples')],
)
def test_without_classes_only_codes_are_written(vae, caplog, label, message):
    split = {'x': levels(np.zeros((9, 2), int)), **({} if label is None else {'label': label})}
    run = of_codes(vae, split, split)
    figure = run.folder / 'applications' / 'embed.png'
    figure.unlink(missing_ok=True)
    with caplog.at_level('INFO', logger='atelier'):
        arrays = embed.apply(run)
    assert f'only codes are written: {message}' in caplog.text
    assert {'train_codes', 'test_codes'} <= set(arrays) and 'probe_of_codes' not in arrays
    assert 'accuracy' not in results(run) and not figure.exists()


def test_bad_input_raises_one_line(tmp_path, vae, complaint):
    assert '--num_neighbours=0' in complaint(embed.apply, vae, num_neighbours=0)
    assert '--num_codes=4: it must be at least 5' in complaint(embed.apply, vae, num_codes=4)
    few = {'x': levels(np.zeros((4, 2), int))}
    message = complaint(embed.apply, of_codes(vae, few, few))
    assert 'train split of digits has 4 examples, fewer than 5' in message
    line = complaint(perform, embed.APPLICATION, assembled(tmp_path, 'gan'))
    assert 'has no encoder; modes that fit it: ' in line


@pytest.mark.parametrize('labels', [[0, 1], [0, 9], None])
def test_classes_that_training_left_out_are_told_if_there_are_examples_of_them(vae, caplog, labels):
    codes = levels([[0, 0], [1, 1]])
    test = {'x': codes} if labels is None else {'x': codes, 'label': np.array(labels)}
    run = of_codes(vae, {'x': codes, 'label': np.array([0, 1])}, test)
    run = run._replace(data=run.data._replace(spec=run.data.spec._replace(left_out=(7, 9))))
    embed.apply(run, num_neighbours=1)
    told = [record.getMessage() for record in caplog.records if 'left out' in record.getMessage()]
    assert [line.split(':')[0] for line in told] == (
        ['training left out classes 9'] if labels == [0, 9] else []
    )
