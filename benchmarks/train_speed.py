"""Time of a training step of two VAEs and a GAN, compared with PyTorch and with lower bounds.

    pip install -r requirements-bench.txt
    python -m benchmarks.train_speed --data_dir=TFDS_FOLDER

Every arm is a process of its own, has batch size 128, Adam, all cores, and binary images in memory
before the clock starts. It reads its losses at the end of each repeat. Our arms do what a run does,
including shuffle and report; they scan many steps in a call, or take one call per step as PyTorch
does. Without a TFDS folder the images are random. A speed is relative to PyTorch in the same
precision (`benchmarks.precisions`), and only given if the losses agree (`benchmarks.agreement`).
The lower bounds, in float32, are the times of a step's matrix products, and of these followed by
copying its State (`benchmarks.limits`). A step can overlap the two. Both GANs draw new fakes for
each player (Goodfellow et al. 2014, Algorithm 1).
"""

import importlib.util

import jax
import numpy as np
from absl import flags

from benchmarks import comparison, limits, outcome, precisions, workers
from benchmarks.subjects import SUBJECTS
from benchmarks.timing import spread

LIMITS = ('products', 'copying')
WAYS = ('PyTorch eager', 'PyTorch eager, fused Adam')
GRAPH, COMPILED = 'PyTorch, CUDA graph', 'torch.compile, fused Adam'

flags.DEFINE_multi_enum('models', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('steps', 400, 'steps per repeat of the MLP; the others take fewer')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list('precisions', [], 'precisions of products; by default all, on a CPU float32')
flags.DEFINE_bool('fastest', False, 'only our scan and the fastest way of PyTorch, without limits')
flags.DEFINE_bool('compiled', False, 'also measure torch.compile, which needs a C++ compiler')


def our_specs(name: str, steps: int, names: list[str]) -> dict[str, workers.Spec]:
    """Returns our variants of this training, by name."""
    arms = [('scanned', 100, precision) for precision in names]
    if 'float32' in names and not flags.FLAGS.fastest:
        arms.insert(1, ('one call a step', 1, 'float32'))
    common = dict(name=name, steps=steps, data_dir=flags.FLAGS.data_dir)
    return {
        precisions.named(arm, precision): workers.Spec(
            'benchmarks.train_arms:make', dict(length=length, precision=precision, **common)
        )
        for arm, length, precision in arms
    }


def their_specs(name: str, steps: int, names: list[str]) -> dict[str, workers.Spec]:
    """Returns PyTorch's variants, by name; none if it is not installed.

    In float32 these are all ways to run a step, in other precisions only the fastest.
    """
    if importlib.util.find_spec('torch') is None:
        print('PyTorch is not installed (requirements-bench.txt): its arms are skipped')
        return {}
    fastest = GRAPH if jax.default_backend() == 'gpu' else WAYS[-1]
    of_float32 = dict.fromkeys((*WAYS, fastest, *[COMPILED] * flags.FLAGS.compiled))
    has_all = lambda name: name == 'float32' and not flags.FLAGS.fastest
    ways = {name: of_float32 if has_all(name) else (fastest,) for name in names}
    common = dict(name=name, steps=steps, data_dir=flags.FLAGS.data_dir)
    return {
        precisions.named(way, precision): workers.Spec(
            'benchmarks.torch_arms:make',
            dict(way=way, precision=precision, **common),
            workers.TORCH,
        )
        for precision in names
        for way in ways[precision]
    }


def limit_specs(name: str, steps: int) -> dict[str, workers.Spec]:
    """Returns the lower bounds, by name; none with --fastest."""
    if flags.FLAGS.fastest:
        return {}
    common = dict(name=name, steps=steps, data_dir=flags.FLAGS.data_dir)
    return {
        limit: workers.Spec('benchmarks.train_arms:make_limit', dict(limit=limit, **common))
        for limit in LIMITS
    }


def print_shares(
    result: outcome.Outcome, name: str, measured: dict[str, workers.Measured], ours: list[str]
) -> None:
    """Prints the shares of the lower bounds in our times, and the rates of the bounds."""
    if not all(limit in measured and len(measured[limit].seconds) for limit in LIMITS):
        return
    products, copying = (measured[limit] for limit in LIMITS)
    for arm in ours:
        times = measured[arm].seconds
        count = min(len(times), len(products.seconds))
        if not count:
            continue
        share = products.seconds[:count] / times[:count]
        both = share + limits.STEP_TRAFFIC * copying.seconds[:count] / times[:count]
        result.add_ratio(f'{name}: products / {arm}', share)
        shares = f'{100 * np.median(share):.0f} % of products'
        print(f'  {arm}: {shares}, {100 * np.median(both):.0f} % of products and copying')
    flops, bandwidth = (
        1e-9 * bound.facts['amount'] / bound.seconds for bound in (products, copying)
    )
    print(f'  products {spread(flops, 0)} GFLOP/s, copying {spread(bandwidth, 0)} GB/s')
    result.write()


def main(_):
    """Prints a table for each model."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('train_speed')
    result.print_heading()
    names = precisions.chosen(values.precisions)
    for index, name in enumerate(values.models):
        subject = SUBJECTS[name]
        steps = max(1, values.steps // subject.relative_time)
        ours, theirs = our_specs(name, steps, names), their_specs(name, steps, names)
        specs = ours | theirs | limit_specs(name, steps)
        seconds = result.left(1 / (len(values.models) - index))
        measured = workers.measure(specs, values.repeats, seconds, values.at_once)
        facts = {k: v for arm in measured.values() for k, v in arm.facts.items() if k != 'amount'}
        print(', '.join(f'{k} {v}' for k, v in facts.items()))
        pairs = [
            pair for precision in names for pair in comparison.pairs([*ours], [*theirs], precision)
        ]
        agree = comparison.within(subject.tolerance)
        comparison.report(result, name, measured, pairs, steps, agree)
        print_shares(result, name, measured, [*ours])


if __name__ == '__main__':
    workers.run(main)
