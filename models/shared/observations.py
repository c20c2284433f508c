"""Observation models p(x | z): distributions parameterized by a decoder's output."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core.randomness import standard_normal
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from losses import elbo

MAX_BINOMIAL_LEVELS = 2**16  # tables of this length are part of the program
MAX_SUMMED_TRIALS = 255  # drawn one by one; more would need too much memory


class Observation(NamedTuple):
    """A distribution of x whose parameters are a decoder's output [batch, *event, size].

    `log_prob(x, parameters)` is [batch] in nats. `mean(parameters)` and `sample(keys, parameters)`,
    with one key per example, are [batch, *event] in data units. To sample one dimension of the flat
    x, pass its index: `sample(keys, parameters [batch, size], dim)` is [batch] in data units.
    `sample` is None if `log_prob` is minus an error, and no likelihood.
    """

    size: int
    log_prob: Callable
    mean: Callable
    sample: Callable | None


def levels_of(spec: Spec, name: str, *, exactly: int | None = None) -> int:
    """The number of levels of discrete data, for the observation model `name`.

    The log probability is a likelihood only if the model is a distribution over these levels.

    Raises:
      UserError: the data are real-valued, or have a number of levels other than `exactly`.
    """
    if spec.levels is None or (exactly is not None and spec.levels != exactly):
        has = 'real values' if spec.levels is None else f'{spec.levels} levels'
        needs = 'discrete levels' if exactly is None else f'{exactly} levels'
        binarize = ', or give --config.data.binarize=threshold' if spec.levels and exactly else ''
        raise UserError(
            f'config.model.observation={name!r} needs data with {needs}, but the data have {has}: '
            f'choose another observation{binarize}'
        )
    return spec.levels


def _per_example(sample_one: Callable) -> Callable:
    """`Observation.sample` of discrete x, where all dimensions are drawn alike: `dim` is unused."""
    return lambda keys, parameters, dim=None: jax.vmap(sample_one)(keys, parameters)


def bernoulli(spec: Spec) -> Observation:
    """x in {0, 1}, with one logit per dimension."""
    levels_of(spec, 'bernoulli', exactly=2)
    return Observation(
        size=1,
        log_prob=lambda x, parameters: elbo.bernoulli_log_prob(x, parameters[..., 0]),
        mean=lambda parameters: jax.nn.sigmoid(parameters[..., 0]),
        sample=_per_example(
            lambda key, p: jax.random.bernoulli(key, jax.nn.sigmoid(p[..., 0])).astype(jnp.float32)
        ),
    )


def binomial(spec: Spec) -> Observation:
    """x in 0..levels-1 counts the successes of levels - 1 trials with one logit.

    Raises:
      UserError: the data are real-valued, or have more than `MAX_BINOMIAL_LEVELS` levels.
    """
    trials = levels_of(spec, 'binomial') - 1
    if trials >= MAX_BINOMIAL_LEVELS:
        raise UserError(
            f"config.model.observation='binomial' takes at most {MAX_BINOMIAL_LEVELS:,} levels, "
            f'but the data have {spec.levels:,}: choose discretized_logistic_mixture'
        )

    def sample_one(key, p):
        if trials > MAX_SUMMED_TRIALS:
            return jax.random.binomial(key, float(trials), jax.nn.sigmoid(p[..., 0]))
        chance = jax.nn.sigmoid(p[..., 0])[None]
        return jax.random.bernoulli(key, chance, (trials, *chance.shape[1:])).sum(0, jnp.float32)

    return Observation(
        size=1,
        log_prob=lambda x, parameters: elbo.binomial_log_prob(x, parameters[..., 0], trials),
        mean=lambda parameters: trials * jax.nn.sigmoid(parameters[..., 0]),
        sample=_per_example(sample_one),
    )


def categorical(spec: Spec) -> Observation:
    """x in 0..levels-1, with one logit per level."""
    levels = levels_of(spec, 'categorical')
    values = jnp.arange(levels, dtype=jnp.float32)
    return Observation(
        size=levels,
        log_prob=elbo.categorical_log_prob,
        mean=lambda parameters: jax.nn.softmax(parameters) @ values,
        sample=_per_example(lambda key, p: jax.random.categorical(key, p).astype(jnp.float32)),
    )


def gaussian(spec: Spec, min_log_var: float = -10.0) -> Observation:
    """Real x, with mean and log variance of normalized x; `min_log_var` floors the log variance.

    Without a floor on the variance, the likelihood of data that lie on a hyperplane has no maximum.

    Raises:
      UserError: the data are discrete, so that a density is not a likelihood of the data.
    """
    if spec.levels is not None:
        raise UserError(
            "config.model.observation='gaussian' needs real-valued data, but the data have "
            f'{spec.levels} levels: choose categorical or discretized_logistic_mixture, or '
            "config.data.dequantize='uniform'"
        )

    def split(parameters, dim=None):
        """Mean and log variance in data units, of x or of its dimension `dim`."""
        mean, raw = parameters[..., 0], parameters[..., 1]
        shift, scale = spec.affine(mean.shape if dim is None else spec.event_shape)
        if dim is not None:
            shift, scale = shift.ravel()[dim], scale.ravel()[dim]
        log_var = min_log_var + jax.nn.softplus(raw - min_log_var)
        return shift + scale * mean, log_var + 2 * jnp.log(scale)

    def sample(keys, parameters, dim=None):
        mean, log_var = split(parameters, dim)
        return mean + jnp.exp(0.5 * log_var) * standard_normal(keys, *mean.shape[1:])

    return Observation(
        size=2,
        log_prob=lambda x, parameters: elbo.diagonal_gaussian_log_prob(x, *split(parameters)),
        mean=lambda parameters: split(parameters)[0],
        sample=sample,
    )


def discretized_logistic_mixture(spec: Spec, components: int) -> Observation:
    """x in 0..levels-1, under a mixture of logistics integrated over each level's bin."""
    levels = levels_of(spec, 'discretized_logistic_mixture')
    top = levels - 1

    def split(parameters):
        return jnp.split(parameters, 3, axis=-1)  # mixture logits, means, log scales

    def log_prob(x, parameters):
        return elbo.discretized_logistic_mixture_log_prob(x, *split(parameters), levels)

    def mean(parameters):
        """The mean of the mixture before rounding, with component means clipped to the range."""
        logits, means, _ = split(parameters)
        inside = 0.5 * top * (jnp.clip(means, -1.0, 1.0) + 1.0)
        return jnp.sum(jax.nn.softmax(logits) * inside, axis=-1)

    def sample_one(key, p):
        logits, means, log_scales = split(p)
        component_key, noise_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
        chosen = jax.random.categorical(component_key, logits)[..., None]
        pick = lambda values: jnp.take_along_axis(values, chosen, axis=-1)[..., 0]
        noise = jax.random.logistic(noise_key, chosen.shape[:-1])
        value = pick(means) + jnp.exp(pick(log_scales)) * noise
        return jnp.clip(jnp.round(0.5 * top * (value + 1.0)), 0, top)

    return Observation(3 * components, log_prob, mean, _per_example(sample_one))


def level_log_probs(
    observation: Observation, parameters: Float[Array, '*batch size'], levels: int
) -> Float[Array, '*batch levels']:
    """Returns log p(x_i = level), in nats, for each dimension i by itself and for every level of
    the data.
    """
    flat = parameters.reshape(-1, parameters.shape[-1])
    of_level = lambda level: observation.log_prob(jnp.full(len(flat), level), flat)
    each = jax.vmap(of_level, out_axes=1)(jnp.arange(levels, dtype=flat.dtype))
    return each.reshape(*parameters.shape[:-1], levels)


def observation_for(name: str, spec: Spec, mixture_components: int) -> Observation:
    """Returns the observation model named by config.model.observation, for data of this `spec`.

    'auto' picks one whose log probability is a likelihood of the data: bernoulli for two levels,
    discretized_logistic_mixture for more, gaussian for real values.

    Raises:
      UserError: the name is unknown, or names an observation model that does not fit the data.
    """
    at_least(1, 'model.mixture_components', mixture_components)
    mixture = functools.partial(discretized_logistic_mixture, components=mixture_components)
    discrete = bernoulli if spec.levels == 2 else mixture
    options = {
        'auto': gaussian if spec.levels is None else discrete,
        'bernoulli': bernoulli,
        'binomial': binomial,
        'categorical': categorical,
        'gaussian': gaussian,
        'discretized_logistic_mixture': mixture,
    }
    return choose('model.observation', name, options)(spec)
