"""Generative adversarial networks (Goodfellow et al. 2014): a game of two players.

The generator makes x of noise; the discriminator tells real examples from generated ones. Which
game they play (`losses.adversarial.GAMES`), who moves how often, labels, packing, penalties and
norms: all of it is one family.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

import game
from datasets.dataset import Spec
from losses import adversarial
from models.gan_nets import pack
from models.norms import spectral_normalize, spectral_vectors

SPECTRAL = 'spectral'  # the collection of the discriminator's singular vectors
PENALTIES = ('none', 'gradient_penalty', 'r1', 'r2')
MakeNetwork = Callable[[bool, Callable], nn.Module]  # from (train, gather)


class Networks(NamedTuple):
    """What a GAN is made of.

    generator: (train, gather) -> a network [batch, latent_dim], label -> [batch, *event],
      normalized as `spec` says.
    discriminator: (train, gather) -> a network of packs [packs, *event, packing], label ->
      (logits [packs], features [packs, features]).
    latent_dim: numbers of noise.
    spec: of the data.
    packing: examples that are judged together (Lin et al. 2018).
    is_conditional: whether both see the label.
    spectral: whether the discriminator's kernels are divided by their largest singular value.
    """

    generator: MakeNetwork
    discriminator: MakeNetwork
    latent_dim: int
    spec: Spec
    packing: int = 1
    is_conditional: bool = False
    spectral: bool = False


class Rules(NamedTuple):
    """How the game is played.

    loss: one of `losses.adversarial.GAMES`.
    penalty: one of PENALTIES on the discriminator, weighed by hypers['penalty'].
    feature_matching: whether the generator also descends the distance of mean features, weighed by
      hypers['feature_matching'].
    discriminator_turns: in each step, each on its own minibatch.
    generator_turns: in each step, after those.
    alternating: whether a player stands still while the other moves, for hypers['generator_steps']
      and hypers['discriminator_steps'] steps in turn, the discriminator first.
    """

    loss: str = 'non_saturating'
    penalty: str = 'none'
    feature_matching: bool = False
    discriminator_turns: int = 1
    generator_turns: int = 1
    alternating: bool = False


def noise(nets: Networks, keys: UInt32[Array, 'batch 2']) -> Float[Array, 'batch latent']:
    """z ~ N(0, I), each row from its own key."""
    return jax.vmap(lambda key: jax.random.normal(key, (nets.latent_dim,)))(keys)


def generate(nets: Networks, params, extra, z, label, train: bool, gather):
    """(normalized events [batch, *event], the generator's collections afterwards)."""
    network = nets.generator(train, gather)
    weights = {'params': params['generator'], **extra['generator']}
    return network.apply(weights, z, label, mutable=list(extra['generator']))


def discriminate(nets: Networks, params, collections, x, label, train: bool, gather):
    """((logits, features), the discriminator's collections afterwards) of normalized x.

    Kernels are as `params` has them.
    """
    network = nets.discriminator(train, gather)
    others = {name: tree for name, tree in collections.items() if name != SPECTRAL}
    output, after = network.apply(
        {'params': params, **others}, pack(x, nets.packing), label, mutable=list(others)
    )
    return output, {**collections, **after}


def _kernels(nets: Networks, params, extra):
    """The discriminator's parameters as it uses them, and its collections afterwards."""
    collections = extra['discriminator']
    if not nets.spectral:
        return params['discriminator'], collections
    used, vectors = spectral_normalize(params['discriminator'], collections[SPECTRAL])
    return used, {**collections, SPECTRAL: vectors}


def _label(nets: Networks, batch):
    return batch['label'] if nets.is_conditional else None


def discriminator_turn(nets: Networks, rules: Rules, number: int) -> game.Turn:
    """The discriminator descends its loss on minibatch `number`, and the penalty."""
    loss_of, _ = adversarial.GAMES[rules.loss]

    def loss(params, extra, batch, draw, step, hypers):
        del step
        real, label = nets.spec.normalize(batch['x']), _label(nets, batch)
        fake, _ = generate(nets, params, extra, noise(nets, draw.keys), label, True, draw.gather)
        used, collections = _kernels(nets, params, extra)
        judge = lambda x, now: discriminate(nets, used, now, x, label, True, draw.gather)
        (real_logits, _), collections = judge(real, collections)
        (fake_logits, _), collections = judge(fake, collections)
        losses = loss_of(real_logits, fake_logits)
        metrics = _accuracies(real_logits, fake_logits)
        if rules.penalty != 'none':
            alone = lambda x: judge(x, collections)[0][0]
            metrics['penalty'] = _penalty(rules, alone, real, fake, draw.keys)
            losses += hypers['penalty'] * metrics['penalty']
        extra = {**extra, 'discriminator': collections}
        return {'discriminator': jnp.mean(losses)}, (extra, metrics)

    return game.Turn(('discriminator',), loss, number, _when(rules, True))


def _accuracies(real_logits, fake_logits) -> dict[str, Array]:
    """Of the discriminator, where a positive logit stands for real; of a critic it means little."""
    return {
        'accuracy_real': (real_logits > 0).astype(jnp.float32),
        'accuracy_fake': (fake_logits < 0).astype(jnp.float32),
    }


def _penalty(rules: Rules, discriminator: Callable, real, fake, keys):
    """Of each example; a discriminator that is penalised judges each on its own."""
    if rules.penalty == 'gradient_penalty':
        place = jax.vmap(jax.random.uniform)(game.part_of(keys, 1))
        return adversarial.gradient_penalty(discriminator, real, fake, place)
    return 0.5 * adversarial.slope_squared(discriminator, real if rules.penalty == 'r1' else fake)


def generator_turn(nets: Networks, rules: Rules, number: int) -> game.Turn:
    """The generator descends its loss of what it generates now."""
    _, loss_of = adversarial.GAMES[rules.loss]

    def loss(params, extra, batch, draw, step, hypers):
        del step
        label = _label(nets, batch)
        z = noise(nets, draw.keys)
        fake, after = generate(nets, params, extra, z, label, True, draw.gather)
        used, collections = _kernels(nets, params, extra)
        judge = lambda x: discriminate(nets, used, collections, x, label, True, draw.gather)[0]
        logits, features = judge(fake)
        total = jnp.mean(loss_of(logits))
        if rules.feature_matching:
            _, wanted = judge(nets.spec.normalize(batch['x']))
            distance = adversarial.feature_matching(draw.gather(wanted), draw.gather(features))
            total += hypers['feature_matching'] * distance
        return {'generator': total}, ({**extra, 'generator': after}, {})

    return game.Turn(('generator',), loss, number, _when(rules, False))


def _when(rules: Rules, is_discriminator: bool) -> Callable | None:
    """In which steps a player moves; None: in all."""

    def moves(hypers, step):
        first = hypers['discriminator_steps']
        place = jnp.mod(step.astype(jnp.float32), first + hypers['generator_steps'])
        return (place < first) == is_discriminator

    return moves if rules.alternating else None


def initialize(nets: Networks, key, batch: game.Batch):
    """Both players' parameters and collections."""
    keys = [jax.random.fold_in(key, number) for number in range(3)]
    x = nets.spec.normalize(batch['x'][: nets.packing])
    label = jnp.zeros((1,), jnp.int32) if nets.is_conditional else None
    z = jnp.zeros((1, nets.latent_dim))
    generator, discriminator = (
        make(True, game.identity) for make in (nets.generator, nets.discriminator)
    )
    variables = {
        'generator': generator.init(keys[0], z, label),
        'discriminator': discriminator.init(keys[1], pack(x, nets.packing), label),
    }
    params = {player: tree.pop('params') for player, tree in variables.items()}
    if nets.spectral:
        vectors = spectral_vectors(params['discriminator'], keys[2])
        variables['discriminator'][SPECTRAL] = vectors
    return params, variables


def gan(nets: Networks, rules: Rules) -> game.Family:
    """A game of `generator` and `discriminator`.

    hypers: `penalty` and `feature_matching` where the rules have them.
    """
    last = rules.discriminator_turns - 1

    def mean_of(params, extra, codes, label=None):
        x, _ = generate(nets, params, extra, codes, label, False, game.identity)
        return nets.spec.denormalize(x)

    def sample(params, extra, draw, condition):
        label = condition and condition.get('label')
        if nets.is_conditional and label is None:
            any_class = lambda key: jax.random.randint(key, (), 0, nets.spec.num_classes)
            label = jax.vmap(any_class)(game.part_of(draw.keys, 1))
        return mean_of(params, extra, noise(nets, draw.keys), label)

    def metrics(params, extra, batch, draw):
        """Whether the discriminator is right about an example, and about a generated one.

        Of one that judges packs there is no number of an example alone.
        """
        if nets.packing > 1:
            return {}
        label = _label(nets, batch)
        z = noise(nets, draw.keys)
        fake, _ = generate(nets, params, extra, z, label, False, draw.gather)
        used, collections = _kernels(nets, params, extra)
        judge = lambda x: discriminate(nets, used, collections, x, label, False, draw.gather)[0][0]
        return _accuracies(judge(nets.spec.normalize(batch['x'])), judge(fake))

    return game.Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(
            *(discriminator_turn(nets, rules, j) for j in range(rules.discriminator_turns)),
            *(generator_turn(nets, rules, last) for _ in range(rules.generator_turns)),
        ),
        metrics=metrics,
        sample=sample,
        conditions=('label',) if nets.is_conditional else (),
        prior=lambda params, extra, draw: noise(nets, draw.keys),
        decode=None if nets.is_conditional else mean_of,
    )
