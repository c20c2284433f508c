"""The arms of `benchmarks.sampling_speed`, each in a process of its own."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier import checkout
from atelier.core.abilities import Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from benchmarks import precisions
from benchmarks.worker import Arm, main
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive, log_prob


def parts_of(config_path: str, side: int) -> AutoregressiveParts:
    """Returns the parts of the model that a config describes, for images of bits."""
    config_file = checkout.config_file(config_path)
    return config_file.module().parts_of(config_file.config(), Spec((side, side, 1), 2, None))


def make(config: str, side: int, batch: int, is_cached: bool) -> Arm:
    """Returns an arm that draws [batch, side, side, 1]; its losses are -log p of the samples."""
    precisions.set_products('float32')
    parts = parts_of(config, side)
    weights = jax.jit(parts.init)(jax.random.PRNGKey(0), {'x': jnp.zeros((1, side, side, 1))})
    used = parts if is_cached else parts._replace(steps=None)
    ability, rows = autoregressive(used).ability(Sample), jnp.arange(batch)
    draw = jax.jit(lambda weights, key: ability.draw(weights, rng_for(key, rows, batch), None))
    nats = jax.jit(lambda weights, x: -log_prob(parts, weights, {'x': x}))
    key, drawn = jax.random.PRNGKey(1), {}

    def sample() -> np.ndarray:
        x = np.asarray(draw(weights, key))
        if not drawn:  # every call draws the same samples, which are scored once
            drawn['nats'] = np.asarray(nats(weights, x))
        return drawn['nats']

    return Arm(sample)


if __name__ == '__main__':
    main(make)
