"""Time of a training step of the character transformer, compared with PyTorch.

    pip install -r requirements-bench.txt
    python -m benchmarks.text_speed --size=nanogpt --precision=bfloat16 --text=FILE --seconds=120

Both sides train the same model from the same kind of initial weights with AdamW, the same schedule
and clipping, on windows of the same text: the sizes are `tiny`, and nanoGPT's for a GPU (six
blocks, width 384, 256 characters, batch 64). PyTorch's arms are written here, with
`scaled_dot_product_attention` and a fused optimizer; torch.compile needs a compiler (a C++ compiler
on a CPU). Every arm is a process of its own. A speed is given only if the losses agree
(`benchmarks.agreement`). The text is the help topics of Python unless `--text` names a file.
"""

import importlib.util
import math

import jax
from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.text_arms import SIZES

OURS, EAGER, COMPILED = 'ours', 'PyTorch eager', 'torch.compile'
TOLERANCE = 0.03  # of the mean loss, relative

flags.DEFINE_enum('size', 'tiny', list(SIZES), 'size of the model')
flags.DEFINE_enum('precision', 'float32', precisions.NAMES, 'precision, in all arms')
flags.DEFINE_integer('steps', 100, 'steps per repeat')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm')
flags.DEFINE_string('text', '', "a UTF-8 file; '': the help topics of Python")
flags.DEFINE_bool('compiled', None, 'also measure torch.compile; by default on a GPU')


def specs_of(is_compiled: bool) -> dict[str, workers.Spec]:
    """Returns all arms, by name."""
    values = flags.FLAGS
    common = dict(
        size=values.size, precision=values.precision, path=values.text, steps=values.steps
    )
    length = math.gcd(values.steps, 100)
    specs = {OURS: workers.Spec('benchmarks.text_arms:make', dict(length=length, **common))}
    if importlib.util.find_spec('torch') is None:
        print('PyTorch is not installed (requirements-bench.txt): its arms are skipped')
        return specs
    for name in (EAGER, *[COMPILED] * is_compiled):
        settings = dict(compiled=name == COMPILED, **common)
        specs[name] = workers.Spec('benchmarks.torch_text_arms:make', settings, workers.TORCH)
    return specs


def main(_):
    """Prints the table."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('text_speed')
    size = SIZES[values.size]
    result.print_heading(', '.join(f'{name} {value}' for name, value in size._asdict().items()))
    is_gpu = jax.default_backend() == 'gpu'
    specs = specs_of(is_gpu if values.compiled is None else values.compiled)
    measured = workers.measure(specs, values.repeats, result.left(), values.at_once)
    comparison.check_sizes(measured)
    pairs = [(OURS, other) for other in specs if other != OURS]
    title = f'{values.size}, {values.precision}'
    comparison.report(result, title, measured, pairs, values.steps, comparison.within(TOLERANCE))


if __name__ == '__main__':
    workers.run(main)
