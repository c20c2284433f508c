"""Single dimensions of codes: how much each matters, and what x does when one of them moves."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from atelier.core.family import Family, codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data import preprocess
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, latents
from atelier.evaluation.latents.information import kl_per_dimension
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NUM_PRIOR_CODES = 1_000  # codes drawn from a prior, for its quantiles
QUANTILES = 0.01, 0.99  # ends of a traversal where the prior is not N(0, I)
REACH = 3.0  # ends of a traversal where it is, in standard deviations


class Order(NamedTuple):
    """How much each dimension of a code matters.

    name: of the array, such as 'kl_nats'.
    values: [latent], larger first.
    template: of the name of a row, such as '{:.2f} nats'.
    description: what the values are, for titles and logs.
    """

    name: str
    values: np.ndarray
    template: str
    description: str


def layers_of(family: Family, latent: int) -> tuple[Int[np.ndarray, 'latent'], ...]:
    """Returns the stochastic layer of each dimension, from 1, and its index within the layer."""
    sizes = codes_of(family).dims or (latent,)
    layers = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    return layers, np.concatenate([np.arange(size) for size in sizes])


def order_by_codes(trained: TrainedRun, codes: Float[np.ndarray, 'n codes']) -> Order:
    """Returns the order of the dimensions of the test split's codes.

    The values are the mean KL of q(z_i | x) to the prior or, without a posterior, the variance of
    the codes.
    """
    run, space = trained.run, codes_of(trained.run.family)
    if space.posterior is None and space.kl is None:
        variance = latents(run.family, codes).var(0, np.float64)
        return Order('code_variance', variance, 'variance {:.2g}', 'variance of the codes')

    def arrays_of(weights, batch, rng):
        if space.posterior is not None:
            return space.posterior(weights, batch, rng)
        return (space.kl(weights, batch, rng),)

    apply = over_examples(arrays_of, run.data, run.config.eval.batch_size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    arrays = apply(trained.state, key, run.data.splits['test'], run.data.size('test'))
    is_posterior = space.posterior is not None
    kl = kl_per_dimension(*arrays) if is_posterior else arrays[0].mean(0, np.float64)
    return Order('kl_nats', kl, '{:.2f} nats', 'mean KL to the prior')


def order_by_x(x: Float[np.ndarray, 'latent points *event']) -> Order:
    """Returns the order by the variance of x along each traversal, averaged over the event."""
    variance = x.reshape(*x.shape[:2], -1).var(1, np.float64).mean(1)
    return Order('x_variance', variance, 'variance {:.2g}', 'variance of x')


def prior_codes(trained: TrainedRun, seed: int) -> Float[np.ndarray, 'n codes']:
    """Returns `NUM_PRIOR_CODES` draws from the prior of a family that has one."""
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    return codes_from_prior(trained.run, trained.state, key, NUM_PRIOR_CODES, trained.devices)


def traversed_values(
    family: Family, codes: Float[np.ndarray, 'n codes'], num_points: int
) -> Float[np.ndarray, 'latent points']:
    """Returns the values of each dimension: -3 to 3 under N(0, I), else quantiles of `codes`."""
    spread = latents(family, codes)
    if codes_of(family).posterior is not None:
        line = np.linspace(-REACH, REACH, num_points, dtype=np.float32)
        return np.tile(line, (spread.shape[1], 1))
    levels = np.linspace(*QUANTILES, num_points)
    return np.quantile(spread, levels, axis=0).T.astype(np.float32)


def over(family: Family) -> str:
    """Returns what `traversed_values` cover, worded to follow 'moved'."""
    if codes_of(family).posterior is not None:
        return f'from -{REACH:g} to {REACH:g}'
    which = 'test codes' if codes_of(family).prior is None else 'the prior'
    return f'over quantiles of {which}'


def point_names(family: Family, num_points: int) -> list[str]:
    """Returns the names of the values of `traversed_values`: '-3', or '1 %' for a quantile."""
    if codes_of(family).posterior is not None:
        return [f'{value:.3g}' for value in np.linspace(-REACH, REACH, num_points)]
    return [f'{100 * level:.0f} %' for level in np.linspace(*QUANTILES, num_points)]


def moved(
    trained: TrainedRun,
    code: Float[np.ndarray, 'codes'],
    dimensions: Int[np.ndarray, 'rows'],
    values: Float[np.ndarray, 'rows points'],
) -> tuple[np.ndarray, np.ndarray]:
    """Moves one dimension of a code per row; returns codes [rows, points, codes] and decoded x.

    Where a dimension of an upper stochastic layer moves, the layers below it are the means of the
    generative model given that layer.
    """
    codes = np.tile(code, (*values.shape, 1))
    rows = np.arange(len(dimensions))
    codes[rows, :, dimensions] = values
    layers, _ = layers_of(trained.run.family, latents(trained.run.family, code).size)
    for layer in np.unique(layers[dimensions]):
        if layer > 1:
            is_layer = layers[dimensions] == layer
            codes[is_layer] = _with_means_below(trained, codes[is_layer], int(layer))
    return codes, decoded(trained.run, trained.state, codes, trained.devices)


def _with_means_below(trained: TrainedRun, codes: np.ndarray, layer: int) -> np.ndarray:
    """Returns codes [rows, points, codes] after `Codes.means_below`."""
    run = trained.run

    def below(weights, batch, rng):
        del rng
        return codes_of(run.family).means_below(weights, batch['x'], layer)

    data = run.data._replace(preprocess=preprocess.as_float)
    apply = over_examples(below, data, run.config.eval.batch_size, trained.devices)
    rows = codes.reshape(-1, codes.shape[-1])
    return apply(trained.state, trained.state.key, {'x': rows}, len(rows)).reshape(codes.shape)
