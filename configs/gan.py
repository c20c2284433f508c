"""GAN with fully connected networks (Goodfellow et al. 2014).

    python main.py --config=configs/gan.py --config.eval.classifier=runs/classifier-digits

The digits, 5 seeds, 223 samples in the features of that run (`configs/classifier.py`): Frechet
distance 12.8 +- 0.9 (real data 7.1), coverage 0.67 +- 0.03 (0.96), all ten classes, mean confidence
of the classifier 0.88 +- 0.02 (0.96). About 15 seconds on two CPU cores.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from configs.shared import common
from losses.adversarial import GAMES
from models.gans.gan import PENALTIES, Rules, gan
from models.gans.networks import CONDITIONINGS, Discriminator, Generator
from models.gans.players import Networks
from models.nets import mlp
from models.nets.norms import BatchNorm

NORMS = {'none': False, 'batch': True}
LECUN = nn.initializers.lecun_normal()
# With these the fields matter that have no effect as they are.
ALSO = {
    'model.penalty': 'r1',
    'model.feature_matching': True,
    'model.alternating': True,
    'train.best_metric': 'accuracy_real',
}
DATA = {  # what differs from the settings for any other data
    'digits': {
        'train': dict(steps=6000, evaluate_every=1000, checkpoint_every=1000),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/gan.py:DATA[,debug]`, DATA any source: digits, mnist, ring, grid, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=64,
            hidden_sizes=(256, 256),  # of the generator
            discriminator_hidden_sizes=(256, 256),
            activation='relu',  # of the generator
            discriminator_activation='leaky_relu',
            maxout_pieces=1,  # of the discriminator: units that a maximum is taken of
            norm='batch',  # none | batch, of the generator
            discriminator_norm='none',  # none | batch | spectral
            init_std=0.0,  # of all kernels; 0: by their size (LeCun)
            packing=1,  # examples that the discriminator judges together
            conditioning='none',  # none | projection | embedding, of the discriminator
            # minimax | non_saturating | least_squares | hinge | wasserstein
            loss='non_saturating',
            penalty='none',  # none | gradient_penalty | r1 | r2
            feature_matching=False,
            discriminator_turns=1,  # of a step, each on its own minibatch
            generator_turns=1,
            alternating=False,  # one stands still while the other moves for so many steps
        )
    )
    config.hypers.update(
        learning_rate=2e-4,  # of the discriminator
        learning_rate_generator=2e-4,
        adam_beta1=0.5,
        ema_half_life=10_000.0,
        penalty=10.0,  # weight of the penalty
        feature_matching=1.0,  # weight of the distance of mean features
        discriminator_steps=1.0,  # where alternating
        generator_steps=1.0,
    )
    config.train.update(steps=20_000, batch_size=96, evaluate_every=1000, checkpoint_every=1000)
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(latent_dim=2, hidden_sizes=(16,), discriminator_hidden_sizes=(16,))
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """The GAN that `config` describes, for data as `spec` says."""
    making, judging = options(config)
    hidden, inner, last = layers(config)
    pieces = config.model.maxout_pieces
    at_least(1, 'model.maxout_pieces', pieces)
    if pieces > 1:
        judging['activation'] = functools.partial(mlp.maxout, pieces=pieces)
    inner, last = (tuple(size * pieces for size in sizes) for sizes in (inner, last))
    if config.model.discriminator_norm == 'batch' and len(inner) < 2:
        raise UserError(
            "config.model.discriminator_norm='batch': the discriminator's first and last layer go "
            'without, so give three config.model.discriminator_hidden_sizes or more'
        )
    return assemble(
        config,
        spec,
        generator=functools.partial(mlp.MLP, hidden, spec.event_shape, **making),
        discriminator=functools.partial(mlp.MLP, inner, last, is_first_plain=True, **judging),
        activation=judging['activation'],
    )


def options(config: ConfigDict) -> tuple[dict, dict]:
    """Activation and dtype of the generator's network, and of the discriminator's."""
    making, name = common.network_options(config), config.model.discriminator_activation
    activation = choose('model.discriminator_activation', name, mlp.ACTIVATIONS)
    return making, {**making, 'activation': activation}


def layers(config: ConfigDict) -> tuple[tuple[int, ...], ...]:
    """Sizes of dense layers: the generator's, the discriminator's, and that of its features."""
    hidden, judging = config.model.hidden_sizes, config.model.discriminator_hidden_sizes
    at_least(1, 'model.hidden_sizes', *hidden)
    at_least(1, 'model.discriminator_hidden_sizes', *(judging or (0,)))
    return tuple(hidden), tuple(judging[:-1]), tuple(judging[-1:])


def assemble(
    config: ConfigDict, spec: Spec, generator: Callable, discriminator: Callable, activation
) -> Family:
    """The GAN of bodies that `generator` and `discriminator` make, given norm and kernel_init."""
    rules, model = _rules(config), config.model
    _check(config, spec, rules)
    nets = networks(config, spec, generator, discriminator, activation, model.conditioning)
    return gan(nets._replace(packing=model.packing), rules)


def networks(
    config: ConfigDict,
    spec: Spec,
    generator: Callable,
    discriminator: Callable,
    activation: Callable,
    conditioning: str = 'none',
) -> Networks:
    """Both players around their bodies, as `assemble` takes them."""
    model = config.model
    at_least(1, 'model.latent_dim', model.latent_dim)
    generator_norm = choose('model.norm', model.norm, NORMS)
    judge_norm = choose(
        'model.discriminator_norm', model.discriminator_norm, {**NORMS, 'spectral': False}
    )
    is_conditional = conditioning != 'none'
    classes, init = spec.num_classes if is_conditional else 0, kernel_init(config)
    body = functools.partial(with_norm, init)
    return Networks(
        generator=lambda train, gather: Generator(
            body(generator, generator_norm, train, gather), spec.interval is not None, classes
        ),
        discriminator=lambda train, gather: Discriminator(
            body(discriminator, judge_norm, train, gather), activation, classes, conditioning, init
        ),
        latent_dim=model.latent_dim,
        spec=spec,
        is_conditional=is_conditional,
        spectral=model.discriminator_norm == 'spectral',
        batch_norm=judge_norm,
    )


def kernel_init(config: ConfigDict) -> Callable:
    """How all kernels start."""
    std = config.model.init_std
    return nn.initializers.normal(std) if std else LECUN


def with_norm(init: Callable, make: Callable, has_norm: bool, train: bool, gather: Callable):
    """The network that `make` makes with kernels of `init`, and batch norms if it has them."""
    norm = functools.partial(BatchNorm, train, gather) if has_norm else None
    return make(norm=norm, kernel_init=init)


def _rules(config: ConfigDict) -> Rules:
    model = config.model
    for name in ('discriminator_turns', 'generator_turns', 'packing'):
        at_least(1, f'model.{name}', model[name])
    for name in ('discriminator_steps', 'generator_steps'):
        at_least(1, f'hypers.{name}', config.hypers[name])
    choose('model.loss', model.loss, GAMES)
    choose('model.penalty', model.penalty, dict.fromkeys(PENALTIES))
    return Rules(
        loss=model.loss,
        penalty=model.penalty,
        feature_matching=model.feature_matching,
        discriminator_turns=model.discriminator_turns,
        generator_turns=model.generator_turns,
        alternating=model.alternating,
    )


def _check(config: ConfigDict, spec: Spec, rules: Rules) -> None:
    """Refuses what does not go together."""
    model = config.model
    choose('model.conditioning', model.conditioning, dict.fromkeys(('none', *CONDITIONINGS)))
    is_conditional = model.conditioning != 'none'
    if is_conditional and spec.num_classes is None:
        raise UserError(
            f'config.model.conditioning={model.conditioning!r}: {config.data.name} has no labels'
        )
    if is_conditional and model.packing > 1:
        raise UserError('config.model.packing: examples of a pack have labels of their own, use 1')
    if rules.penalty != 'none' and (model.packing > 1 or model.discriminator_norm == 'batch'):
        raise UserError(
            f'config.model.penalty={rules.penalty!r} judges each example on its own: for packs or '
            'batch norm of the discriminator give --config.model.penalty=none too'
        )
    if config.train.batch_size % model.packing:
        raise UserError(
            f'config.model.packing={model.packing} does not divide '
            f'config.train.batch_size={config.train.batch_size}'
        )
