"""Anomaly scores: closed forms, with and without classes, any device count; the data scored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.special import logsumexp
from scipy.stats import norm
from support import with_abilities

from atelier.core.abilities import LabelPrior, LogProb, Reconstruct, Sample
from atelier.data import dataset
from atelier.evaluation import evaluate
from atelier.evaluation.examples import outliers
from atelier.evaluation.examples.anomaly_score import chosen_score, description_of, scorer
from atelier.run import restore
from configs.shared import common

CENTRES = np.linspace(0, 8, 10)  # means of x, by class
flat = lambda x: x.reshape(len(x), -1)


def nats_of_class(weights, batch, rng):
    """Returns log N(x; centre of its label, I)."""
    away = flat(batch['x']) - jnp.asarray(CENTRES, jnp.float32)[batch['label']][:, None]
    return jnp.sum(-0.5 * away**2 - 0.5 * jnp.log(2 * jnp.pi), 1)


def centre_of_class(weights, batch, rng):
    centre = jnp.asarray(CENTRES, jnp.float32)[batch['label']]
    return jnp.broadcast_to(centre[:, None, None, None], batch['x'].shape)


def by_class(run):
    """Returns `run` with abilities that all need batch['label']."""
    return with_abilities(
        run,
        LogProb(nats_of_class, 'exact'),
        Reconstruct(centre_of_class),
        Sample(None, True),
    )


def with_data(run, **changes):
    """Returns `run` with changes to config.data."""
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.data.update(**changes)
    return run._replace(config=config)


def scores(run, name, x, data=None, num_devices=1):
    score = scorer(run, data or run.data, name, jax.devices()[:num_devices])
    return score(restore.initial_state(run), x)


@pytest.fixture(scope='module')
def images(vae):
    return vae.data.splits['test']['x'][:21]


@pytest.mark.parametrize('left_out', [(), (0, 9)])
@pytest.mark.parametrize('num_devices', [1, 8])
def test_a_family_of_classes_is_averaged_over_those_it_was_trained_on(
    vae, images, left_out, num_devices
):
    """NLL is -log mean_y p(x | y), reconstruction uses the nearest centre; labels are not given."""
    spec = vae.data.spec._replace(left_out=left_out)
    run = by_class(vae._replace(data=vae.data._replace(spec=spec)))
    centres = np.delete(CENTRES, left_out)
    logs = norm.logpdf(flat(images)[:, None], centres[:, None]).sum(-1)
    expected = np.log(len(centres)) - logsumexp(logs, axis=1)
    values = scores(run, 'nll', images, num_devices=num_devices)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    away = ((flat(images)[:, None] - centres[:, None]) / 16) ** 2  # 17 levels scaled to [0, 1]
    values = scores(run, 'reconstruction', images, num_devices=num_devices)
    np.testing.assert_allclose(values, 0.5 * away.sum(-1).min(1), rtol=1e-5)


@pytest.mark.parametrize('left_out', [(), (0, 9)])
def test_a_family_with_p_of_the_label_is_averaged_by_it(vae, images, left_out):
    """Over the classes of training alone."""
    log_prior = np.log(np.arange(1, 11) / 55)
    spec = vae.data.spec._replace(left_out=left_out)
    prior = LabelPrior(lambda weights: jnp.asarray(log_prior, jnp.float32))
    run = with_abilities(vae, LogProb(nats_of_class, 'exact'), Sample(None, True), prior)
    run = run._replace(data=run.data._replace(spec=spec))
    known = np.delete(np.arange(10), left_out)
    logs = norm.logpdf(flat(images)[:, None], CENTRES[known][:, None]).sum(-1)
    joint = logs + log_prior[known] - logsumexp(log_prior[known])
    np.testing.assert_allclose(scores(run, 'nll', images), -logsumexp(joint, axis=1), rtol=1e-5)
    assert '(exact, likelihood averaged over its own p(label))' in description_of(run, 'nll')


@pytest.mark.parametrize('num_devices', [1, 8])
def test_without_classes_the_score_is_the_reconstruction_error(vae, images, num_devices):
    half = lambda weights, batch, rng: batch['x'] / 2
    run = with_abilities(vae, Reconstruct(half))
    expected = 0.5 * np.square(flat(images) / 32).sum(1)
    values = scores(run, 'reconstruction', images, num_devices=num_devices)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_nll_equals_that_of_an_evaluation(vae):
    """The scores of all test examples are equal, including their random draws."""
    state, devices = restore.initial_state(vae), jax.devices()[:1]
    expected = evaluate.per_example(vae, state, devices)['nll_nats']
    values = scores(vae, 'nll', vae.data.splits['test']['x'])
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_the_default_score_follows_from_the_abilities(vae, complaint):
    nats, half = LogProb(nats_of_class, 'lower bound', 'k = 7'), centre_of_class
    both = with_abilities(vae, nats, Reconstruct(half))
    assert chosen_score(both, 'auto') == 'nll'
    assert chosen_score(both, 'reconstruction') == 'reconstruction'
    assert chosen_score(with_abilities(vae, Reconstruct(half)), 'auto') == 'reconstruction'
    line = complaint(chosen_score, both, 'nlll')
    assert line == "--score=nlll: choose one of auto, nll, reconstruction (did you mean 'nll'?)"
    for only, other, message in (
        (nats, 'reconstruction', 'has no reconstruction: choose --score=nll'),
        (Reconstruct(half), 'nll', 'has no likelihood: choose --score=reconstruction'),
    ):
        assert message in complaint(chosen_score, with_abilities(vae, only), other)


def test_the_report_describes_each_score(vae):
    assert description_of(vae, 'nll') == 'negative log-likelihood in nats (estimate, k = 10)'
    bound = with_abilities(vae, LogProb(nats_of_class, 'lower bound', 'k = 7'))
    assert '(upper bound of it, k = 7)' in description_of(bound, 'nll')
    assert '(exact, likelihood averaged over 10 classes)' in description_of(by_class(vae), 'nll')
    assert description_of(by_class(vae), 'reconstruction').endswith('of the best class')
    given = description_of(by_class(vae), 'reconstruction', is_given=True)
    assert given.endswith('normalized, given the label')


# Data that are scored


def preprocessed(run, data):
    """Returns the test split of other data, preprocessed as for the model, in levels."""
    keys = jax.random.split(jax.random.PRNGKey(0), data.size('test'))
    raw = {'x': jnp.asarray(data.splits['test']['x'])}
    return np.asarray(data.preprocess(raw, keys)['x'])


def run_on(vae, **changes):
    """Returns `run` on the digits, with these settings of config.data."""
    config = common.common_config()
    config.data.update(name='digits', **changes)
    return vae._replace(config=config, data=dataset.load(config))


def save_picture(folder, array, name='mine.png', mode=None):
    image = Image.fromarray(np.asarray(array, np.uint8))
    image = image.convert(mode) if mode else image
    image.save(folder / name)
    return str(folder / name)


def test_a_picture_is_quantized_to_the_levels_of_the_data(vae, tmp_path):
    """A picture of the right size: 0..255 becomes 0..16, and colour becomes grey."""
    grey = np.arange(64).reshape(8, 8) * 4
    for mode in (None, 'RGB', 'RGBA'):
        data = outliers.image_as_data(vae, save_picture(tmp_path, grey, mode=mode))
        np.testing.assert_array_equal(preprocessed(vae, data)[0, ..., 0], np.round(grey * 16 / 255))


def test_the_centre_of_a_picture_is_scaled(vae, tmp_path):
    """Of 80 x 160 pixels the middle 80 x 80 remain, here white between black ends."""
    wide = np.zeros((80, 160))
    wide[:, 40:120] = 255
    data = outliers.image_as_data(vae, save_picture(tmp_path, wide))
    np.testing.assert_array_equal(preprocessed(vae, data), np.full((1, 8, 8, 1), 16))


def test_a_picture_is_binarised_and_dequantised_as_the_data_are(vae, tmp_path):
    path = save_picture(tmp_path, np.repeat([[0], [100], [150], [255]], 2, 0) * np.ones((1, 8)))
    threshold = run_on(vae, binarize='threshold')
    x = preprocessed(threshold, outliers.image_as_data(threshold, path))[0, :, 0, 0]
    np.testing.assert_array_equal(x, [0, 0, 0, 0, 1, 1, 1, 1])
    drawn = run_on(vae, binarize='stochastic')
    x = preprocessed(drawn, outliers.image_as_data(drawn, path))[0, ..., 0]
    assert set(np.unique(x)) == {0, 1}
    assert not x[:2].any()
    assert x[-2:].all()
    noisy = run_on(vae, dequantize='uniform')
    x = preprocessed(noisy, outliers.image_as_data(noisy, path))[0, :, 0, 0]
    np.testing.assert_array_equal(np.floor(x), [0, 0, 6, 6, 9, 9, 16, 16])


def test_grey_pictures_are_converted_for_colour_data(vae, tmp_path):
    spec = dataset.Spec((8, 8, 3), 256, None)
    run = vae._replace(data=vae.data._replace(spec=spec))
    grey = np.arange(64).reshape(8, 8)
    x = preprocessed(run, outliers.image_as_data(run, save_picture(tmp_path, grey)))
    np.testing.assert_array_equal(x[0], np.repeat(grey[..., None], 3, 2))


def test_unusable_pictures_are_refused(vae, tmp_path, complaint):
    take = lambda run, path: complaint(outliers.image_as_data, run, str(path))
    line = take(vae, tmp_path / 'none.png')
    assert line == f'--picture={tmp_path}/none.png: there is no such file'
    (tmp_path / 'text.png').write_text('no picture')
    assert 'is not an image in a known format' in take(vae, tmp_path / 'text.png')
    real = vae._replace(data=vae.data._replace(spec=dataset.Spec((8, 8, 1), None, None)))
    assert 'does not hold images with discrete levels' in take(
        real, save_picture(tmp_path, np.zeros((8, 8)))
    )


def arrays(folder, x, **others):
    np.savez(folder / 'others.npz', x=x, **others)
    return 'arrays', str(folder / 'others.npz'), ''


def test_outliers_are_preprocessed_like_the_data_of_the_run(vae, tmp_path):
    """Outliers with any number of levels are binarised like the data."""
    x = np.random.RandomState(0).randint(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    run = with_data(run_on(vae, binarize='threshold'), without_classes=(3,), num_valid=0)
    other = outliers.another_data_set(run, *arrays(tmp_path, x))
    assert other.spec.levels == 2
    np.testing.assert_array_equal(preprocessed(run, other), other.splits['test']['x'] > 127.5)


def test_outliers_of_another_shape_or_number_of_levels_are_refused(vae, tmp_path, complaint):
    x = np.zeros((40, 8, 8, 1), np.uint8)
    take = lambda run, *settings: complaint(outliers.another_data_set, run, *settings)
    line = take(vae, *arrays(tmp_path, x[:, :4], levels=17))
    assert line.startswith('--outliers=arrays: its event_shape is (4, 8, 1) and that of digits is')
    line = take(vae, *arrays(tmp_path, x, levels=4))
    assert 'its levels is 4 and that of digits is 17' in line
    assert '--outliers=arrays: --outliers_path: there is no file' in take(vae, 'arrays', 'x', '')
    line = take(vae, 'digts', '', str(tmp_path))
    assert line.startswith('--outliers=digts:') and 'set --outliers_data_dir or TFDS' in line
