"""Trains and evaluates a config with several seeds: mean and standard deviation over them.

    python -m benchmarks.over_seeds --config=configs/vae.py --seeds=5

These are ordinary runs in ordinary folders; a finished run is not trained again. More flags
`--config.X=Y` may follow after `--`.
"""

import pathlib
import subprocess
import sys

import numpy as np
from absl import flags

from atelier import checkout, files
from atelier.evaluation.latents.report import headlines
from benchmarks import outcome

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('seeds', 5, 'number of seeds: 0, 1, ...')
flags.DEFINE_string('folder', 'runs/over-seeds', 'folder for the runs')


def main(arguments):
    """Prints a table."""
    results, result = [], outcome.Outcome.of_flags('over_seeds')
    for seed in range(flags.FLAGS.seeds):
        if result.left() < result.used() / max(len(results), 1):
            print(f'time was up before seed {seed}')
            break
        folder = pathlib.Path(flags.FLAGS.folder) / f'seed-{seed}'
        command = [sys.executable, str(checkout.ROOT / 'main.py')]
        command += [f'--config={flags.FLAGS.config}', f'--workdir={folder}']
        command += [f'--config.seed={seed}', *arguments[1:]]
        try:
            subprocess.run(command, check=True, timeout=result.timeout())
        except subprocess.TimeoutExpired:
            print(f'time was up in seed {seed}')
            break
        results.append(files.read_json(folder / 'evaluation.json'))
    if results:
        report(results, result)
    result.write()


def report(results: list[dict], result: outcome.Outcome) -> None:
    """Prints the evaluations of all seeds, and adds them to `result`."""
    print(f'{flags.FLAGS.config}, {len(results)} seeds, {results[0]["data"]}')
    print(f'  log_prob: {results[0]["log_prob"]}; seed 0: {results[0]["weights"]}')
    metrics = {name: [r['values'][name]['mean'] for r in results] for name in results[0]['values']}
    print_metrics(metrics)
    for name, values in metrics.items():
        result.add_arm(name, values, 'value')
    latents = [headlines(each['latents']) for each in results]
    print_metrics({name: [each[name] for each in latents] for name in latents[0]})
    samples = [each['samples'] for each in results]
    if not samples[0]:
        return
    print(f'  {samples[0]["num_samples"]} samples; features: {samples[0]["features"]}; (real data)')
    pairs = {name: [s['values'][name] for s in samples] for name in samples[0]['values']}
    print_metrics(
        {name: [pair['samples'] for pair in values] for name, values in pairs.items()},
        {name: values[0]['floor'] for name, values in pairs.items()},
    )


def print_metrics(values: dict[str, list], floor: dict[str, float | None] | None = None):
    """Prints a line per metric: mean and sd over seeds, `floor` (real data), each seed's value."""
    for name, seed_values in values.items():
        present = np.array([value for value in seed_values if value is not None])
        std = np.std(present, ddof=1) if len(present) > 1 else np.nan
        mean = np.mean(present) if len(present) else np.nan
        floor_text = '' if floor is None or floor[name] is None else f'  ({floor[name]:.4f})'
        all_values = ', '.join('-' if value is None else f'{value:.4g}' for value in seed_values)
        print(f'  {name:30} {mean:10.4f} +- {std:.4f} (sd over seeds){floor_text}  {all_values}')


if __name__ == '__main__':
    outcome.run(main)
