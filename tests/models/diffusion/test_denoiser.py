"""Every kind of condition has a null condition, which stands for any; guidance mixes the two."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data.conditions.condition import KEY, of_training
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import END, of_captions
from atelier.data.spec import Spec
from models.diffusion.denoiser import (
    DenoiserNetworks,
    condition_of,
    denoiser,
    null_like,
    with_some_hidden,
)
from models.diffusion.process import predictions, schedules

DIMS, STD, GUIDANCE = 2, 0.6, 2.5
VALUES = np.array([[0.0], [1.0], [2.0], [5.0]], np.float32)
NUMBERS = of_training(Numbers(('a',)), VALUES)
LABELS = of_training(Labels(('b',), (('x', 'y'),)), VALUES.astype(int) % 2)
WORDS = of_captions(['red circle', 'blue'])
ROWS = jnp.asarray([WORDS.parsed('red'), WORDS.parsed('blue')] * 2)
STORED = {'numbers': VALUES, 'labels': VALUES.astype(np.int32) % 2, 'words': ROWS}
CONDITIONS = {
    'numbers': NUMBERS,
    'labels': LABELS,
    'words': of_training(WORDS, np.asarray(ROWS)),
}


class ExactGivenNumber(nn.Module):
    """E[x | x_t, c] of x ~ N(c, STD^2) for standardized c ~ N(0, 1); given no c, that of all x."""

    @nn.compact
    def __call__(self, x, half_log_snr, condition):
        self.param('unused', nn.initializers.zeros, ())
        alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(s * 2 * half_log_snr))[:, None] for s in (1, -1))
        centre, is_null = condition[:, :1], condition[:, 1:]
        std = jnp.sqrt(STD**2 + is_null)
        x_t = x * jnp.sqrt(alpha**2 + sigma**2)  # `output_of` scales it, for data of std 1
        gain = alpha * std**2 / ((alpha * std) ** 2 + sigma**2)
        return centre + gain * (x_t - alpha * centre)


def nets_of(kind, network=None, **more):
    spec = Spec((DIMS,), None, None, condition=CONDITIONS[kind])
    return DenoiserNetworks(network or ExactGivenNumber(), predictions.X, spec, True, **more)


def test_guidance_mixes_the_means_given_a_number_and_given_none():
    nets, schedule = nets_of('numbers'), schedules.cosine()
    x_t, t = jax.random.normal(jax.random.PRNGKey(0), (4, DIMS)), jnp.linspace(0.1, 0.9, 4)
    condition = condition_of(nets, {KEY: jnp.asarray(VALUES)})
    guided = denoiser(nets, schedule, {'unused': jnp.zeros(())}, condition, GUIDANCE)(x_t, t)
    alpha, sigma = (np.asarray(f(t))[:, None] for f in (schedule.alpha, schedule.sigma))
    centre = np.asarray(NUMBERS.features(VALUES))

    def mean(centre, std):
        return centre + alpha * std**2 / ((alpha * std) ** 2 + sigma**2) * (x_t - alpha * centre)

    given, of_any = mean(centre, STD), mean(0.0, np.sqrt(STD**2 + 1))
    np.testing.assert_allclose(guided, of_any + GUIDANCE * (given - of_any), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', CONDITIONS)
def test_hidden_conditions_are_null_and_others_are_kept(kind):
    nets = nets_of(kind)
    condition = condition_of(nets, {KEY: jnp.asarray(STORED[kind])})
    features = CONDITIONS[kind].features(STORED[kind])
    np.testing.assert_array_equal(condition[:, :-1], features)
    np.testing.assert_array_equal(condition[:, -1], 0)
    hidden = with_some_hidden(nets, condition, jnp.arange(4) < 2)
    np.testing.assert_array_equal(hidden[2:], condition[2:])
    np.testing.assert_array_equal(hidden[:2, -1], 1)
    np.testing.assert_array_equal(hidden[:2, :-1], 0)


def test_a_hidden_caption_is_its_end_alone():
    nets = nets_of('words', reads_words=True)
    condition = condition_of(nets, {KEY: ROWS})
    np.testing.assert_array_equal(condition, ROWS)
    np.testing.assert_array_equal(null_like(nets, condition), END)
    hidden = with_some_hidden(nets, condition, jnp.asarray([True, False, False, True]))
    np.testing.assert_array_equal(hidden[1:3], ROWS[1:3])
    np.testing.assert_array_equal(hidden[::3], END)
