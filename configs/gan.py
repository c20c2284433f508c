"""GAN with fully connected networks (Goodfellow et al. 2014).

    python main.py --config=configs/gan.py --config.eval.classifier=runs/classifier-digits

Results on the digits over 5 seeds (mean +- standard deviation; the value for real data in
brackets). The features are those of the classifier in runs/classifier-digits, a run of
`configs/classifier.py`. In this feature space, 223 samples are compared with 223 test digits:
Frechet distance 12.8 +- 0.9 (7.1), coverage 0.67 +- 0.03 (0.96), mean confidence of the classifier
0.88 +- 0.02 (0.96). All ten classes are present in the samples. Takes about 15 seconds on two CPU
cores.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError
from configs.shared import common, needs, tokens
from models.gans.adaptive_augmentation import Adaptive
from models.gans.gan import Rules, gan
from models.gans.networks import CONDITIONINGS, Discriminator, Generator, discriminator_layers
from models.gans.players import GANNetworks
from models.nets import mlp
from models.nets.conditioning import num_vectors
from models.nets.norms import BatchNorm

NORMS = {'none': False, 'batch': True}
CONDITIONED = {'none': False, **dict.fromkeys(CONDITIONINGS, True)}
LECUN = nn.initializers.lecun_normal()
DATA = {  # overrides of the defaults, by data set
    'digits': {
        'train': dict(steps=6000, evaluate_every=1000, checkpoint_every=1000),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, ring, grid, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=64,  # dimensions of the noise z
            hidden_sizes=(256, 256),  # units of the generator's layers
            # units of the discriminator's layers; the last one gives the features
            discriminator_hidden_sizes=(256, 256),
            # activation of the generator: relu | tanh | gelu | silu | softplus | leaky_relu
            activation='relu',
            # activation of the discriminator, with the choices of activation
            discriminator_activation='leaky_relu',
            maxout_pieces=1,  # units per maxout of the discriminator; 1: no maxout
            norm='batch',  # normalization in the generator: none | batch
            # normalization in the discriminator: none | batch | spectral
            discriminator_norm='none',
            init_std=0.0,  # initial standard deviation of all kernels; 0: LeCun
            packing=1,  # examples that the discriminator judges together
            # use of the class by the discriminator: none | projection | embedding
            conditioning='none',
            # loss: minimax | non_saturating | least_squares | hinge | wasserstein
            loss='non_saturating',
            # penalty on the gradient of the discriminator: none | gradient_penalty | r1 | r2
            penalty='none',
            feature_matching=False,  # whether feature matching is added to the generator's loss
            discriminator_turns=1,  # turns of the discriminator per step, each on its own minibatch
            generator_turns=1,  # turns of the generator per step
            alternating=False,  # whether each step trains only one player; see hypers.*_steps
        )
    )
    config.hypers.update(
        learning_rate=2e-4,  # learning rate of the discriminator
        learning_rate_generator=2e-4,  # learning rate of the generator
        adam_beta1=0.5,
        ema_half_life=10_000.0,
        penalty=10.0,  # weight of the penalty
        feature_matching=1.0,  # weight of the distance between mean features
        discriminator_steps=1.0,  # consecutive steps of the discriminator, if alternating
        generator_steps=1.0,  # consecutive steps of the generator, if alternating
    )
    config.train.update(steps=20_000, batch_size=96, evaluate_every=1000, checkpoint_every=1000)
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(latent_dim=2, hidden_sizes=(16,), discriminator_hidden_sizes=(16,))
    return config.lock()


def build(config: ConfigDict, spec: Spec, augment: Adaptive | None = None) -> Family:
    """Builds the GAN of `config` for data described by `spec`; `augment` is that of the rules."""
    model, event = config.model, spec.event_shape
    generator_options, discriminator_options = options(config)
    hidden, discriminator_hidden = layers(config)
    if model.maxout_pieces > 1:
        discriminator_options['activation'] = functools.partial(
            mlp.maxout, pieces=model.maxout_pieces
        )
    has_norm = model.discriminator_norm == 'batch'
    inner, last = discriminator_layers(discriminator_hidden, model.maxout_pieces, has_norm)
    discriminator = functools.partial(
        mlp.MLP, inner, last, is_first_plain=True, **discriminator_options
    )
    return assemble(
        config,
        spec,
        generator=functools.partial(mlp.MLP, hidden, event, **generator_options),
        discriminator=discriminator,
        activation=discriminator_options['activation'],
        augment=augment,
    )


def options(config: ConfigDict) -> tuple[dict, dict]:
    """Returns the activation and dtype of the generator and of the discriminator.

    Each pair is given as keyword arguments.
    """
    generator_options = common.network_options(config)
    activation = common.choice(config, 'discriminator_activation', common.ACTIVATIONS)
    return generator_options, {**generator_options, 'activation': activation}


def layers(config: ConfigDict) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the sizes of the dense layers of generator and discriminator."""
    return (
        common.sizes(config, 'hidden_sizes'),
        common.sizes(config, 'discriminator_hidden_sizes', fewest=1),
    )


def assemble(
    config: ConfigDict,
    spec: Spec,
    generator: Callable,
    discriminator: Callable,
    activation: Callable,
    augment: Adaptive | None = None,
) -> Family:
    """Builds the GAN around two network bodies.

    `generator` and `discriminator` construct these bodies from the arguments `norm` and
    `kernel_init`; `activation` is that of the discriminator, `augment` that of the rules.

    Raises:
      UserError: the model is conditional and the data have no labels, or the packing does not
        divide the batch size.
    """
    model, batch_size = config.model, config.train.batch_size
    common.check_hypers(config)
    if common.choice(config, 'conditioning', CONDITIONED):
        needs.condition(config, spec, 'give --config.model.conditioning=none')
    rules = Rules(
        loss=model.loss,
        penalty=model.penalty,
        feature_matching=model.feature_matching,
        discriminator_turns=model.discriminator_turns,
        generator_turns=model.generator_turns,
        alternating=model.alternating,
        augment=augment,
    )
    nets = networks(config, spec, generator, discriminator, activation, model.conditioning)
    family = gan(nets._replace(packing=model.packing), rules)
    if batch_size % model.packing:
        raise UserError(
            f'config.model.packing={model.packing} does not divide '
            f'config.train.batch_size={batch_size}'
        )
    return family


def networks(
    config: ConfigDict,
    spec: Spec,
    generator: Callable,
    discriminator: Callable,
    activation: Callable,
    conditioning: str = 'none',
) -> GANNetworks:
    """Returns both players; `generator` and `discriminator` are constructors, as in `assemble`."""
    tokens.check_numbers(config, spec)
    generator_norm = common.choice(config, 'norm', NORMS)
    discriminator_norm = common.choice(config, 'discriminator_norm', {**NORMS, 'spectral': False})
    is_conditional, init = conditioning != 'none', kernel_init(config)
    classes = num_vectors(spec) if is_conditional else 0
    body = functools.partial(make_body, init)
    return GANNetworks(
        generator=lambda train, gather: Generator(
            body(generator, generator_norm, train, gather), spec.interval is not None, classes
        ),
        discriminator=lambda train, gather: Discriminator(
            body(discriminator, discriminator_norm, train, gather),
            activation,
            classes,
            conditioning,
            init,
        ),
        latent_dim=config.model.latent_dim,
        spec=spec,
        is_conditional=is_conditional,
        spectral=config.model.discriminator_norm == 'spectral',
        batch_norm=discriminator_norm,
    )


def kernel_init(config: ConfigDict) -> Callable:
    """Returns the initializer of all kernels."""
    std = config.model.init_std
    return nn.initializers.normal(std) if std else LECUN


def make_body(init: Callable, make: Callable, has_norm: bool, train: bool, gather: Callable):
    """Returns what `make` constructs, with kernels from `init` and, if `has_norm`, batch norm."""
    norm = functools.partial(BatchNorm, train, gather) if has_norm else None
    return make(norm=norm, kernel_init=init)
