"""Mode-counting metrics of exact samples: the best values that a generator can reach.

python -m benchmarks.mode_ceilings
"""

import numpy as np
from absl import flags

from atelier.data.toy import DRAWS, MODES
from atelier.evaluation.samples.modes import count_modes
from atelier.evaluation.samples.sample_quality import MODE_SAMPLES
from benchmarks import outcome

flags.DEFINE_integer('draws', 1000, 'number of sets of samples')


def main(_):
    """Prints a table: mean and standard deviation over sets."""
    result = outcome.Outcome.of_flags('mode_ceilings')
    print(f'{flags.FLAGS.draws} sets of {MODE_SAMPLES} exact samples')
    for name, modes in MODES.items():
        if not result.left():
            print('  time was up')
            break
        draws = (
            DRAWS[name](np.random.RandomState(seed), MODE_SAMPLES)['x']
            for seed in range(flags.FLAGS.draws)
        )
        counts = np.array([count_modes(x, modes) for x in draws])
        for i, field in enumerate(('modes', 'modes_with_ten', 'high_quality', 'reverse_kl')):
            values = counts[:, i]
            result.add_arm(f'{name}: {field}', values, 'value')
            print(f'  {name:16} {field:16} {values.mean():9.4f} +- {values.std(ddof=1):.4f}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
