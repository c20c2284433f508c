"""Anomaly scores: comparison of data sets, direction of the scores, output files, and refusals."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from support import assembled, with_abilities

from atelier.applications import _anomaly_maps, anomaly, perform
from atelier.core.abilities import LogProb, Reconstruct, Sample
from atelier.data.spec import Spec
from atelier.evaluation.examples.score_maps import ScoreMaps
from atelier.report.heat_maps import HEAT

pytestmark = pytest.mark.usefixtures('untrained')

ink = lambda batch: batch['x'].reshape(len(batch['x']), -1).sum(1)


def by_ink(run):
    """Returns `run` whose negative log-likelihood is the sum of x."""
    nats = LogProb(lambda weights, batch, rng: -ink(batch), 'exact')
    return with_abilities(run, nats)


def without(run, *classes):
    """Returns `run` with these classes left out of training."""
    spec = run.data.spec._replace(left_out=classes)
    return run._replace(data=run.data._replace(spec=spec))


def test_left_out_classes_are_compared_with_the_known_ones(vae, caplog):
    test = vae.data.splits['test']
    with caplog.at_level('INFO', logger='atelier'):
        arrays = anomaly.apply(without(by_ink(vae), 3, 8), num_images=4)
    score = test['x'].reshape(447, -1).sum(1).astype(float)
    np.testing.assert_array_equal(arrays['score'], score)
    np.testing.assert_array_equal(arrays['label'], test['label'])
    novel = np.isin(test['label'], [3, 8])
    np.testing.assert_array_equal(arrays['is_novel'], novel)
    assert arrays['novel_auroc'][0] == pytest.approx(roc_auc_score(novel, score))
    assert np.all(np.diff(score[arrays['index']]) <= 0)
    assert sorted(arrays['index']) == list(range(447))
    assert 'negative log-likelihood in nats (exact)' in caplog.text
    assert 'classes left out of training (3, 8): AUROC 0.' in caplog.text
    stored = np.load(vae.folder / 'applications' / 'anomaly-nll.npz')
    assert set(stored) == set(arrays)
    np.testing.assert_array_equal(stored['score'], score)
    headline = json.loads((vae.folder / 'applications' / 'anomaly-nll.json').read_text())
    assert headline['novel_auroc']['value'] == arrays['novel_auroc'][0]
    assert headline['mean'] == pytest.approx(score.mean())
    assert (vae.folder / 'applications' / 'anomaly-nll.png').stat().st_size > 5000


def test_other_data_are_outliers(vae, tmp_path):
    """Other data have no labels; the run's left-out classes are excluded from the comparison."""
    random = np.random.RandomState(0)
    x = random.randint(0, 17, (30, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / 'noise.npz', x_train=x, x_test=x[:11], levels=17)
    options = dict(outliers='arrays', outliers_path=str(tmp_path / 'noise.npz'))
    arrays = anomaly.apply(without(by_ink(vae), 5), **options)
    score = np.sort(x[:11].reshape(11, -1).sum(1))
    np.testing.assert_array_equal(np.sort(arrays['outlier_score']), score)
    known = arrays['score'][arrays['label'] != 5]
    truth = np.repeat([1, 0], [11, len(known)])
    expected = roc_auc_score(truth, np.concatenate([score, known]))
    assert arrays['outlier_auroc'][0] == pytest.approx(expected)
    assert 0 < arrays['outlier_auroc'][1] < 0.2
    (path,) = (vae.folder / 'applications').glob('anomaly-nll-noise-data-????????.npz')
    assert path.with_suffix('.png').exists()


def test_an_image_file_is_scored(vae, tmp_path, caplog):
    grey = np.zeros((8, 8), np.uint8)
    grey[2:6, 3] = 255
    Image.fromarray(grey).save(tmp_path / 'mine.png')
    with caplog.at_level('INFO', logger='atelier'):
        arrays = anomaly.apply(by_ink(vae), picture=str(tmp_path / 'mine.png'))
    assert arrays['picture_score'] == 4 * 16
    np.testing.assert_array_equal(arrays['picture'][..., 0], grey // 255 * 16.0)
    assert arrays['picture_percentile'] == pytest.approx(100 * np.mean(arrays['score'] < 64))
    assert f'the picture: score 64.00, above {arrays["picture_percentile"]:.1f} %' in caplog.text
    (path,) = (vae.folder / 'applications').glob('anomaly-nll-mine-picture-????????.png')
    assert path.stat().st_size > 5000


@pytest.mark.slow
def test_maps_lie_over_the_most_anomalous_images(vae, tmp_path):
    """Of a reconstruction that is 0 everywhere, the error of a pixel is half its square."""
    grey = np.zeros((8, 8), np.uint8)
    grey[2:6, 3] = 255
    Image.fromarray(grey).save(tmp_path / 'mine.png')
    run = with_abilities(vae, Reconstruct(lambda weights, batch, rng: 0 * batch['x']))
    arrays = anomaly.apply(run, num_images=3, picture=str(tmp_path / 'mine.png'))
    np.testing.assert_array_equal(arrays['mapped'], arrays['index'][:3])
    x = run.data.splits['test']['x'][arrays['mapped']] / 16
    np.testing.assert_allclose(arrays['score_map'], 0.5 * x**2, rtol=1e-6)
    sums = arrays['score_map'].reshape(3, -1).sum(1)
    np.testing.assert_allclose(sums, arrays['score'][arrays['mapped']], rtol=1e-5)
    np.testing.assert_allclose(arrays['picture_map'][..., 0], grey / 255 / 2)
    (picture,) = (vae.folder / 'applications').glob('anomaly-reconstruction-mine-*-maps.png')
    assert picture.stat().st_size > 5000


def test_a_score_without_pixels_has_no_map(vae, tmp_path):
    run = by_ink(vae)._replace(folder=tmp_path)
    assert not {'mapped', 'score_map'} & {*anomaly.apply(run, num_images=2)}
    assert not [*(tmp_path / 'applications').glob('*-maps.png')]


@pytest.mark.parametrize('channels', [1, 3])
def test_colours_grow_with_the_terms_of_a_pixel(tmp_path, channels):
    """An orange pixel is where the term is largest; a black one stays black without a term."""
    spec = Spec((4, 4, channels), 256, None)
    terms = np.zeros((1, *spec.event_shape))
    terms[0, 1, 2] = 5
    maps = ScoreMaps(np.zeros(terms.shape), terms, 'nats', '-log p(x)')
    path = tmp_path / 'maps.png'
    _anomaly_maps.save_figure(path, maps, None, ['test 3\nscore 5.0'], spec)
    pixels = np.asarray(Image.open(path).convert('RGB'))
    orange = np.array([int(HEAT[i : i + 2], 16) for i in (1, 3, 5)])
    is_near = lambda colour: np.abs(pixels.astype(int) - colour).max(-1) < 8
    num_orange, num_black = (np.sum(is_near(np.asarray(c))) for c in (orange, [0, 0, 0]))
    assert 20 < num_black / num_orange < 40  # 15 pixels below, 16 above, and texts


@pytest.mark.slow
def test_a_class_conditional_family_scores_unlabelled_data(vae, tmp_path):
    """An image file and another data set without labels."""

    def reconstruct(weights, batch, rng):
        return jnp.broadcast_to(batch['label'][:, None, None, None], batch['x'].shape) + 0.0

    run = with_abilities(vae, Reconstruct(reconstruct), Sample(None, True))
    x = np.full((20, 8, 8, 1), 12, np.uint8)
    np.savez(tmp_path / 'flat.npz', x=x, levels=17)
    Image.fromarray(np.full((8, 8), 64, np.uint8)).save(tmp_path / 'mine.png')
    arrays = anomaly.apply(
        run,
        outliers='arrays',
        outliers_path=str(tmp_path / 'flat.npz'),
        picture=str(tmp_path / 'mine.png'),
    )
    np.testing.assert_allclose(arrays['outlier_score'], 0.5 * 64 * (3 / 16) ** 2, rtol=1e-6)
    assert arrays['picture_score'] == pytest.approx(0, abs=1e-9)  # level 4 is what class 4 gives


@pytest.mark.slow
def test_a_table_has_scores_and_no_images(vae, tmp_path, complaint):
    """Infinite scores rank highest."""
    x = np.arange(60, dtype=np.float32)[:, None] * [1, 2, 3]
    np.savez(tmp_path / 'table.npz', x=x)
    own = dict(data__path=str(tmp_path / 'table.npz'), data__split_by='order')
    run = assembled(tmp_path, 'vae', 'arrays,debug', **own)

    def nats(weights, batch, rng):
        return jnp.where(batch['x'][:, 0] > 50, -jnp.inf, batch['x'][:, 0])

    infinite = with_abilities(run, LogProb(nats, 'exact'))
    arrays = anomaly.apply(infinite)
    assert arrays['score'].shape == (6,)
    assert np.isinf(arrays['score']).any()
    for name in ('anomaly-nll.png', 'anomaly-nll-most.png'):
        assert (tmp_path / 'applications' / name).stat().st_size > 1000
    nan = lambda *arguments: jnp.log(-1 - jnp.abs(nats(*arguments)))
    broken = with_abilities(run, LogProb(nan, 'exact'))
    assert '6 of 6 scores are NaN' in complaint(anomaly.apply, broken)


@pytest.mark.slow
def test_real_families_have_scores(vae, tmp_path):
    for score in ('nll', 'reconstruction'):
        assert np.all(np.isfinite(anomaly.apply(vae, score=score, num_images=2)['score']))
    assert np.isfinite(anomaly.apply(assembled(tmp_path, 'vae_gan'))['score']).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_images=0), '--num_images=0'),
        (dict(score='best'), '--score=best: choose one of auto, nll, reconstruction'),
        (dict(score='reconstruction'), 'has no reconstruction: choose --score=nll'),
        (dict(outliers_path='x.npz'), 'need --outliers=NAME'),
        (dict(outliers_data_dir='here'), 'need --outliers=NAME'),
        (dict(outliers='ring'), '--outliers=ring: its event_shape is (2,)'),
        (dict(picture='none.png'), '--picture=none.png: there is no such file'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(anomaly.apply, by_ink(vae), **options)


def test_families_and_examples_without_a_score_are_refused(vae, gan, complaint):
    line = complaint(perform, anomaly.APPLICATION, gan)
    assert 'has no likelihood or reconstruction; modes' in line
    all_left_out = without(by_ink(vae), *range(10))
    assert 'all test examples belong to classes' in complaint(anomaly.apply, all_left_out)
