"""The names that every config shares, and how `configs/NAME.py:DATA,debug` is read."""

import functools
from collections.abc import Mapping
from typing import TypeVar

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose, did_you_mean

T = TypeVar('T')
ACTIVATIONS = {
    'relu': nn.relu,
    'tanh': nn.tanh,
    'gelu': nn.gelu,
    'silu': nn.silu,
    'softplus': nn.softplus,
    'leaky_relu': functools.partial(nn.leaky_relu, negative_slope=0.2),
}
PRECISIONS = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}
CONV_FORMS = {form: form for form in ('auto', 'matmul', 'lax')}
LEAST_HYPERS = {'discriminator_steps': 1, 'generator_steps': 1}  # of all others 0


def common_config() -> ConfigDict:
    """Plain values for every field that the loop, the optimizer and the evaluation read."""
    config = ConfigDict()
    config.seed = 0
    config.data = ConfigDict(
        dict(
            name='digits',
            data_dir='',  # where the source's files lie; empty: the source's own place
            path='',  # of one's own file or folder, for the sources that take one
            image_shape=(),  # height, width, channels to scale and crop to; (): as they are
            num_valid=0,  # examples for validation where the source has none; 0: it is chosen
            without_classes=(),  # in the test split alone: novel ones (--mode=anomaly)
            binarize='none',  # none | threshold | stochastic (afresh at each showing)
            dequantize='none',  # none | uniform
            placement='auto',  # of the training split: device | stream (from the host) | auto
        )
    )
    config.model = ConfigDict()
    config.hypers = ConfigDict(  # traced scalars: changing one never recompiles
        dict(
            learning_rate=1e-3,
            learning_rate_end=0.0,  # where the cosine arrives
            warmup_steps=0.0,
            decay_steps=0.0,  # the step at which the cosine arrives; 0: no decay
            clip_norm=0.0,  # of the gradient, by player; 0: no clipping
            adam_beta1=0.9,
            adam_beta2=0.999,
            adam_eps=1e-8,
            weight_decay=0.0,
            ema_half_life=0.0,  # examples; 0: evaluation uses the plain weights
        )
    )
    config.train = ConfigDict(
        dict(
            steps=1000,
            batch_size=96,  # divisible by 8 devices; 0: all of the training split
            steps_per_dispatch=100,  # a ceiling: it has to divide steps and all cadences
            log_every=1,  # steps between lines of metrics.jsonl
            evaluate_every=100,  # on the validation split, and pictures
            checkpoint_every=500,
            best_metric='',  # of the validation metrics; its best checkpoint is kept
            best_mode='max',  # max | min
            patience=0,  # evaluations without a better best_metric before stopping; 0: never
            optimizer='adam',  # adam | muon (of dense kernels, and Adam of all else)
            precision='float32',  # of matrix products: float32 | bfloat16
        )
    )
    config.eval = ConfigDict(
        dict(
            batch_size=500,
            weights='best',  # best | last checkpoint
            num_pictures=64,  # in a grid
            classifier='',  # folder of a run whose features compare samples with data
        )
    )
    return config


def begin(argument: str | None, default: str = 'digits') -> tuple[ConfigDict, bool]:
    """`common_config` for the data set that the argument names, and whether `debug` was asked for.

    Raises:
      UserError: as `parse_argument`.
    """
    name, debug = parse_argument(argument, default)
    config = common_config()
    config.data.name = name
    return config, debug


def parse_argument(argument: str | None, default: str) -> tuple[str, bool]:
    """Reads the part after the colon of --config: `DATA`, `DATA,debug` or `debug`.

    Returns:
      The name of the data set, and whether `debug` was asked for.

    Raises:
      UserError: two data sets.
    """
    words = [word.strip() for word in (argument or '').split(',') if word.strip()]
    names = [word for word in words if word != 'debug']
    if len(names) > 1:
        hint = ''.join(did_you_mean(name, ['debug']) for name in names)
        raise UserError(
            f'the config takes one data set after its colon, not {" and ".join(names)}{hint}'
        )
    return (names[0] if names else default), 'debug' in words


def shrink(config: ConfigDict) -> None:
    """The `debug` variant of any config: every part of a run, in seconds."""
    config.train.update(
        steps=20, batch_size=48, steps_per_dispatch=5, evaluate_every=10, checkpoint_every=10
    )
    config.eval.update(batch_size=100, num_pictures=16)
    for name, most in (('decay_steps', 20.0), ('warmup_steps', 5.0)):
        if name in config.hypers:  # not where nothing descends
            config.hypers[name] = min(config.hypers[name], most)


def choice(config: ConfigDict, name: str, options: Mapping[str, T]) -> T:
    """What `config.model[name]` names among the options; raises as `choose`."""
    return choose(f'model.{name}', config.model[name], options)


def sizes(config: ConfigDict, name: str, fewest: int = 0) -> tuple[int, ...]:
    """The sizes of layers that `config.model[name]` lists.

    Raises:
      UserError: one is below 1, or there are fewer than `fewest`, which is 0 or 1.
    """
    values = tuple(config.model[name])
    at_least(1, f'model.{name}', *(values or (0,) * fewest))
    return values


def size(config: ConfigDict, name: str, least: int = 1) -> int:
    """`config.model[name]`.

    Raises:
      UserError: it is below `least`.
    """
    at_least(least, f'model.{name}', config.model[name])
    return config.model[name]


def conv_shapes(config: ConfigDict, channels: str = 'channels', fewest: int = 1) -> dict:
    """The channels of each stage and the kernel size, as keyword arguments of a network.

    Raises:
      UserError: they cannot be, or there are fewer stages than `fewest`.
    """
    return dict(channels=sizes(config, channels, fewest), kernel_size=size(config, 'kernel_size'))


def conv_form(config: ConfigDict) -> dict:
    """The form of convolutions, as a keyword argument of a network."""
    return dict(form=choice(config, 'conv_form', CONV_FORMS))


def precision(config: ConfigDict) -> DTypeLike:
    """The dtype of matrix products."""
    return choose('train.precision', config.train.precision, PRECISIONS)


def network_options(config: ConfigDict) -> dict:
    """The activation and the dtype of products, as keyword arguments of a network."""
    return dict(activation=choice(config, 'activation', ACTIVATIONS), dtype=precision(config))


def num_classes_of(config: ConfigDict, spec: Spec) -> int:
    """Classes of the label that a model sees where `config.model.is_conditional`, otherwise 0.

    Raises:
      UserError: it is asked for, and the data have no labels.
    """
    if config.model.is_conditional and spec.num_classes is None:
        raise UserError(f'config.model.is_conditional=True: {config.data.name} has no labels')
    return spec.num_classes if config.model.is_conditional else 0


def check_hypers(config: ConfigDict) -> None:
    """Refuses what the family's loss sees as traced scalars, and so cannot refuse itself.

    Raises:
      UserError: names the field.
    """
    for name, value in config.hypers.items():
        at_least(LEAST_HYPERS.get(name, 0), f'hypers.{name}', value)
