"""Geometry of a latent space: continuity under small steps, and the fraction of random codes whose
decoded images a classifier accepts as data.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from atelier.core import game
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, fold_in, key_for, standard_normal
from atelier.data import preprocess
from atelier.data.splits import fixed_order
from atelier.evaluation.codes.encoding import split_codes
from atelier.evaluation.codes.prior_draws import decoded_draws
from atelier.evaluation.samples.features import FeatureFunction
from atelier.evaluation.samples.sampling import split_examples
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

STEP = 0.05  # length of a small step, relative to the distance between two examples' codes
ACCEPTED = 0.05  # images with at least this quantile of real images' confidence count as data
MAX_EXAMPLES = 2000  # largest number of examples, and of random codes


def continuity(
    run: Run, state: game.State, codes: Float[np.ndarray, 'n latent'], devices: Sequence[jax.Device]
) -> Float[np.ndarray, 'examples']:
    """Returns the relative change of the output when the code of a test example takes a small step.

        |x(c + s u) - x(c)| / D_x,  s = STEP * D_c

    Here c are the codes of at most `MAX_EXAMPLES` test examples in a fixed order, u is a random
    unit vector for each (in z_1 only, if a code has several parts), and x(.) is the decoded mean on
    the normalized scale. D_c and D_x are root-mean-square distances between two different examples,
    in z_1 and in normalized x. If the decoder maps distances in z_1 to proportional distances in x,
    the value is STEP for every example. A decoder that maps near codes to distant outputs scores
    far more on some examples. The family must have `decode`.

    Args:
      run: the run of the family.
      state: the State with the run's weights.
      codes: codes of the whole test split.
      devices: to decode on.
    """
    codes = codes[fixed_order(len(codes))[:MAX_EXAMPLES]]
    z, _ = split_codes(run.family, codes)
    real = np.asarray(
        run.data.spec.normalize(split_examples(run, state, devices, 'test', MAX_EXAMPLES))
    )
    step = STEP * typical_distance(z)
    output_change = functools.partial(
        _output_change, codes_of(run.family).decode, run.data.spec.normalize, z.shape[1]
    )
    data = run.data._replace(preprocess=preprocess.as_float)
    apply = over_examples(output_change, data, run.config.eval.batch_size, devices)
    rows = np.concatenate([codes, np.full_like(codes[:, :1], step)], axis=1)
    key = key_for(state.key, Stream.EVALUATE)
    changes = apply(state, key, {'x': rows}, len(rows)).astype(np.float64)
    return changes / max(typical_distance(real), 1e-30)


def _output_change(decode, normalize, dims: int, weights, batch, rng) -> Float[jax.Array, 'local']:
    """Returns the norm of the output's change when the first `dims` entries of each code move.

    A row of `batch['x']` is a code, followed by the length of its step.
    """
    codes, step = batch['x'][:, :-1], batch['x'][:, -1:]
    direction = standard_normal(fold_in(rng.keys, 1), dims)
    direction /= jnp.linalg.norm(direction, axis=1, keepdims=True)
    # no scatter: compiling one here for two or more CPU devices crashes jaxlib 0.11.2
    moved = jnp.concatenate([codes[:, :dims] + step * direction, codes[:, dims:]], axis=1)
    ends = jnp.concatenate([codes, moved])
    before, after = jnp.split(normalize(decode(weights, ends)), 2)
    return jnp.linalg.norm((after - before).reshape(len(codes), -1), axis=1)


def typical_distance(x: Float[np.ndarray, 'n *event']) -> float:
    """Returns the root-mean-square Euclidean distance between two different examples of x.

    It is computed from the variances (divisor n - 1), because E |a - b|^2 = 2 sum_j var_j. For a
    single example it is 0.
    """
    if len(x) < 2:
        return 0.0
    return float(np.sqrt(2 * np.var(x, axis=0, ddof=1, dtype=np.float64).sum()))


def completeness(
    run: Run, state: game.State, features: FeatureFunction, devices: Sequence[jax.Device]
) -> dict[str, Any]:
    """Returns the fraction of random codes that decode to images a classifier accepts as data.

    The classifier accepts an image if its confidence, the largest class probability, reaches the
    threshold that 95 % of real test examples reach. Codes are drawn from the prior or, in a family
    without one, from a fitted Gaussian (`code_draws`). Their number is that of the real examples,
    at most `MAX_EXAMPLES`.

    Returns:
      {'accepted': the accepted fraction of decoded codes, 'real': that of test examples, about
      0.95, 'confidence': the threshold, 'num_draws': number of codes, 'codes': the distribution
      that they were drawn from, 'classifier': its name with a hash of its weights}.
    """
    real = split_examples(run, state, devices, 'test', MAX_EXAMPLES)
    key = key_for(state.key, Stream.SAMPLE)
    x, description = decoded_draws(run, state, key, len(real), devices)
    confidences = [features.apply(images).probs.max(1) for images in (x, real)]
    # with 'lower' the threshold is the confidence of a real example, which is therefore accepted
    threshold = np.quantile(confidences[1], ACCEPTED, method='lower')
    accepted, real_accepted = (float(np.mean(values >= threshold)) for values in confidences)
    return {
        'accepted': accepted,
        'real': real_accepted,
        'confidence': float(threshold),
        'num_draws': len(x),
        'codes': description,
        'classifier': features.name,
    }
