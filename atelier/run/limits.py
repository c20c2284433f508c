"""Limits on the sizes in a config, which may be untrusted.

Sizes that are too large for any machine are refused by their value alone. Sizes that are too large
for this machine are refused once the shapes of the State are known. Computing them takes no memory.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import jax
from ml_collections import ConfigDict

from atelier.core import devices
from atelier.core.game import State
from atelier.data.dataset import Spec
from atelier.data.image_sizes import image_advice
from atelier.errors import MAX_UNROLLED, UserError
from atelier.log import log
from atelier.run.config_values import flatten

MEMORY_SHARE = 0.8  # fraction of a device's memory that a program may use safely
OTHER_MODELS = '; docs/sizes.md says what each model needs'
LARGEST = {  # largest absolute value of an integer, by group of a config
    'data': 2**31 - 1,
    'model': 2**24,  # an array with two dimensions of this size would exceed any memory
    'train': 2**31 - 1,  # a step is an int32
    'eval': 10**6,  # steps of a sampler or solver, samples of an estimate: their arrays are small
}


def check_integers(config: ConfigDict) -> None:
    """Refuses integers of a config that are too large for any use.

    Raises:
      UserError: names the field, its value and the limit.
    """
    for name, value in flatten(config.to_dict()).items():
        group = name.split('.')[0]
        if group == 'model' and isinstance(value, list) and len(value) > MAX_UNROLLED:
            raise UserError(
                f'config.{name} is a list of length {len(value):,}, above {MAX_UNROLLED:,}'
            )
        for each in value if isinstance(value, list) else [value]:
            largest = LARGEST.get(group, math.inf)
            if isinstance(each, int) and abs(each) > largest:
                raise UserError(f'config.{name}={value}: the largest size is {largest:,}')


@contextlib.contextmanager
def within_memory(config: ConfigDict) -> Iterator[None]:
    """Turns a size that NumPy or JAX cannot represent or allocate into a `UserError`.

    It is for code that only builds functions and shapes. There, only a size causes such an error.
    """
    try:
        yield
    except (MemoryError, OverflowError) as error:
        raise _too_large(config, str(error)) from error
    except ValueError as error:  # NumPy's, for a shape whose size overflows
        if 'array is too big' not in str(error) and 'allowed dimension' not in str(error):
            raise
        raise _too_large(config, str(error)) from error


def _too_large(config: ConfigDict, reason: str, num_values: int = 0, advice: str = '') -> UserError:
    """Returns the refusal of a model; `advice` is for examples whose `num_values` are many.

    The config's largest size is named instead if it is at least as large.
    """
    integers = {}
    for name, value in flatten(config.model.to_dict()).items():
        sizes = value if isinstance(value, list) else [value]
        if sizes and all(isinstance(size, int) for size in sizes):
            integers[name] = max(sizes)
    name = max(integers, key=integers.get, default='')
    hint = f'; the largest size is config.model.{name}' if name else ''
    if advice and num_values > max(integers.values(), default=0):
        hint = advice
    return UserError(f'the model does not fit into memory ({reason}){hint}')


def _advice(spec: Spec, needed: int | float, memory: int | float) -> str:
    advice = image_advice(spec, needed, memory)
    return advice and advice + OTHER_MODELS


def check_state(state: State, config: ConfigDict, spec: Spec) -> None:
    """Refuses a model whose State does not fit into the memory of a device.

    Args:
      state: shapes and types alone.
      config: the run's, for the message.
      spec: spec of the data, for the message.

    Raises:
      UserError: says the number of parameters, the bytes of the State and the memory, and for
        images the size that fits.
    """
    needed = sum(_bytes(leaf) for leaf in jax.tree.leaves(state))
    memory = devices.memory_bytes(jax.local_devices()[0])
    if needed > memory:
        num = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
        raise _too_large(
            config,
            f'{num:,} parameters; with the optimizer, the State takes {_gigabytes(needed)}, and '
            f'a device has {_gigabytes(memory)}',
            spec.num_dims,
            _advice(spec, needed, memory),
        )


def program_bytes(compiled: jax.stages.Compiled) -> int:
    """Returns the memory of a program on one device: arguments, results and temporaries."""
    memory = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + results + memory.temp_size_in_bytes


def check_step(compiled: jax.stages.Compiled, spec: Spec) -> None:
    """Refuses a compiled training program that does not fit into the memory of a device.

    The system could kill the process without a message. If the program takes almost all of the
    memory, a warning says so.

    Raises:
      UserError: says the bytes of the program and the memory, and for images the size that fits.
    """
    _check_program(
        compiled, 'a training step', 'choose a smaller config.train.batch_size or model', spec
    )


def check_start(compiled: jax.stages.Compiled, spec: Spec) -> None:
    """Refuses the program that computes the initial State, as `check_step` refuses a step."""
    _check_program(compiled, 'the initial State', 'choose a smaller model', spec)


def _check_program(compiled: jax.stages.Compiled, name: str, advice: str, spec: Spec) -> None:
    needed, memory = program_bytes(compiled), devices.memory_bytes(jax.local_devices()[0])
    sizes = f'{name} takes {_gigabytes(needed)}, and a device has {_gigabytes(memory)}'
    if needed > memory:
        raise UserError(f'{sizes}: {advice}{_advice(spec, needed, memory)}')
    if needed > MEMORY_SHARE * memory:
        log.warning('%s: the system may end the process without a message', sizes)


def _bytes(leaf: Any) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize


def check_examples(name: str, count: int, spec: Spec) -> None:
    """Refuses a number of examples that do not fit into the memory of a device as float32.

    Raises:
      UserError: names the setting `name`, the bytes and the memory.
    """
    _check_floats(f'{name}: {count:,} examples take', count * max(spec.num_dims, 1))


def check_one_example(name: str, num_values: int) -> None:
    """Refuses an example whose `num_values` do not fit into the memory of a device as float32.

    Raises:
      UserError: says what `name` describes, the bytes and the memory.
    """
    _check_floats(f'{name}: one example takes', num_values)


def _check_floats(beginning: str, count: int) -> None:
    needed, memory = 4 * count, devices.memory_bytes(jax.local_devices()[0])
    if needed > memory:
        raise UserError(
            f'{beginning} {_gigabytes(needed)}, and there are {_gigabytes(memory)} of memory'
        )


def _gigabytes(count: int | float) -> str:
    return f'{count / 1e9:,.1f} GB'
