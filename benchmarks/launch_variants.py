"""What launches cost: the same training under several ways to run its steps.

    python -m benchmarks.launch_variants --models=mlp --precisions=tf32 --seconds=120

A small model on a GPU is bound by the time that its kernels take to start. The variants: the scan
of a dispatch unrolled; all parameters of a player updated as one array; and, only on a GPU, XLA
with and without command buffers (CUDA graphs), the loop of the scan included. Each is a process of
its own, because XLA reads its flags once. A flag that this XLA does not know ends the process, and
the variant has the reason in its row. A ratio to the training as it is needs the same losses, to
1e-3 (`benchmarks.agreement`).
"""

import os
from typing import NamedTuple

import jax
from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.subjects import SUBJECTS

AS_IT_IS, EQUAL = 'as it is', 1e-3
WHILE = '--xla_gpu_enable_command_buffer=+WHILE'
SMALL = '--xla_gpu_graph_min_graph_size=1'
UNROLLED = '--xla_gpu_command_buffer_unroll_loops=true'

flags.DEFINE_multi_enum('models', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('steps', 400, 'steps per repeat of the MLP; the others take fewer')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list('precisions', ['float32'], 'precisions of matrix products')
flags.DEFINE_list('variants', [], 'variants to measure beside the first; all if there are none')


class Variant(NamedTuple):
    """A way to run a training.

    settings: of `launch_arms.make`.
    xla: flags of XLA, for a GPU only.
    """

    settings: dict = {}
    xla: tuple[str, ...] = ()


VARIANTS = {
    AS_IT_IS: Variant(),
    'unroll 2': Variant(dict(unroll=2)),
    'unroll 10': Variant(dict(unroll=10)),
    'flat update': Variant(dict(is_flat=True)),
    'flat update and unroll 10': Variant(dict(is_flat=True, unroll=10)),
    'no command buffers': Variant(xla=('--xla_gpu_enable_command_buffer=',)),
    'small command buffers': Variant(xla=(SMALL,)),
    'command buffers with WHILE': Variant(xla=(WHILE, SMALL)),
    'command buffers with CONDITIONAL and WHILE': Variant(
        xla=('--xla_gpu_enable_command_buffer=+CONDITIONAL,+WHILE', SMALL)
    ),
    'command buffers with unrolled loops': Variant(xla=(WHILE, SMALL, UNROLLED)),
    'loops buffered twice': Variant(xla=('--xla_gpu_enable_while_loop_double_buffering=true',)),
    'flat update in command buffers with WHILE': Variant(dict(is_flat=True), (WHILE, SMALL)),
}


def specs_of(name: str, precision: str, steps: int, backend: str) -> dict[str, workers.Spec]:
    """Returns the variants that exist on this backend, by name."""
    chosen = flags.FLAGS.variants or [*VARIANTS]
    common = dict(name=name, precision=precision, steps=steps, data_dir=flags.FLAGS.data_dir)
    return {
        label: workers.Spec(
            'benchmarks.launch_arms:make',
            {**common, **variant.settings},
            {**workers.JAX, 'XLA_FLAGS': ' '.join((os.environ.get('XLA_FLAGS', ''), *variant.xla))},
        )
        for label, variant in VARIANTS.items()
        if (label == AS_IT_IS or label in chosen) and (backend == 'gpu' or not variant.xla)
    }


def main(_):
    """Prints a table for each model and precision."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('launch_variants')
    result.print_heading()
    groups = [
        (name, precision)
        for name in values.models
        for precision in precisions.chosen(values.precisions)
    ]
    for index, (name, precision) in enumerate(groups):
        steps = max(1, values.steps // SUBJECTS[name].relative_time)
        specs = specs_of(name, precision, steps, jax.default_backend())
        seconds = result.left(1 / (len(groups) - index))
        measured = workers.measure(specs, values.repeats, seconds)
        pairs = [(label, AS_IT_IS) for label in specs if label != AS_IT_IS]
        title = f'{name}, {precision}'
        comparison.report(result, title, measured, pairs, steps, comparison.within(EQUAL))


if __name__ == '__main__':
    outcome.run(main)
