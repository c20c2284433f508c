"""Random latent codes for any family that decodes: from its prior, or from a fitted Gaussian.

An autoencoder has no prior, so a Gaussian fitted to its training codes replaces the prior. This is
ex-post density estimation (Ghosh et al. 2020, section 4) with a single component.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from atelier.core import game
from atelier.core.abilities import Sample
from atelier.core.family import Family, codes_of
from atelier.core.randomness import Stream, key_for, standard_normal
from atelier.core.stages import parents_state
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded
from atelier.log import counted
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

MAX_FITTED = 10_000  # largest number of training codes in the fit
WHY_FITTED = 'without a prior, codes are drawn from a Gaussian fitted to those of the training data'


class CodeDraws(NamedTuple):
    """Draws codes at random.

    draw: (key, n) -> codes [n, latent], where code i depends on (key, i) alone.
    description: a name of the distribution, for tables and logs.
    """

    draw: Callable
    description: str


def can_draw_codes(family: Family) -> bool:
    """Whether the family can draw codes and decode them."""
    space = codes_of(family)
    has_codes = space.prior is not None or space.encode is not None
    return has_codes and space.decode is not None


def samples_without_data(family: Family) -> bool:
    """Whether sampling needs only the weights: the family has a sampler or a prior."""
    return family.ability(Sample) is not None or codes_of(family).prior is not None


def code_draws(run: Run, state: game.State, devices: Sequence[jax.Device]) -> CodeDraws:
    """Returns draws from the family's `prior`, else from a Gaussian fitted to training codes."""
    if codes_of(run.family).prior is not None:
        return CodeDraws(lambda key, n: codes_from_prior(run, state, key, n, devices), 'the prior')
    train = {name: array[:MAX_FITTED] for name, array in run.data.splits['train'].items()}
    codes, _ = encoded(run, state, train, devices)
    mean, root = fitted_gaussian(codes)

    def draw(key, n: int):
        noise = _standard_normal(run, state, key, n, codes.shape[1], devices)
        return (mean + noise @ root).astype(np.float32)

    return CodeDraws(draw, f'a Gaussian fitted to {counted(len(codes), "training code")}')


def decoded_draws(
    run: Run, state: game.State, key, n: int, devices: Sequence[jax.Device]
) -> tuple[np.ndarray, str]:
    """Returns (x [n, *event] decoded from codes drawn with this key, description of the draws)."""
    draws = code_draws(run, state, devices)
    return decoded(run, state, draws.draw(key, n), devices), draws.description


def one_gaussian_samples(
    run: Run, state: game.State, n: int, devices: Sequence[jax.Device]
) -> np.ndarray | None:
    """Returns what a run of codes competes with: x [n, *event] that its parent samples by itself.

    The parent decodes draws from one Gaussian, fitted to its training codes.

    Args:
      run: as it is used (`atelier.run.two_stage.used`).
      state: of `run`.
      n: number of samples.
      devices: to compute on.

    Returns:
      None: the run is not one of codes, or the parent has a prior or samples without one.
    """
    if run.child is None:
        return None
    parent = run._replace(family=run.parent.run.family, parent=None, child=None)
    if samples_without_data(parent.family) or not can_draw_codes(parent.family):
        return None
    key = key_for(state.key, Stream.SAMPLE)
    return decoded_draws(parent, parents_state(state), key, n, devices)[0]


def fitted_gaussian(
    codes: Float[np.ndarray, 'n latent'],
) -> tuple[Float[np.ndarray, 'latent'], Float[np.ndarray, 'latent latent']]:
    """Returns the mean of codes and the symmetric square root of their covariance, in float64.

    The covariance has divisor n. It may be singular: a direction without variance gets no noise.
    """
    codes = np.asarray(codes, np.float64)
    mean = codes.mean(0)
    centred = codes - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(codes))
    return mean, (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _standard_normal(run: Run, state, key, n: int, latent: int, devices) -> np.ndarray:
    """Draws N(0, I), [n, latent]; row i depends on (key, i) alone."""

    def noise(weights, batch, rng):
        del batch
        return standard_normal(rng.keys, latent)

    apply = over_examples(noise, run.data, run.config.eval.batch_size, devices)
    return apply(state, key, {}, n).astype(np.float64)
