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

import jax
from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.subjects import SUBJECTS
from benchmarks.variants import AS_IT_IS, VARIANTS

EQUAL = 1e-3

flags.DEFINE_multi_enum('models', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('steps', 400, 'steps per repeat of the MLP; the others take fewer')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list('precisions', ['float32'], 'precisions of matrix products')
flags.DEFINE_list('variants', [], 'variants to measure beside the first; all if there are none')


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
        if (label == AS_IT_IS or label in chosen) and (backend == 'gpu' or not variant.needs_gpu)
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
        add_fastest(result, title, pairs)


def add_fastest(result: outcome.Outcome, title: str, pairs: list[tuple[str, str]]) -> None:
    """Adds the largest of the ratios of a title, which is 1 if no variant is faster."""
    ratios = {name: result.ratios[f'{title}: {name} / {other}'] for name, other in pairs}
    speeds = {name: ratio['value'] for name, ratio in ratios.items() if 'value' in ratio}
    fastest = max(speeds, key=speeds.get, default=AS_IT_IS)
    is_measured = [max(1.0, speeds[fastest])] if speeds else []
    result.add_ratio(f'{title}: fastest / {AS_IT_IS}', is_measured, '' if speeds else 'no ratio')
    name = fastest if speeds.get(fastest, 0.0) > 1 else AS_IT_IS
    print(f'  fastest: {name}')
    result.write()


if __name__ == '__main__':
    workers.run(main)
