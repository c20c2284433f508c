"""Fields common to all configs, and the parser of `configs/NAME.py:DATA,debug`."""

import functools
import math
from collections.abc import Mapping
from typing import TypeVar

import flax.linen as nn
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from atelier.core.precision import of_config
from atelier.data.dataset import Spec
from atelier.errors import MAX_UNROLLED, UserError, at_least, choose, did_you_mean
from models.nets.conditioning import num_vectors

T = TypeVar('T')
ACTIVATIONS = {
    'relu': nn.relu,
    'tanh': nn.tanh,
    'gelu': nn.gelu,
    'silu': nn.silu,
    'softplus': nn.softplus,
    'leaky_relu': functools.partial(nn.leaky_relu, negative_slope=0.2),
}
CONV_FORMS = {form: form for form in ('auto', 'matmul', 'lax')}
# the minimum of all others is 0
MIN_HYPERS = {'discriminator_steps': 1, 'generator_steps': 1, 'augment_examples': 1}


def common_config() -> ConfigDict:
    """Returns defaults of all fields that the loop, the optimizer and the evaluation read."""
    config = ConfigDict()
    config.seed = 0  # seed of the initial weights, the batches and all noise
    config.data = ConfigDict(
        dict(
            name='digits',  # name of the data source; set by DATA in --config=configs/NAME.py:DATA
            data_dir='',  # folder of the source's files; '': the source's default
            path='',  # path of the user's own file or folder, for sources that take one
            run='',  # folder of the run whose codes are the data (codes)
            # kind of these codes: auto (the first that the run has) | tokens | draws | means
            codes='auto',
            image_shape=(),  # (height, width, channels) to scale and crop images to; (): unchanged
            # axis of an array with the channels of images: auto (channels first is refused) | last
            channels='auto',
            # folders of the splits of a folder: auto (by their names) | none (all are classes) |
            # train=NAME,valid=NAME,test=NAME
            splits='auto',
            # what pictures take an array for: auto (by its shape) | images | points | signals |
            # table | values
            draw_as='auto',
            strict=False,  # whether pictures that would be converted or passed over are refused
            # way to tell whether files have changed since they were cached: content | times (names,
            # sizes, times and place, for slow network drives)
            verify='content',
            # rule that makes the splits that arrays, folders and texts lack: content | order
            split_by='content',
            # fraction of the examples, or of a text, in each split that is made by content
            held_out_share=0.1,
            num_valid=0,  # size of the validation split, if it is made by order; 0: automatic
            # whether training has the validation examples too, so that nothing is chosen on them
            # (--refit)
            train_on_valid=False,
            # classes left out of all but the test split (--mode=anomaly): names or numbers
            without_classes=(),
            # classes that a model knows: trained (those with training examples) | declared (all)
            classes='trained',
            # rule that makes x binary: none | threshold | stochastic (redrawn each time x is used)
            binarize='none',
            dequantize='none',  # noise added to the levels of x: none | uniform
            placement='auto',  # place of the training split: device | stream (from the host) | auto
        )
    )
    config.data.augment = ConfigDict(  # of pictures, anew at each showing in training
        dict(
            # strengths of all transformations that are 0: none | mild (shift, rotate, scale by 0.1,
            # 10, 0.1, and flip unless a mirrored picture may be none of the data)
            preset='none',
            # largest shift: below 1 a fraction of the sides, with interpolation; else whole pixels
            shift=0.0,
            rotate=0.0,  # largest rotation in degrees
            scale=0.0,  # largest change of the size; 0.1: up to 1.1 times as large or as small
            crop=0.0,  # largest fraction of the sides that is cut off; the rest is enlarged
            brightness=0.0,  # largest change of the brightness, as a fraction of the range
            contrast=0.0,  # largest change of the contrast; 0.5: 1 / 1.5 to 1.5 times as much
            saturation=0.0,  # largest change of the saturation; 0.5: 1 / 1.5 to 1.5 times as much
            hue=0.0,  # largest change of the hue in degrees
            cutout=0.0,  # side of an erased square, as a fraction of the sides
            flip=False,  # whether half of the pictures are mirrored, left to right
            probability=1.0,  # probability of each transformation
            # outside of a picture: auto (a common value of borders, else mirror) | zero | mirror
            edge='auto',
        )
    )
    config.model = ConfigDict()
    config.hypers = ConfigDict(  # traced scalars: changing one never recompiles
        dict(
            learning_rate=1e-3,  # highest learning rate, after the warm-up
            learning_rate_end=0.0,  # learning rate at the end of the cosine decay
            warmup_steps=0.0,  # number of steps of linear warm-up; 0: none
            decay_steps=0.0,  # step at which the cosine decay ends; 0: no decay
            clip_norm=0.0,  # largest gradient norm of each player; 0: no clipping
            adam_beta1=0.9,  # decay of the mean gradient
            adam_beta2=0.999,  # decay of the mean squared gradient
            adam_eps=1e-8,  # constant added to the root of the mean squared gradient
            weight_decay=0.0,  # weight decay (AdamW), multiplied by the learning rate; 0: none
            ema_half_life=0.0,  # half-life of averaged weights, in examples; 0: no weight averaging
        )
    )
    config.train = ConfigDict(
        dict(
            steps=1000,  # total number of steps; a finished run continues if it is increased
            # examples in a batch, a multiple of the number of devices; 0: all training data
            batch_size=96,
            # most steps in one compiled call; the actual number divides steps, evaluate_every and
            # checkpoint_every
            steps_per_dispatch=100,
            log_every=1,  # steps between lines of metrics.jsonl
            evaluate_every=100,  # steps between validations with sample images
            checkpoint_every=500,  # steps between checkpoints
            best_metric='',  # validation metric whose best checkpoint is kept
            best_mode='max',  # whether the best value is the largest or smallest: max | min
            patience=0,  # validations without improvement before stopping; 0: never stop
            optimizer='adam',  # optimizer: adam | muon (on dense kernels; Adam on all else)
            # precision of matrix products: float32 (as JAX multiplies: TF32 on a GPU, bfloat16 on a
            # TPU, full on a CPU) | full_float32 | tf32 (full on a CPU) | bfloat16
            precision='float32',
            unroll=1,  # steps in the body of a dispatch's loop; more compile for longer
            # operations that a GPU launches together: auto (XLA's choice) | scan (loops, too: all
            # steps of a dispatch) | unrolled (the same without loops, for short dispatches)
            command_buffers='auto',
        )
    )
    config.eval = ConfigDict(
        dict(
            # number of examples computed at a time; fewer of those with more than 1,048 values
            batch_size=500,
            weights='best',  # checkpoint to evaluate: best | last
            num_pictures=64,  # number of images in a grid
            classifier='',  # folder of the run whose features compare samples with data
            # whether another classifier learns from samples by class, as many as training examples
            learns_from_samples=True,
        )
    )
    return config


def begin(argument: str | None, default: str = 'digits') -> tuple[ConfigDict, bool]:
    """Returns `common_config` for the data set in `argument`, and whether it contains `debug`.

    Raises:
      UserError: as in `parse_argument`.
    """
    name, debug = parse_argument(argument, default)
    config = common_config()
    config.data.name = name
    return config, debug


def parse_argument(argument: str | None, default: str) -> tuple[str, bool]:
    """Reads the part after the colon of --config: `DATA`, `DATA,debug` or `debug`.

    Returns:
      The name of the data set, and whether `debug` is present.

    Raises:
      UserError: the argument names more than one data set.
    """
    parts = [part.strip() for part in (argument or '').split(',') if part.strip()]
    names = [part for part in parts if part != 'debug']
    if len(names) > 1:
        hint = ''.join(did_you_mean(name, ['debug']) for name in names)
        raise UserError(
            f'the config takes one data set after its colon, not {" and ".join(names)}{hint}'
        )
    return (names[0] if names else default), 'debug' in parts


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant, which runs every part within seconds."""
    config.train.update(
        steps=20, batch_size=48, steps_per_dispatch=5, evaluate_every=10, checkpoint_every=10
    )
    config.eval.update(batch_size=100, num_pictures=16)
    if 'num_samples' in config.eval:
        config.eval.num_samples = 100
    for name, maximum in (('decay_steps', 20.0), ('warmup_steps', 5.0)):
        if name in config.hypers:  # absent if the config has no optimizer
            config.hypers[name] = min(config.hypers[name], maximum)


def choice(config: ConfigDict, name: str, options: Mapping[str, T]) -> T:
    """Returns the option that `config.model[name]` selects; raises the errors of `choose`."""
    return choose(f'model.{name}', config.model[name], options)


def sizes(config: ConfigDict, name: str, fewest: int = 0) -> tuple[int, ...]:
    """Returns the layer sizes in `config.model[name]`.

    Raises:
      UserError: a size is below 1, or there are fewer than `fewest` (0 or 1) sizes.
    """
    values = tuple(config.model[name])
    at_least(1, f'model.{name}', *(values or (0,) * fewest))
    return values


def size(config: ConfigDict, name: str, least: int = 1, most: int | float = math.inf) -> int:
    """Returns `config.model[name]`.

    Raises:
      UserError: the value is outside [least, most].
    """
    at_least(least, f'model.{name}', config.model[name], most=most)
    return config.model[name]


def conv_shapes(config: ConfigDict, channels: str = 'channels', fewest: int = 1) -> dict:
    """Returns the channels of each stage and the kernel size, as keyword arguments of a network.

    Raises:
      UserError: a value is below 1, or there are fewer than `fewest` stages.
    """
    kernel_size = size(config, 'kernel_size', most=MAX_UNROLLED)
    return dict(channels=sizes(config, channels, fewest), kernel_size=kernel_size)


def conv_form(config: ConfigDict) -> dict:
    """Returns the way to compute convolutions, as a keyword argument of a network."""
    return dict(form=choice(config, 'conv_form', CONV_FORMS))


def precision(config: ConfigDict) -> DTypeLike:
    """Returns the dtype of matrix products."""
    return of_config(config.train).dtype


def network_options(config: ConfigDict) -> dict:
    """Returns the activation and the dtype of products, as keyword arguments of a network."""
    return dict(activation=choice(config, 'activation', ACTIVATIONS), dtype=precision(config))


def num_classes_of(config: ConfigDict, spec: Spec) -> int:
    """Returns the number of classes or features if `config.model.is_conditional`, otherwise 0.

    Raises:
      UserError: the model is conditional, and the data have no labels and no condition.
    """
    if config.model.is_conditional and not num_vectors(spec):
        raise UserError(
            f'config.model.is_conditional=True: {config.data.name} has no labels and no condition'
        )
    return num_vectors(spec) if config.model.is_conditional else 0


def check_hypers(config: ConfigDict) -> None:
    """Checks the hypers, which the family's loss cannot check, because it gets traced scalars.

    Raises:
      UserError: a value is too small; the message names the field.
    """
    for name, value in config.hypers.items():
        at_least(MIN_HYPERS.get(name, 0), f'hypers.{name}', value)
