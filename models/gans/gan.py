"""Generative adversarial networks (Goodfellow et al. 2014): a game of two players.

The generator maps noise to x; the discriminator distinguishes real examples from generated ones.
One family covers all losses (`losses.adversarial.GAMES`), turn schedules, labels, packing,
penalties and norms.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from atelier.core import game
from atelier.core.abilities import Codes
from atelier.core.family import Family, present
from atelier.core.randomness import fold_in, identity
from atelier.core.types import Batch, Weights
from atelier.errors import MAX_UNROLLED, UserError, check_sizes, choose
from losses import adversarial
from models.gans.adaptive_augmentation import (
    COLLECTION,
    Adaptive,
    adapted,
    augmented,
    initial_collection,
    seen_augmented,
)
from models.gans.collapse_advice import Advice, adviser
from models.gans.players import (
    BOUNDARIES,
    GANNetworks,
    discriminate,
    discriminator_metrics,
    discriminator_params,
    generate,
    init_discriminator,
    init_generator,
    noise,
)
from models.nets.conditioning import conditional_sample, given_in, is_on_class, with_requested

PENALTIES = ('none', 'gradient_penalty', 'r1', 'r2')
# indices folded into each row's key
LABEL_DRAW = 1
REAL_DRAW, FAKE_DRAW = 2, 3  # of transformations


class Rules(NamedTuple):
    """The rules of the game.

    loss: one of `losses.adversarial.GAMES`.
    penalty: one of PENALTIES on the discriminator, weighted by hypers['penalty'].
    feature_matching: whether the generator also minimizes the distance between mean features of
      real and generated examples, weighted by hypers['feature_matching'].
    discriminator_turns: turns of the discriminator per step, each on its own minibatch.
    generator_turns: turns of the generator per step, after those of the discriminator.
    alternating: whether only one player moves at a time: the discriminator for
      hypers['discriminator_steps'] steps, then the generator for hypers['generator_steps'].
    augment: transformations of all pictures that the discriminator sees, with an adaptive
      probability; None: none. The penalty is that at transformed pictures.
    """

    loss: str = 'non_saturating'
    penalty: str = 'none'
    feature_matching: bool = False
    discriminator_turns: int = 1
    generator_turns: int = 1
    alternating: bool = False
    augment: Adaptive | None = None


def _label(nets: GANNetworks, batch):
    return given_in(batch, nets.spec) if nets.is_conditional else None


def _generate(nets: GANNetworks, weights: Weights, z, label, train: bool, gather):
    params, collections = weights.params['generator'], weights.extra['generator']
    return generate(nets, params, collections, z, label, train, gather)


def _discriminator_params(nets: GANNetworks, weights: Weights):
    return discriminator_params(
        nets, weights.params['discriminator'], weights.extra['discriminator']
    )


def discriminator_turn(nets: GANNetworks, rules: Rules, index: int) -> game.Turn:
    """The discriminator minimizes its loss and penalty on the step's minibatch `index`."""
    loss_of, _ = adversarial.GAMES[rules.loss]

    def loss(weights, batch, rng, step, hypers):
        del step
        real, label = nets.spec.normalize(batch['x']), _label(nets, batch)
        fake, _ = _generate(nets, weights, noise(nets, rng.keys), label, True, rng.gather)
        params, collections = _discriminator_params(nets, weights)
        real, fake = (
            augmented(rules.augment, collections, x, rng.keys, which)
            for x, which in ((real, REAL_DRAW), (fake, FAKE_DRAW))
        )
        judge = lambda x, collections: discriminate(
            nets, params, collections, x, label, True, rng.gather
        )
        (real_logits, _), collections = judge(real, collections)
        (fake_logits, _), collections = judge(fake, collections)
        losses = loss_of(real_logits, fake_logits)
        metrics = discriminator_metrics(rules.loss, real_logits, fake_logits)
        if rules.augment is not None:
            boundary = BOUNDARIES[rules.loss]
            metrics['augment_probability'] = collections[COLLECTION]['probability']
            collections = adapted(collections, real_logits, boundary, rng, hypers)
        if rules.penalty != 'none':
            alone = lambda x: judge(x, collections)[0][0]
            metrics['penalty'] = _penalty(rules, alone, real, fake, rng.keys)
            losses += hypers['penalty'] * metrics['penalty']
        extra = {**weights.extra, 'discriminator': collections}
        return {'discriminator': jnp.mean(losses)}, (extra, metrics)

    return game.Turn(('discriminator',), loss, index, _when(rules, True), together=nets.packing)


def _penalty(rules: Rules, discriminator: Callable, real, fake, keys):
    """The penalty of each example; needs a discriminator that scores examples independently."""
    if rules.penalty == 'gradient_penalty':
        fraction = jax.vmap(jax.random.uniform)(fold_in(keys, 1))
        return adversarial.gradient_penalty(discriminator, real, fake, fraction)
    return 0.5 * adversarial.slope_squared(discriminator, real if rules.penalty == 'r1' else fake)


def generator_turn(
    nets: GANNetworks, rules: Rules, index: int, advise: game.Advise | None = None
) -> game.Turn:
    """The generator minimizes its loss on freshly generated samples."""
    _, loss_of = adversarial.GAMES[rules.loss]

    def loss(weights, batch, rng, step, hypers):
        del step
        label = _label(nets, batch)
        z = noise(nets, rng.keys)
        fake, after = _generate(nets, weights, z, label, True, rng.gather)
        params, collections = _discriminator_params(nets, weights)
        judge = lambda x: discriminate(nets, params, collections, x, label, True, rng.gather)[0]
        seen = lambda x, which: augmented(rules.augment, collections, x, rng.keys, which)
        logits, fake_features = judge(seen(fake, FAKE_DRAW))
        total = jnp.mean(loss_of(logits))
        if rules.feature_matching:
            _, real_features = judge(seen(nets.spec.normalize(batch['x']), REAL_DRAW))
            distance = adversarial.feature_matching(
                rng.gather(real_features), rng.gather(fake_features)
            )
            total += hypers['feature_matching'] * distance
        return {'generator': total}, ({**weights.extra, 'generator': after}, {})

    when = _when(rules, False)
    return game.Turn(('generator',), loss, index, when, nets.packing, advise)


def _when(rules: Rules, is_discriminator: bool) -> Callable | None:
    """Returns the rule (hypers, step) -> whether a player moves; None if it moves in every step."""

    def moves(hypers, step):
        first = hypers['discriminator_steps']
        position = jnp.mod(step.astype(jnp.float32), first + hypers['generator_steps'])
        return (position < first) == is_discriminator

    return moves if rules.alternating else None


def advice_for(nets: GANNetworks, rules: Rules) -> Advice:
    """Returns the config changes to recommend; this game's config accepts all of them."""
    if rules.penalty != 'none':
        stabilize = 'raise --config.hypers.penalty'
    elif nets.judges_alone:
        stabilize = 'give --config.model.penalty=r1'
    else:
        stabilize = 'give --config.model.discriminator_norm=spectral'
    can_pack = rules.penalty == 'none' and nets.packing == 1 and not nets.is_conditional
    packs = 'give --config.model.packing=4, or ' if can_pack else ''
    return Advice(
        f'{stabilize}, or lower --config.hypers.learning_rate (that of the discriminator)',
        f'{packs}{stabilize}, or lower --config.hypers.learning_rate_generator',
    )


def initialize(nets: GANNetworks, rules: Rules, key, batch: Batch) -> Weights:
    """Initializes both players' parameters and collections."""
    generator, generator_vars = init_generator(nets, key)
    discriminator, discriminator_vars = init_discriminator(nets, key, batch['x'])
    if rules.augment is not None:
        discriminator_vars[COLLECTION] = initial_collection()
    params = {'generator': generator, 'discriminator': discriminator}
    extra = {'generator': generator_vars, 'discriminator': discriminator_vars}
    return Weights(params, extra)


def check(nets: GANNetworks, rules: Rules) -> None:
    """Rejects unknown rules and incompatible settings.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    check_sizes(nets, 'latent_dim', 'packing')
    check_sizes(rules, 'discriminator_turns', 'generator_turns', most=MAX_UNROLLED)
    choose('model.loss', rules.loss, adversarial.GAMES)
    choose('model.penalty', rules.penalty, dict.fromkeys(PENALTIES))
    if rules.augment is not None and rules.loss not in BOUNDARIES:
        raise UserError(
            f'config.model.loss={rules.loss!r} has no decision boundary, from which the '
            'probability of an augmentation could follow: choose another loss'
        )
    if nets.is_conditional and nets.packing > 1:
        raise UserError(
            f'config.model.packing={nets.packing}: the examples of a pack have different labels, '
            'so a conditional GAN needs --config.model.packing=1'
        )
    if rules.penalty != 'none' and not nets.judges_alone:
        raise UserError(
            f'config.model.penalty={rules.penalty!r} needs a discriminator that judges each '
            'example on its own: with packing or with batch norm in the discriminator, give '
            '--config.model.penalty=none'
        )


def gan(nets: GANNetworks, rules: Rules) -> Family:
    """The GAN as a game of `generator` and `discriminator`.

    hypers: `penalty`, `feature_matching`, for alternating games `discriminator_steps` and
    `generator_steps`, and with an augmentation `augment_target`, `augment_examples` and
    `augment_limit`; each is read only if the rules use it.
    """
    check(nets, rules)
    last = rules.discriminator_turns - 1

    def prior(weights, rng, condition=None):
        """Draws z and, if conditional, the requested or a random condition."""
        z, label_keys = noise(nets, rng.keys), fold_in(rng.keys, LABEL_DRAW)
        return with_requested(z, label_keys, condition, nets.spec, nets.is_conditional)

    def decode(weights, codes):
        z, features = jnp.split(codes, [nets.latent_dim], axis=-1)
        given = features if nets.is_conditional else None  # a one-hot class, or between two
        x, _ = _generate(nets, weights, z, given, False, identity)
        return nets.spec.denormalize(x)

    def sample(weights, rng, condition):
        return decode(weights, prior(weights, rng, condition))

    def metrics(weights, batch, rng):
        """The discriminator's metrics for each example and for a generated one.

        A discriminator of packs, or with batch norm, cannot score a single example: no metrics.
        """
        if not nets.judges_alone:
            return {}
        label = _label(nets, batch)
        z = noise(nets, rng.keys)
        fake, _ = _generate(nets, weights, z, label, False, rng.gather)
        params, collections = _discriminator_params(nets, weights)
        judge = lambda x: discriminate(nets, params, collections, x, label, False, rng.gather)[0][0]
        return discriminator_metrics(
            rules.loss, judge(nets.spec.normalize(batch['x'])), judge(fake)
        )

    dims = (nets.latent_dim,) if nets.is_conditional else ()
    advise = adviser(advice_for(nets, rules))
    return Family(
        init=lambda key, batch: initialize(nets, rules, key, batch),
        turns=(
            *(discriminator_turn(nets, rules, j) for j in range(rules.discriminator_turns)),
            *(generator_turn(nets, rules, last, advise) for _ in range(rules.generator_turns)),
        ),
        metrics=metrics,
        abilities=present(
            conditional_sample(sample, LABEL_DRAW, nets.spec, nets.is_conditional),
            Codes(
                decode=decode,
                prior=prior,
                dims=dims,
                has_class=is_on_class(nets.spec, nets.is_conditional),
            ),
            seen_augmented(rules.augment, nets.spec),
        ),
    )
