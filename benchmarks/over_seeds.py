"""Trains and evaluates a config with several seeds: mean and standard deviation over them.

    python -m benchmarks.over_seeds --config=configs/vae.py --seeds=5

Ordinary runs in ordinary folders; a finished one is not trained again. More `--config.X=Y` may
follow after `--`.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
from absl import app, flags

import experiment

flags.DEFINE_string('config', 'configs/vae.py', 'which')
flags.DEFINE_integer('seeds', 5, 'seeds 0, 1, ...')
flags.DEFINE_string('folder', 'runs/over-seeds', 'a folder for the runs')


def main(arguments):
    """Prints a table."""
    results = []
    for seed in range(flags.FLAGS.seeds):
        folder = pathlib.Path(flags.FLAGS.folder) / f'seed-{seed}'
        command = [sys.executable, str(experiment.ROOT / 'main.py')]
        command += [f'--config={flags.FLAGS.config}', f'--workdir={folder}']
        subprocess.run([*command, f'--config.seed={seed}', *arguments[1:]], check=True)
        results.append(json.loads((folder / 'evaluation.json').read_text()))
    print(f'{flags.FLAGS.config}, {len(results)} seeds, {results[0]["data"]}')
    print(f'  log_prob: {results[0]["log_prob"]}; seed 0: {results[0]["weights"]}')
    for name in results[0]['values']:
        values = [result['values'][name]['mean'] for result in results]
        print(
            f'  {name:22} {np.mean(values):10.4f} +- {np.std(values, ddof=1):.4f} (sd over seeds)'
        )


if __name__ == '__main__':
    app.run(main)
