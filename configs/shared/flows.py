"""What the configs of normalizing flows share: data that have a density, networks, scales."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from atelier.errors import UserError, at_least, choose
from configs.shared import common
from models.flows.bijectors import Chain, FactoredOut, Reshaped
from models.flows.conditioners import Perceptron, ResidualConvolutions
from models.flows.couplings import Elementwise, affine, spline
from models.flows.data_bijectors import of_data
from models.flows.flow import flow

LEVELS = ('digits', 'mnist', 'fashion_mnist', 'cifar10')
TRAINING = {  # what differs from the settings for any other data
    'digits': {
        'hypers': dict(decay_steps=1000.0, weight_decay=1.0, ema_half_life=10_000.0),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    **dict.fromkeys(
        POINTS,
        {
            'hypers': dict(decay_steps=6000.0, clip_norm=0.0),
            'train': dict(steps=6000, batch_size=512, evaluate_every=1000, checkpoint_every=1000),
        },
    ),
}
Shape = tuple[int, ...]


def begin(argument: str | None) -> tuple[ConfigDict, bool]:
    """`common.begin` with what every flow has: levels dequantised, training, draws of samples."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            alpha=0.05,  # by which levels' interval is wider than they are, at most 1/2: a logit's
            transform='affine',  # affine | spline
            scale_bound=2.0,  # of affine: the largest log scale
            bins=16,  # of spline
            tail_bound=4.0,  # of spline, outside of which it is the identity
            activation='relu',
        )
    )
    if config.data.name in LEVELS:
        config.data.dequantize = 'uniform'
    config.hypers.update(decay_steps=20_000.0, warmup_steps=100.0, clip_norm=100.0)
    config.train.update(steps=20_000, batch_size=128, evaluate_every=1000, checkpoint_every=1000)
    config.train.best_metric = 'log_prob_nats'
    config.update(TRAINING.get(config.data.name, {}))
    config.eval.sampler = ConfigDict(dict(temperature=1.0))  # deviation of the codes of samples
    return config, debug


def of_couplings(argument: str | None, models: dict[str, dict]) -> ConfigDict:
    """The config of a flow of couplings; `models` has what differs by data, or else '' has."""
    config, debug = begin(argument)
    config.model.update(
        network='auto',  # mlp | conv | auto: convolutions of images
        hidden_sizes=(128, 128),  # of an MLP
        channels=64,  # of convolutions
        blocks=1,  # of convolutions: residual ones
        conv_form='auto',  # matmul | lax | auto, which is the backend's faster one
        scales=2,  # of an image: at each half of what is left becomes latent
        steps=4,  # of each scale, of points of all
    )
    config.model.update(models.get(config.data.name, models.get('', {})))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """The `debug` variant."""
    common.shrink(config)
    config.model.update(bins=4, hidden_sizes=(16,) * len(config.model.hidden_sizes))
    small = dict(channels=8, steps=2)
    config.model.update({name: value for name, value in small.items() if name in config.model})


def flow_of(config: ConfigDict, spec: Spec, layers: nn.Module) -> Family:
    """The flow whose bijector leads through `layers` from x on its own scale to a vector.

    Raises:
      UserError: data of levels, of which a density is no likelihood, or numbers that cannot be.
    """
    alpha, temperature = config.model.alpha, config.eval.sampler.temperature
    if spec.levels is not None:
        raise UserError(
            f'{config.data.name} has {spec.levels} levels, and a flow is a density: '
            "config.data.dequantize='uniform'"
        )
    if not 0 < alpha < 0.5:
        raise UserError(f'config.model.alpha={alpha}: it lies between 0 and 0.5')
    at_least(0, 'eval.sampler.temperature', temperature)
    return flow(Chain((of_data(spec, alpha), layers)), spec, temperature)


def elementwise_of(config: ConfigDict) -> Elementwise:
    """How numbers are moved.

    Raises:
      UserError: an unknown name, or numbers that cannot be.
    """
    model = config.model
    for name in ('scale_bound', 'tail_bound'):
        if not model[name] > 0:
            raise UserError(f'config.model.{name}={model[name]}: it is above 0')
    if not 2 <= model.bins <= 500:
        raise UserError(f'config.model.bins={model.bins}: there are 2 to 500')
    options = {
        'affine': lambda: affine(model.scale_bound),
        'spline': lambda: spline(model.bins, model.tail_bound),
    }
    return choose('model.transform', model.transform, options)()


def network_of(config: ConfigDict, spec: Spec) -> Callable[[Shape], nn.Module]:
    """(shape of its output) -> a network.

    Raises:
      UserError: an unknown name, sizes that cannot be, or convolutions of what is no image.
    """
    model, sizes = config.model, tuple(config.model.hidden_sizes)
    options = common.network_options(config)
    auto = 'conv' if spec.image_shape else 'mlp'
    names = {'auto': auto, 'conv': 'conv', 'mlp': 'mlp'}
    if choose('model.network', model.network, names) == 'mlp':
        at_least(1, 'model.hidden_sizes', *(sizes or (0,)))
        return functools.partial(Perceptron, hidden_sizes=sizes, **options)
    if spec.image_shape is None:
        raise UserError(
            f"config.model.network='conv': {config.data.name} has no images, "
            f'its examples are {spec.event_shape}'
        )
    at_least(1, 'model.channels', model.channels)
    at_least(0, 'model.blocks', model.blocks)
    options |= common.conv_form(config)
    return functools.partial(
        ResidualConvolutions, channels=model.channels, blocks=model.blocks, **options
    )


def in_scales(
    config: ConfigDict,
    spec: Spec,
    scale: Callable[[Shape, bool], tuple[list[nn.Module], Shape]],
    most: int,
) -> nn.Module:
    """Images through several scales, at most so many, to a vector: Dinh et al. (2017), section 3.6.

    `scale(shape, is_last)` gives the layers of one of them and the shape that they end with.

    Raises:
      UserError: more scales than that.
    """
    shape = spec.image_shape
    if not most:
        raise UserError(
            f'{config.data.name}: {shape[0]} x {shape[1]} pixels cannot be halved: use '
            'configs/maf.py, or configs/realnvp.py with config.model.scales=1'
        )
    if not 1 <= config.model.scales <= most:
        raise UserError(
            f'config.model.scales={config.model.scales}: of {shape[0]} x {shape[1]} pixels there '
            f'are 1 to {most}'
        )

    def from_scale(number: int, shape: Shape) -> nn.Module:
        is_last = number == config.model.scales
        layers, made = scale(shape, is_last)
        if is_last:
            return Chain((*layers, Reshaped(made, (math.prod(made),))))
        *space, channels = made
        rest = from_scale(number + 1, (*space, channels // 2))
        return Chain((*layers, FactoredOut(made, rest)))

    return Chain((Reshaped(spec.event_shape, shape), from_scale(1, shape)))


def halvings(spec: Spec) -> int:
    """How often height and width of an image can both be halved."""
    height, width, _ = spec.image_shape
    common_part = math.gcd(height, width)
    return (common_part & -common_part).bit_length() - 1


def as_vector(spec: Spec, layers: tuple[nn.Module, ...]) -> nn.Module:
    """`layers` of events as vectors."""
    return Chain((Reshaped(spec.event_shape, (spec.num_dims,)), *layers))


def check_steps(config: ConfigDict) -> int:
    """`config.model.steps`.

    Raises:
      UserError: there are none.
    """
    at_least(1, 'model.steps', config.model.steps)
    return config.model.steps
