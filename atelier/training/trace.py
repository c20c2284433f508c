"""`--profile`: a trace of one dispatch, for TensorBoard and Perfetto."""

import itertools
import pathlib

import jax

from atelier.core.game import State
from atelier.errors import writing
from atelier.log import counted, log
from atelier.training.dispatch import Program

NAME = 'profile'


def traced(program: Program, folder: pathlib.Path, steps_left: int) -> Program:
    """Returns `program` with its second dispatch traced into `folder`/profile.

    The first dispatch compiles. If only one dispatch is left, nothing is traced, but a warning is
    logged.

    Raises:
      UserError: the trace cannot be written; raised by the second dispatch.
    """
    indices, trace_folder = itertools.count(), folder / NAME
    if steps_left <= program.num_steps:
        log.warning(
            '--profile records the second dispatch, and only one is left: nothing is recorded'
        )

    def dispatch(state: State):
        if next(indices) != 1:
            return program.dispatch(state)
        with writing(trace_folder), jax.profiler.trace(trace_folder, create_perfetto_trace=True):
            result = jax.block_until_ready(program.dispatch(state))
        files = sorted(trace_folder.rglob('perfetto_trace.json.gz'))
        steps = counted(program.num_steps, 'step')
        log.info('a trace of %s: %s, to open at ui.perfetto.dev', steps, files[-1])
        return result

    return program._replace(dispatch=dispatch)
