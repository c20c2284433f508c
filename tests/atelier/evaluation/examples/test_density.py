"""p(x) on a grid is the density of the model: known Gaussians, mixtures and classes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from support import assembled, with_abilities

from atelier.core.abilities import Components, LogProb, Sample
from atelier.data import toy
from atelier.evaluation.examples import density
from atelier.report.views.view import DATA
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('one_device')


def trained(run):
    return restore.TrainedRun(run, restore.initial_state(run), 'first weights')


def numbers(folder, **arrays):
    """The path of an .npz of single numbers."""
    folder.mkdir(exist_ok=True)
    np.savez(folder / 'x.npz', **arrays)
    return str(folder / 'x.npz')


def test_a_gaussian_of_numbers_is_the_known_one(tmp_path):
    """With one component, EM's first weights are the mean and the variance."""
    x = np.random.RandomState(0).normal(40, 5, 400)
    path = numbers(tmp_path, x_train=x, x_valid=x[:9], x_test=x[:9])
    settings = dict(model__num_components=1, model__pseudo_count=0.0, train__batch_size=400)
    run = assembled(tmp_path, 'mixture', 'arrays', data__path=path, **settings)
    found = density.density_of(trained(run), {DATA: x})
    (axis,) = found.axes
    assert found.kind == 'exact' and len(axis) == density.NUM_VALUES
    np.testing.assert_allclose(found.p, stats.norm.pdf(axis, x.mean(), x.std()), rtol=1e-3)


@pytest.mark.slow
def test_the_components_of_a_mixture_sum_to_its_density(tmp_path):
    run = assembled(tmp_path, 'mixture', 'eight_gaussians,debug', model__num_components=4)
    model = trained(run)
    line = np.linspace(-12, 12, 241)
    found = density.density_on(model, (line, line[::2]))
    assert found.p.shape == (121, 241)
    assert [*found.components] == [f'component {k}' for k in range(1, 5)]
    np.testing.assert_allclose(sum(found.components.values()), found.p)
    assert np.trapezoid(np.trapezoid(found.p, line, axis=1), line[::2]) == pytest.approx(
        1, abs=1e-3
    )
    alone = run._replace(family=without(run.family, Components))
    of_log_prob = density.density_on(trained(alone), (line, line[::2]))
    np.testing.assert_allclose(found.p, of_log_prob.p, rtol=1e-4, atol=1e-9)
    assert not of_log_prob.components


def without(family, kind):
    others = tuple(each for each in family.abilities if type(each) is not kind)
    return dataclasses.replace(family, abilities=others)


def test_rows_of_the_grid_are_the_second_value(tmp_path):
    run = assembled(tmp_path, 'vae', 'moons,debug')
    nats = lambda weights, batch, rng: batch['x'][:, 0] + 10 * batch['x'][:, 1]
    run = with_abilities(run, LogProb(nats, 'lower bound', 'k = 5'))
    found = density.density_on(trained(run), (np.array([0.0, 0.1]), np.array([0.0, 0.2, 0.3])))
    expected = np.exp([[0, 0.1], [2, 2.1], [3, 3.1]])
    np.testing.assert_allclose(found.p, expected, rtol=1e-6)
    assert found.kind == 'lower bound, k = 5'


def test_all_points_share_their_noise(tmp_path):
    """An estimate that adds noise to log p(x) is a smooth map, whatever the size of a batch."""
    run = assembled(tmp_path, 'vae', 'moons,debug', eval__batch_size=4)

    def nats(weights, batch, rng):
        noise = jax.vmap(jax.random.normal)(rng.keys)
        return noise + 0.5 * rng.rows.astype(jnp.float32)

    run = with_abilities(run, LogProb(nats, 'estimate'))
    found = density.density_on(trained(run), (np.arange(3.0), np.arange(4.0)))
    assert np.unique(found.p).size == 1


def noisy(std):
    """log N(x; 0, 1) plus Gaussian noise of this standard deviation."""

    def nats(weights, batch, rng):
        noise = std * jax.vmap(jax.random.normal)(rng.keys)
        return noise - 0.5 * batch['x'] ** 2 - 0.5 * np.log(2 * np.pi)

    return LogProb(nats, 'estimate', 'one draw')


@pytest.mark.parametrize('std', [0.0, 0.3, 5.0])
def test_a_density_is_right_to_a_tenth_or_is_left_out(tmp_path, caplog, std):
    x = np.random.RandomState(0).normal(size=100)
    path = numbers(tmp_path, x_train=x, x_valid=x, x_test=x)
    run = assembled(tmp_path, 'vae', 'arrays,debug', data__path=path)
    run = with_abilities(run, noisy(std))
    assert density.random_error(trained(run), x[:16]) == pytest.approx(std, rel=0.2)
    with caplog.at_level('INFO', 'atelier'):
        found = density.density_of(trained(run), {DATA: x})
    if std == 5.0:
        assert found is None and 'has a random error of' in caplog.text
        return
    ratio = found.p / stats.norm.pdf(found.axes[0])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert abs(np.log(ratio[0])) < 3 * density.MAX_ERROR


def test_a_quicker_estimate_is_drawn_if_its_error_is_small(tmp_path):
    """Else that of the evaluation is."""
    x = np.random.RandomState(0).normal(size=100)
    path = numbers(tmp_path, x_train=x, x_valid=x, x_test=x)
    run = assembled(tmp_path, 'vae', 'arrays,debug', data__path=path)
    for std, kind in ((0.01, 'estimate, quick'), (0.2, 'estimate, one draw')):
        log_prob = noisy(0.0)._replace(quicker=noisy(std)._replace(budget='quick'))
        found = density.density_of(trained(with_abilities(run, log_prob)), {DATA: x})
        assert found.kind == kind
        np.testing.assert_allclose(found.p, stats.norm.pdf(found.axes[0]), rtol=0.1)


@pytest.mark.slow
def test_the_quicker_density_of_a_vae_integrates_to_one(tmp_path, monkeypatch):
    """With a tenth of the importance samples of the evaluation."""
    run = assembled(tmp_path, 'vae', 'moons,debug', eval__num_importance_samples=1000)
    monkeypatch.setattr(density, 'QUICK_ERROR', 1.0)  # its weights are random
    corners = np.array([[-7.0, -7.0], [7.0, 7.0]], np.float32)
    data = np.concatenate([run.data.splits['test']['x'][:100], corners])
    found = density.density_of(trained(run), {DATA: data})
    x, y = found.axes
    mass = np.trapezoid(np.trapezoid(found.p, x, axis=1), y)
    assert found.kind == 'estimate, k = 100' and mass == pytest.approx(1, abs=0.05)


def test_the_known_density_of_points_is_found(tmp_path):
    known = toy.MIXTURES['eight_gaussians']
    run = assembled(tmp_path, 'vae', 'eight_gaussians,debug')
    nats = lambda weights, batch, rng: known.log_density(batch['x'])
    run = with_abilities(run, LogProb(nats, 'exact'))
    found = density.density_of(trained(run), {DATA: run.data.splits['test']['x']})
    x, y = found.axes
    assert len(x) == density.NUM_EXACT
    mass = np.trapezoid(np.trapezoid(found.p, x, axis=1), y)
    assert mass == pytest.approx(1, abs=2e-3)  # the frame holds the data


def test_classes_are_components_with_names(tmp_path):
    random = np.random.RandomState(0)
    label = np.arange(200) % 2
    x = np.where(label, 5.0, -5.0) + random.normal(size=200)
    names = np.array(['low', 'high'])
    path = numbers(tmp_path, x=x, label=label, class_names=names)
    run = assembled(tmp_path, 'naive_bayes', 'arrays', data__path=path)
    found = density.density_of(trained(run), {DATA: x})
    assert [*found.components] == ['low', 'high'] and run.family.ability(Sample)
    (axis,) = found.axes
    low = np.trapezoid(found.components['low'], axis)
    assert low == pytest.approx(0.5, abs=0.1) and np.trapezoid(found.p, axis) == pytest.approx(
        1, abs=0.05
    )
    assert axis[found.components['low'].argmax()] < 0 < axis[found.components['high'].argmax()]


def test_levels_have_probabilities(tmp_path):
    x = np.random.RandomState(0).binomial(6, 0.4, 300)
    path = numbers(tmp_path, x_train=x, x_valid=x, x_test=x)
    run = assembled(tmp_path, 'mixture', 'arrays,debug', data__path=path)
    found = density.density_of(trained(run), {DATA: x})
    np.testing.assert_array_equal(found.axes[0], np.arange(7))
    assert found.p.sum() == pytest.approx(1, abs=1e-5)


def test_without_a_likelihood_or_with_more_values_there_is_no_grid(gan, vae, tmp_path):
    assert density.density_of(trained(gan), {}) is None
    spec = vae.data.spec
    assert density.grid_axes(spec, {}) is None
    assert density.grid_axes(spec._replace(event_shape=(2,)), {}) is None  # two discrete values
