"""Mode-counting metrics of exact samples: the best values that a generator can reach.

python -m benchmarks.mode_ceilings
"""

import pathlib

import numpy as np
from absl import app, flags

from atelier import files
from atelier.data.toy import DRAWS, MODES
from atelier.evaluation.samples.modes import count_modes
from atelier.evaluation.samples.sample_quality import MODE_SAMPLES

flags.DEFINE_integer('draws', 1000, 'number of sets of samples')
flags.DEFINE_string('json', '', 'file for the values')


def main(_):
    """Prints a table: mean and standard deviation over sets."""
    print(f'{flags.FLAGS.draws} sets of {MODE_SAMPLES} exact samples')
    measured = {}
    for name, modes in MODES.items():
        draws = (
            DRAWS[name](np.random.RandomState(seed), MODE_SAMPLES)['x']
            for seed in range(flags.FLAGS.draws)
        )
        counts = np.array([count_modes(x, modes) for x in draws])
        for i, field in enumerate(('modes', 'modes_with_ten', 'high_quality', 'reverse_kl')):
            values = counts[:, i]
            measured[f'{name}: {field}'] = {'value': {'median': float(np.median(values))}}
            print(f'  {name:16} {field:16} {values.mean():9.4f} +- {values.std(ddof=1):.4f}')
    if flags.FLAGS.json:
        files.write_json(pathlib.Path(flags.FLAGS.json), {'arms': measured})


if __name__ == '__main__':
    app.run(main)
