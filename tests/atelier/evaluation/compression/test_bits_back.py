"""Bits-back coding: exact round trips, and a cost that equals the bound for discretized latents."""

import constriction
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr
from support import assembled, with_abilities

from atelier.core.abilities import BitsBack, Codes
from atelier.data.dataset import Spec
from atelier.evaluation.compression import bits_back, latent_bins, range_coder
from atelier.run import restore


def stack_of(num_words, seed=0):
    words = np.random.RandomState(seed).randint(1, 2**32, num_words, np.uint32)
    return constriction.stream.stack.AnsCoder(words)


def posteriors(n, latent, seed=0):
    """Returns wide and narrow Gaussians, near and far from 0, two of them at float32's limits."""
    random = np.random.RandomState(seed)
    mean = random.normal(scale=random.choice([0.1, 1, 10], (n, 1)), size=(n, latent))
    log_var = random.uniform(-12, 3, (n, latent))
    mean[0, :2], log_var[0, :2] = [3e38, -3e38], [-3e38, 3e38]
    return mean, log_var


@pytest.mark.parametrize('num_words', [0, 1, 50])
def test_put_back_restores_what_draw_took_from_the_stack(num_words):
    """For many posteriors in turn, even if the stack becomes empty."""
    stack, turns = stack_of(num_words), []
    for mean, log_var in zip(*posteriors(40, 5), strict=True):
        before = stack.get_compressed()
        bins, taken = latent_bins.draw(stack, mean, log_var)
        assert taken >= 0 and bins.min() >= 0 and bins.max() < latent_bins.NUM_BINS
        turns.append((before, bins, mean, log_var))
    for before, bins, mean, log_var in reversed(turns):
        latent_bins.put_back(stack, bins, mean, log_var)
        np.testing.assert_array_equal(stack.get_compressed(), before)


def test_the_frequencies_of_a_posterior_are_its_probability_masses():
    """Frequencies sum to the total and are never negative; each edge is exact to half a unit."""
    edges = np.array(latent_bins._EDGES)
    mean, log_var = posteriors(6, 4)
    for m, v in zip(mean[1:], log_var[1:], strict=True):
        belows = [below for below, _ in latent_bins._posteriors(m, v)]
        for below, one_mean, one_log_var in zip(belows, m, v, strict=True):
            cumulative = np.array([below(i) for i in range(latent_bins.NUM_BINS + 1)])
            assert (
                cumulative[0] == 0
                and cumulative[-1] == latent_bins.PARTS
                and np.diff(cumulative).min() >= 0
            )
            expected = ndtr((edges - one_mean) / np.exp(0.5 * one_log_var))
            np.testing.assert_allclose(cumulative, latent_bins.PARTS * expected, atol=0.5 + 1e-6)
    prior, _ = next(latent_bins._posteriors(np.zeros(1), np.zeros(1)))
    assert {prior(i + 1) - prior(i) for i in range(latent_bins.NUM_BINS)} == {2**22 // 2**12}


def test_values_are_the_medians_of_their_bins():
    z = latent_bins.values(np.arange(latent_bins.NUM_BINS))
    centres = (np.arange(latent_bins.NUM_BINS) + 0.5) / latent_bins.NUM_BINS
    np.testing.assert_allclose(ndtr(z.astype(np.float64)), centres, atol=1e-7)


def test_random_bits_make_draws_of_the_posterior():
    """Mean and standard deviation within five standard errors; `taken` is what the stack lost."""
    stack, n = stack_of(4_000), 4_000
    mean, log_var = np.full(n, 0.7), np.full(n, 2 * np.log(0.3))
    before = stack.num_valid_bits()
    bins, taken = latent_bins.draw(stack, mean, log_var)
    z = latent_bins.values(bins)
    assert abs(z.mean() - 0.7) < 5 * 0.3 / np.sqrt(n)
    assert abs(z.std() / 0.3 - 1) < 5 / np.sqrt(2 * n)
    assert before - stack.num_valid_bits() == pytest.approx(taken, rel=1e-4)
    # 12 bits for each bin, less KL(q || prior)
    kl = 0.5 * (0.3**2 + 0.7**2 - 1 - 2 * np.log(0.3)) / np.log(2)
    assert taken / n == pytest.approx(12 - kl, abs=0.05)


def test_an_empty_stack_gives_likely_codes():
    stack = constriction.stream.stack.AnsCoder()
    mean = np.linspace(-2, 2, 9)
    bins, _ = latent_bins.draw(stack, mean, np.full(9, -4.0))
    np.testing.assert_allclose(latent_bins.values(bins), mean, atol=0.01)
    assert stack.is_empty()
    latent_bins.put_back(stack, bins, mean, np.full(9, -4.0))
    assert stack.is_empty()


def test_bins_of_zero_probability_and_infinite_codes_are_refused():
    far = np.full(1, 3.0), np.full(1, -8.0)
    with pytest.raises(ValueError, match='never drawn'):
        latent_bins.put_back(stack_of(9), np.zeros(1, np.int32), *far)
    with pytest.raises(ValueError, match='not finite'):
        latent_bins.draw(stack_of(9), np.array([np.nan]), np.zeros(1))


def checked_round_trip(run, x, labels=None):
    state = restore.load(run).state
    coded = bits_back.encoded(run, state, x, labels)
    assert coded.words.dtype == np.uint32
    decoded_x, decoded_labels = bits_back.decoded(run, state, coded.words, len(x))
    np.testing.assert_array_equal(decoded_x, x)
    if labels is not None:
        np.testing.assert_array_equal(decoded_labels, labels)
    return coded


CHANGES = {'binary': dict(data__binarize='threshold')}
LONG = ('cvae', 'binary', 'conv_vae', 'iwae', 'beta_tc_vae')


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize('name', ['vae', *(pytest.param(n, marks=pytest.mark.slow) for n in LONG)])
def test_the_round_trip_is_exact(tmp_path, name):
    """For digits and noise; the words hold the counted bits plus the bits of the first z."""
    file = 'vae' if name == 'binary' else name
    run = assembled(tmp_path, file, **CHANGES.get(name, {}))
    random, levels = np.random.RandomState(0), run.data.spec.levels
    x = run.data.splits['test']['x'][:9].reshape(9, 64).astype(int)
    x = np.concatenate([x * levels // 17, random.randint(0, levels, (9, 64))])
    labels = random.randint(0, 10, 18) if range_coder.is_labelled(run) else None
    assert (labels is None) == (name != 'cvae') and x.max() == levels - 1
    coded = checked_round_trip(run, x, labels)
    assert coded.label_bits == pytest.approx(np.log2(10) if name == 'cvae' else 0)
    counted = coded.bits.sum() + coded.code_bits.sum() + 18 * coded.label_bits
    latent = bits_back.model_of(run, restore.load(run).state).latent_dim
    assert -1 < 32 * len(coded.words) - counted < 22 * latent + 64


def enumerable(vae, weight=2.0, deviation=0.4):
    """A model of three bits with one latent z.

    q(z | x) = N(sum(x) - 1.5, deviation^2); the logits of the bits are weight * z * (1, 0.5, -0.2).
    """

    def posterior(weights, batch, rng):
        mean = batch['x'].sum(-1, keepdims=True) - 1.5
        return mean, jnp.full_like(mean, 2 * np.log(deviation))

    def level_log_probs(weights, z, given):
        logits = weight * z * jnp.array([1.0, 0.5, -0.2])
        return jax.nn.log_softmax(jnp.stack([jnp.zeros_like(logits), logits], -1))

    run = with_abilities(vae, Codes(posterior=posterior), BitsBack(level_log_probs))
    return run._replace(data=run.data._replace(spec=Spec((3,), 2, None)))


def expected_bits(run, x):
    """Returns each row's discretized -ELBO in bits, and its variance under q, over all bins."""
    z = latent_bins.values(np.arange(latent_bins.NUM_BINS))
    log_probs = run.family.ability(BitsBack).level_log_probs(None, jnp.asarray(z)[:, None], {})
    edges, moments = np.array(latent_bins._EDGES), []
    for row in x:
        q = run.family.ability(Codes).posterior(None, {'x': jnp.float32(row[None])}, None)
        mean, log_var = (float(part[0, 0]) for part in q)
        q = np.diff(ndtr((edges - mean) / np.exp(0.5 * log_var)))
        likelihood = np.asarray(log_probs)[:, np.arange(3), row].sum(1) / np.log(2)
        bits = 12 + np.log2(np.maximum(q, 1e-300)) - likelihood
        moments.append((q @ bits, q @ bits**2 - (q @ bits) ** 2))
    return np.array(moments)


@pytest.mark.usefixtures('untrained')
def test_bits_equal_the_negative_elbo(vae):
    """With few enough bins to sum over, the measured bits equal the exact bound up to noise."""
    run, n = enumerable(vae), 800
    x = np.random.RandomState(0).randint(0, 2, (n, 3))
    coded = checked_round_trip(run, x)
    mean, variance = expected_bits(run, x).T
    error = np.sqrt(variance.sum())
    assert 0 < error < 0.03 * mean.sum()
    counted = coded.bits.sum() + coded.code_bits.sum()
    assert abs(counted - mean.sum()) < 4 * error
    assert 0 < 32 * len(coded.words) - counted < 64 + 24
    # binning loses nothing: the bound equals the Gaussian one, by 40-point quadrature
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for row, expected in zip(x[:8], mean, strict=False):
        m = row.sum() - 1.5
        kl = 0.5 * (0.4**2 + m**2 - 1 - 2 * np.log(0.4))
        table = run.family.ability(BitsBack).level_log_probs(
            None, jnp.float32(m + 0.4 * nodes)[:, None], {}
        )
        likelihood = np.asarray(table)[:, np.arange(3), row].sum(1)
        bound = kl - likelihood @ weights / weights.sum()
        assert expected == pytest.approx(bound / np.log(2), abs=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures('untrained')
def test_examples_that_cost_nothing_have_a_bit_each(vae):
    """At every time, so that a decoder knows from the stack that the words have not run out."""
    run = free(vae)
    coded = checked_round_trip(run, np.zeros((1000, 3), int))
    assert coded.bits.sum() + coded.code_bits.sum() < 30 and len(coded.words) == 32
    assert coded.words[-1] == 0
    for broken in (coded.words[:-1], np.append(coded.words, np.uint32(0))):
        with pytest.raises(ValueError):
            bits_back.decoded(run, restore.load(run).state, broken, 1000)


def free(vae):
    """A model that is certain that all bits are 0, whatever z, and whose posterior is the prior."""

    def posterior(weights, batch, rng):
        zeros = jnp.zeros((len(batch['x']), 1))
        return zeros, zeros

    def level_log_probs(weights, z, given):
        return jnp.broadcast_to(jnp.array([0.0, -40.0]), (len(z), 3, 2))

    run = with_abilities(vae, Codes(posterior=posterior), BitsBack(level_log_probs))
    return run._replace(data=run.data._replace(spec=Spec((3,), 2, None)))


@pytest.mark.usefixtures('untrained')
@pytest.mark.parametrize('junk', [0, 1, 9])
def test_decoding_stops_where_the_words_end(vae, monkeypatch, junk):
    """A stranger's header may declare more examples than were coded."""
    run, decoded = enumerable(vae), []
    state = restore.load(run).state
    x = np.random.RandomState(0).randint(0, 2, (100, 3))
    words = bits_back.encoded(run, state, x, None).words
    words = np.concatenate([np.full(junk, 12345, np.uint32), words])
    put_back = latent_bins.put_back
    monkeypatch.setattr(latent_bins, 'put_back', lambda *args: decoded.append(1) or put_back(*args))
    with pytest.raises(ValueError):
        bits_back.decoded(run, state, words, 32 * len(words))
    assert len(decoded) < 32 * len(words) / 2


@pytest.mark.usefixtures('untrained')
def test_words_left_over_after_decoding_are_an_error(vae):
    run = enumerable(vae)
    state = restore.load(run).state
    x = np.random.RandomState(0).randint(0, 2, (20, 3))
    words = bits_back.encoded(run, state, x, None).words
    for broken in (words[:-1], np.append(words, np.uint32(7)), np.append(words, np.uint32(0))):
        try:
            decoded_x, _ = bits_back.decoded(run, state, broken, 20)
            assert not np.array_equal(decoded_x, x)
        except ValueError:
            pass
    with pytest.raises(ValueError, match='left over after the last example'):
        bits_back.decoded(run, state, words, 19)
