"""Sampling speed of autoregressive models with a cache, compared with the naive way.

    python -m benchmarks.sampling_speed

The naive way evaluates the whole network per dimension, as a model without a cache has to. Both
are one compiled `lax.scan` over the dimensions, with the same untrained weights and the same keys,
so they draw the same samples up to rounding; the share of equal values is printed too. Images are
28x28 bits; the models are those of their configs for MNIST. The naive way takes minutes on a CPU,
hence a small batch and few repeats.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from atelier import checkout
from atelier.core.abilities import Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from benchmarks.timing import alternate, spread
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive

SUBJECTS = {  # config files whose module has `parts_of(config, spec)`
    'pixelcnn': 'configs/pixelcnn.py:mnist',
    'gated_pixelcnn': 'configs/gated_pixelcnn.py:mnist',
    'pixel_transformer': 'configs/pixel_transformer.py:mnist',
}
CACHED, WHOLE = 'with a cache', 'whole network'

flags.DEFINE_multi_enum('subjects', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('side', 28, 'height and width of the images')
flags.DEFINE_integer('batch', 4, 'samples per batch')
flags.DEFINE_integer('repeats', 3, 'repeats of each arm')


def parts_of(config_path: str, spec: Spec) -> AutoregressiveParts:
    """Returns the parts of the model that a config describes."""
    config_file = checkout.config_file(config_path)
    return config_file.module().parts_of(config_file.config(), spec)


def samplers(parts: AutoregressiveParts, batch: int) -> dict[str, Callable[[], np.ndarray]]:
    """Returns both ways to draw [batch, *event], by name."""
    x = jnp.zeros((1, *parts.spec.event_shape))
    weights = jax.jit(parts.init)(jax.random.PRNGKey(0), {'x': x})
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(batch), batch)

    def sampler(parts: AutoregressiveParts) -> Callable[[], np.ndarray]:
        family = autoregressive(parts)
        compiled = jax.jit(lambda weights: family.ability(Sample).draw(weights, rng, None))
        return lambda: np.asarray(compiled(weights))

    return {CACHED: sampler(parts), WHOLE: sampler(parts._replace(steps=None))}


def compare(
    parts: AutoregressiveParts, batch: int, repeats: int
) -> tuple[dict[str, np.ndarray], float]:
    """Returns the seconds [repeats] of each way, and the share of values that are equal."""
    arms = samplers(parts, batch)
    share_equal = float(np.mean(arms[CACHED]() == arms[WHOLE]()))
    return alternate(arms, repeats), share_equal


def main(_):
    """Prints a table for each subject."""
    side, batch, repeats = flags.FLAGS.side, flags.FLAGS.batch, flags.FLAGS.repeats
    spec = Spec((side, side, 1), 2, None)
    print(f'JAX {jax.__version__}, {jax.devices()[0].device_kind}, {spec.num_dims} dimensions')
    for name in flags.FLAGS.subjects:
        seconds, share_equal = compare(parts_of(SUBJECTS[name], spec), batch, repeats)
        print(f'\n{name}: seconds for {batch} samples, median (range) of {repeats}')
        for arm, times in seconds.items():
            print(f'  {arm:26} {spread(times, 3)}')
        print(f'  {spread(seconds[WHOLE] / seconds[CACHED], 1)} times as fast')
        print(f'  {100 * share_equal:.2f} % of the values are equal')


if __name__ == '__main__':
    app.run(main)
