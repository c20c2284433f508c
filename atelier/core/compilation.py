"""Options of XLA for one program.

Options are given to the compiler with each program, not through the variable XLA_FLAGS. An option
that this version of XLA does not know in XLA_FLAGS would abort the process. Here it is left out.
What the user sets in XLA_FLAGS is never changed.
"""

import os
from collections.abc import Mapping
from typing import Any

import jax
from jax.stages import Compiled, Lowered
from ml_collections import ConfigDict

from atelier.errors import choose, first_line
from atelier.log import log

Options = dict[str, str | int | bool]

# on a GPU: no kernel that adds in any order, such as those of scattered sums and of the derivatives
# of cuDNN's attention, because an interrupted run ends with the same bits
REPEATABLE: Options = {'xla_gpu_exclude_nondeterministic_ops': True}

# kinds of operations that may be launched together, as one CUDA graph. The first six are XLA's own
# choice. WHILE adds loops, and with them all steps of a dispatch.
SCAN_COMMANDS = 'FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE'
COMMAND_BUFFERS: dict[str, Options] = {
    'auto': {},
    'scan': {'xla_gpu_enable_command_buffer': SCAN_COMMANDS, 'xla_gpu_graph_min_graph_size': 1},
    'unrolled': {
        'xla_gpu_enable_command_buffer': SCAN_COMMANDS,
        'xla_gpu_graph_min_graph_size': 1,
        'xla_gpu_command_buffer_unroll_loops': True,
    },
}


def training_options(train: ConfigDict | Mapping[str, Any]) -> Options:
    """Returns the compiler options of a training program on the default backend.

    Raises:
      UserError: there is no such value of config.train.command_buffers.
    """
    options = choose('train.command_buffers', train['command_buffers'], COMMAND_BUFFERS)
    return REPEATABLE | options if jax.default_backend() == 'gpu' else {}


def compiled(lowered: Lowered, options: Options) -> Compiled:
    """Compiles a program with those options that XLA knows and that XLA_FLAGS does not set.

    Logs the options that XLA refuses.
    """
    own = os.environ.get('XLA_FLAGS', '')
    options = {name: value for name, value in options.items() if name not in own}
    if not options:
        return lowered.compile()
    try:
        return lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        reason = first_line(error)
        if not reason.startswith('INVALID_ARGUMENT'):
            raise
        refused = [name for name in options if name in reason] or [*options]
        log.warning('compiling without %s, which XLA refuses: %s', ', '.join(refused), reason)
        return compiled(lowered, {k: v for k, v in options.items() if k not in refused})
