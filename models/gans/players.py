"""Generator and discriminator as pure functions, for every game that they take part in."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import identity, standard_normal
from atelier.data.dataset import Spec
from models.gans.adaptive_augmentation import COLLECTION
from models.gans.networks import pack
from models.nets.conditioning import Given
from models.nets.norms import spectral_normalize, spectral_vectors

SPECTRAL = 'spectral'  # the collection of the discriminator's singular vectors
NOT_OF_FLAX = SPECTRAL, COLLECTION  # collections that the network does not read
MakeNetwork = Callable[[bool, Callable], nn.Module]  # (train, gather) -> network


class GANNetworks(NamedTuple):
    """The components of a GAN.

    generator: (train, gather) -> a network ([batch, latent_dim], label) -> [batch, *event], whose
      outputs are normalized with `spec`. None in a game whose x comes from another network.
    discriminator: (train, gather) -> a network of packs ([packs, *event, packing], label) ->
      (logits [packs], features [packs, features]).
    latent_dim: dimensions of the noise; 0 without a generator.
    spec: spec of the data.
    packing: examples that are judged together (Lin et al. 2018).
    is_conditional: whether both networks take the label, or the features of a condition.
    spectral: whether the discriminator's kernels are divided by their largest singular value.
    batch_norm: whether the discriminator has batch norm.
    """

    generator: MakeNetwork | None
    discriminator: MakeNetwork
    latent_dim: int
    spec: Spec
    packing: int = 1
    is_conditional: bool = False
    spectral: bool = False
    batch_norm: bool = False

    @property
    def judges_alone(self) -> bool:
        """Whether the discriminator scores each example independently of the others."""
        return self.packing == 1 and not self.batch_norm


def noise(nets: GANNetworks, keys: UInt32[Array, 'batch 2']) -> Float[Array, 'batch latent']:
    """Draws z ~ N(0, I), with a separate key for each row."""
    return standard_normal(keys, nets.latent_dim)


def generate(nets: GANNetworks, params, collections, z, label, train: bool, gather):
    """Returns (normalized events [batch, *event], the generator's updated collections)."""
    network = nets.generator(train, gather)
    return network.apply({'params': params, **collections}, z, label, mutable=list(collections))


def discriminate(nets: GANNetworks, params, collections, x, label, train: bool, gather):
    """Returns ((logits, features), the discriminator's updated collections) for normalized x.

    `params` are used as they are, so they have to be those that `discriminator_params` returns.
    """
    network = nets.discriminator(train, gather)
    own = {name: tree for name, tree in collections.items() if name not in NOT_OF_FLAX}
    output, after = network.apply(
        {'params': params, **own},
        pack(x, nets.packing),
        label,
        mutable=list(own),
    )
    return output, {**collections, **after}


def discriminator_params(nets: GANNetworks, params, collections):
    """Returns the parameters that `discriminate` takes, and the updated collections."""
    if not nets.spectral:
        return params, collections
    normalized, vectors = spectral_normalize(params, collections[SPECTRAL])
    return normalized, {**collections, SPECTRAL: vectors}


BOUNDARIES = {'minimax': 0.0, 'non_saturating': 0.0, 'hinge': 0.0, 'least_squares': 0.5}


def discriminator_metrics(
    loss: str, real_logits: Float[Array, 'packs'], fake_logits: Float[Array, 'packs']
) -> dict[str, Float[Array, 'packs']]:
    """The discriminator's accuracy on real and generated packs, at the game's decision boundary.

    A Wasserstein critic has no boundary. Its metric is the difference of its outputs, which
    estimates the distance that it is trained to measure.
    """
    if loss not in BOUNDARIES:
        return {'critic_difference': real_logits - fake_logits}
    return {
        'accuracy_real': (real_logits > BOUNDARIES[loss]).astype(jnp.float32),
        'accuracy_fake': (fake_logits < BOUNDARIES[loss]).astype(jnp.float32),
    }


def init_generator(nets: GANNetworks, key):
    """Returns (parameters, collections)."""
    network = nets.generator(True, identity)
    z = jnp.zeros((1, nets.latent_dim))
    variables = network.init(jax.random.fold_in(key, 0), z, _any_label(nets))
    return variables.pop('params'), variables


def init_discriminator(nets: GANNetworks, key, x: Float[Array, 'batch *event']):
    """Returns (parameters, collections); x is in data units."""
    network = nets.discriminator(True, identity)
    first = pack(nets.spec.normalize(x[: nets.packing]), nets.packing)
    variables = network.init(jax.random.fold_in(key, 1), first, _any_label(nets))
    params = variables.pop('params')
    if nets.spectral:
        variables[SPECTRAL] = spectral_vectors(params, jax.random.fold_in(key, 2))
    return params, variables


def _any_label(nets: GANNetworks) -> Given | None:
    if not nets.is_conditional:
        return None
    features = nets.spec.condition and jnp.zeros((1, nets.spec.condition.num_features))
    return jnp.zeros((1,), jnp.int32) if features is None else features
