"""Sampling speed of autoregressive models with a cache, compared with the naive way.

    python -m benchmarks.sampling_speed

The naive way evaluates the whole network per dimension, as a model without a cache has to. Both
are one compiled `lax.scan` over the dimensions, with the same untrained weights and the same keys,
so they draw the same samples up to rounding. Each is a process of its own. The ratio is given only
if the samples of both have the same log-likelihood (`benchmarks.agreement`). Images are 28x28 bits;
the models are those of their configs for MNIST. The naive way takes minutes on a CPU, hence a small
batch and few repeats.
"""

from absl import flags

from benchmarks import comparison, outcome, workers

SUBJECTS = {  # config files whose module has `parts_of(config, spec)`
    'pixelcnn': 'configs/pixelcnn.py:mnist',
    'gated_pixelcnn': 'configs/gated_pixelcnn.py:mnist',
    'pixel_transformer': 'configs/pixel_transformer.py:mnist',
}
CACHED, WHOLE = 'with a cache', 'whole network'
TOLERANCE = 1e-3  # of the mean log-likelihood, relative, beside its standard error

flags.DEFINE_multi_enum('subjects', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('side', 28, 'height and width of the images')
flags.DEFINE_integer('batch', 4, 'samples per batch')
flags.DEFINE_integer('repeats', 3, 'repeats of each arm')


def specs_of(config: str) -> dict[str, workers.Spec]:
    """Returns both ways to sample, by name."""
    values = flags.FLAGS
    common = dict(config=config, side=values.side, batch=values.batch)
    return {
        name: workers.Spec('benchmarks.sampling_arms:make', dict(is_cached=cached, **common))
        for name, cached in ((CACHED, True), (WHOLE, False))
    }


def main(_):
    """Prints a table for each subject."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('sampling_speed')
    result.print_heading(f'{values.side**2} dimensions')
    for index, name in enumerate(values.subjects):
        seconds = result.left(1 / (len(values.subjects) - index))
        measured = workers.measure(specs_of(SUBJECTS[name]), values.repeats, seconds)
        comparison.report(
            result,
            name,
            measured,
            [(CACHED, WHOLE)],
            1,
            comparison.within(TOLERANCE),
            f'batch of {values.batch} samples',
        )


if __name__ == '__main__':
    outcome.run(main)
