"""What a precision costs and gains: the time of a step, and the loss after equal steps.

    python -m benchmarks.precision_loss --debug
    python -m benchmarks.precision_loss --data=mnist --data_dir=TFDS --text=FILE --seconds=60

Trains a model of each family from the same seed in float32, TF32 (only on a GPU) and bfloat16, in
the size of its config. Every arm is a process of its own (`benchmarks.precision_arms`). With
`--at_once`, their first calls, which compile, run side by side. The timed calls alternate. The loss
is the mean over the last call that all precisions made. A ratio of times is given only if the
losses agree (`benchmarks.agreement`).
"""

import numpy as np
from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.precision_arms import FAMILIES

LARGEST = 'largest difference of a loss'

flags.DEFINE_multi_enum('families', list(FAMILIES), list(FAMILIES), 'families to measure')
flags.DEFINE_enum('data', 'digits', ['digits', 'mnist'], 'images')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_string('text', '', "file of the character transformer; by default Python's help")
flags.DEFINE_integer('steps', 100, 'steps per call')
flags.DEFINE_integer('repeats', 2, 'timed calls of each arm')
flags.DEFINE_list('precisions', [], 'precisions of products; by default all, on a CPU two')
flags.DEFINE_bool('debug', False, 'the debug variants of the configs')


def specs_of(names: list[str]) -> dict[tuple[str, str], workers.Spec]:
    """Returns the arms by family and precision."""
    values = flags.FLAGS
    common = dict(steps=values.steps, data_dir=values.data_dir, text=values.text)
    common |= dict(data=values.data, debug=values.debug)
    return {
        (family, name): workers.Spec(
            'benchmarks.precision_arms:make', dict(family=family, precision=name, **common)
        )
        for family in values.families
        for name in names
    }


def main(_):
    """Prints a table for each family."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('precision_loss')
    result.print_heading()
    names = precisions.chosen(values.precisions or [*precisions.NAMES])
    seconds, at_once = result.left(), values.at_once
    measured = workers.measure(specs_of(names), values.repeats, seconds, at_once)
    apart = []
    for family in values.families:
        arms = {name: measured[family, name] for name in names}
        pairs = [(name, names[0]) for name in names[1:]]
        agree = comparison.within(FAMILIES[family].tolerance)
        comparison.report(result, family, arms, pairs, values.steps, agree)
        losses = comparison.last_losses(arms)
        is_whole = losses.keys() == arms.keys()
        apart += [
            abs(losses[name] / losses[names[0]] - 1) if is_whole else np.inf for name in names
        ]
    reason = '' if np.isfinite(apart).all() else 'a family has no finite losses'
    result.add_ratio(LARGEST, [max(apart)], reason)
    print(f'\n{LARGEST}, relative to {names[0]}: {reason or format(max(apart), ".2g")}')
    result.write()


if __name__ == '__main__':
    workers.run(main)
