"""Filling in what is hidden of an example by a model that encodes and decodes whole ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from atelier.core.abilities import Inpaint, PerExample, reconstruct_by_codes
from atelier.core.randomness import fold_in
from atelier.data.dataset import Spec

ITERATIONS = 50  # of half a digit: twice as many change a VAE's or autoencoder's PSNR by 0.2 dB


def by_reconstruction(
    spec: Spec, codes: PerExample, decode: Callable, iterations: int = ITERATIONS
) -> Inpaint:
    """The inpainting of a family that decodes what it encodes.

    The Markov chain of Rezende, Mohamed and Wierstra (2014), appendix F: the example with its
    hidden part as it is now is encoded and decoded again, and what comes out takes the place of
    the hidden part. It begins in the middle of the data's interval, or at their mean.

    Of a model with q(z | x) the code is drawn, and x is its mean, so that levels come out in
    between. Were x drawn too and q exact, the chain would end in p(hidden | known). Where all is
    linear and Gaussian it ends with that distribution's mean, but too narrow. A model that draws
    nothing goes to a fixed point, and a plain autoencoder's need not look like data.

    Args:
      spec: of the data.
      codes: (weights, batch, rng) -> codes [local, latent], drawn if there is a q(z | x).
      decode: (weights, codes) -> x [local, *event].
      iterations: of the chain.
    """

    again = reconstruct_by_codes(codes, decode).mean

    def fill(weights, batch, rng):
        x, known = batch['x'], batch['known'].astype(bool)

        def step(filled, number):
            own = rng.replace(keys=fold_in(rng.keys, number))
            made = again(weights, {**batch, 'x': filled}, own)
            return jnp.where(known, x, made), None

        middle = jnp.full_like(x, 0.0 if spec.interval is None else 0.5)
        start = jnp.where(known, x, spec.denormalize(middle))
        return jax.lax.scan(step, start, jnp.arange(iterations))[0]

    return Inpaint(fill)
