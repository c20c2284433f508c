"""Shared by configs of normalizing flows: dequantisation, training settings, networks."""

import functools
from collections.abc import Callable

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from atelier.data.sources import SIMULATORS
from atelier.errors import UserError
from configs.shared import common, tokens
from models.flows.bijectors import Chain
from models.flows.conditioners import Perceptron, convolutions
from models.flows.couplings import Elementwise, affine, spline
from models.flows.data_bijectors import data_bijector
from models.flows.flow import flow

LEVELS = ('digits', 'mnist', 'fashion_mnist', 'cifar10')
TRAINING = {  # overrides of the defaults, by data set
    **dict.fromkeys(
        ('digits', 'codes'),
        {
            'hypers': dict(decay_steps=1000.0, weight_decay=1.0, ema_half_life=10_000.0),
            'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
        },
    ),
    **dict.fromkeys(
        (*POINTS, *SIMULATORS),
        {
            'hypers': dict(decay_steps=6000.0, clip_norm=0.0),
            'train': dict(steps=6000, batch_size=512, evaluate_every=1000, checkpoint_every=1000),
        },
    ),
}
Shape = tuple[int, ...]


def begin(argument: str | None) -> tuple[ConfigDict, bool]:
    """Returns `common.begin` with the fields of all flows: dequantisation, training, sampling."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            alpha=0.05,  # logit margin, below 1/2: x is squeezed into (alpha, 1 - alpha)
            transform='affine',  # transform of a dimension: affine | spline
            scale_bound=2.0,  # bound on the absolute log scale of an affine transform
            bins=16,  # number of bins of a spline
            tail_bound=4.0,  # half-width of a spline's interval, outside which it is the identity
            is_conditional=False,  # whether x is modelled given its label or condition
            activation='relu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
        )
    )
    if config.data.name in LEVELS:
        config.data.dequantize = 'uniform'
    config.hypers.update(decay_steps=20_000.0, warmup_steps=100.0, clip_norm=100.0)
    config.train.update(steps=20_000, batch_size=128, evaluate_every=1000, checkpoint_every=1000)
    config.train.best_metric = 'log_prob_nats'
    config.update(TRAINING.get(config.data.name, {}))
    config.eval.sampler = ConfigDict(
        dict(
            temperature=1.0,  # standard deviation of z in sampling
        )
    )
    return config, debug


def of_couplings(argument: str | None, models: dict[str, dict]) -> ConfigDict:
    """Returns a coupling flow's config; `models`: model fields by data set, '' for any other."""
    config, debug = begin(argument)
    config.model.update(
        network='auto',  # network: mlp | conv | auto (conv for images, else mlp)
        hidden_sizes=(128, 128),  # units of the MLP's layers
        channels=64,  # channels of the convolutions
        blocks=1,  # number of residual blocks of the convolutional network
        # form of convolutions: matmul | lax | auto (the faster one on this backend)
        conv_form='auto',
        scales=2,  # scales of an image; each but the last factors out half of its dimensions
        steps=4,  # number of flow steps: per scale for images, in total for vectors
    )
    config.model.update(models.get(config.data.name, models.get('', {})))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant."""
    common.shrink(config)
    config.model.update(bins=4, hidden_sizes=(16,) * len(config.model.hidden_sizes))
    small = dict(channels=8, steps=2)
    config.model.update({name: value for name, value in small.items() if name in config.model})


def flow_of(config: ConfigDict, spec: Spec, layers: nn.Module) -> Family:
    """Returns the flow that maps x, in the units of the data, through `layers` to a vector."""
    tokens.check_numbers(config, spec)
    bijector = Chain((data_bijector(spec, config.model.alpha), layers))
    is_conditional = common.num_classes_of(config, spec) > 0
    return flow(bijector, spec, config.eval.sampler.temperature, is_conditional)


def elementwise_of(config: ConfigDict) -> Elementwise:
    """Returns the elementwise bijection, affine or a spline."""
    model = config.model
    options = {
        'affine': affine(model.scale_bound),
        'spline': spline(model.bins, model.tail_bound),
    }
    return common.choice(config, 'transform', options)


def network_of(config: ConfigDict, spec: Spec) -> Callable[[Shape], nn.Module]:
    """Returns a function from an output shape to a network.

    Raises:
      UserError: the network is convolutional and the data are not images.
    """
    auto = convolutions_of if spec.image_shape else perceptron_of
    options = {'auto': auto, 'conv': convolutions_of, 'mlp': perceptron_of}
    return common.choice(config, 'network', options)(config, spec)


def perceptron_of(config: ConfigDict, spec: Spec) -> Callable[[Shape], nn.Module]:
    """Returns a function from an output shape to a fully connected network."""
    del spec
    hidden = common.sizes(config, 'hidden_sizes', fewest=1)
    return functools.partial(Perceptron, hidden_sizes=hidden, **common.network_options(config))


def convolutions_of(config: ConfigDict, spec: Spec) -> Callable[[Shape], nn.Module]:
    """Returns a function from an output shape to a residual convolutional network.

    Raises:
      UserError: the data are not images.
    """
    if spec.image_shape is None:
        raise UserError(
            f"config.model.network='conv': {config.data.name} has no images, "
            f'its examples are {spec.event_shape}'
        )
    options = {**common.network_options(config), **common.conv_form(config)}
    return convolutions(config.model.channels, config.model.blocks, **options)
