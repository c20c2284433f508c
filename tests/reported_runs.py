"""Folders of runs and sweeps for tests of pages: written at once, without training."""

import json
import pathlib

import numpy as np
from PIL import Image
from support import make_run

from atelier import files
from atelier.data.summary import summary_of
from atelier.run import data_table, run_folder

STEPS = (10, 20, 30, 40, 50, 60)


def reported_run(folder: pathlib.Path, nll: float | None = 88.0, **changes):
    """Writes the folder of a debug VAE with curves, an evaluation and pictures; returns the Run."""
    run = make_run(folder, **changes)
    folder.mkdir()
    run_folder.write_config(run, 1)
    data_table.write(folder, summary_of(run.data))
    write_log(folder, {'valid/elbo_nats': lambda s: -100.0 + s, 'train/loss': lambda s: 90.0 - s})
    for step in STEPS:
        write_picture(folder / 'samples' / f'samples-{step:07d}.png', step)
    write_picture(folder / 'samples' / 'seed-3.png', 103)
    write_picture(folder / 'applications' / 'reconstruct-seed-0.png', 104)
    if nll is not None:
        write_evaluation(folder, nll)
    return run


def write_log(folder, metrics, steps=STEPS):
    """Writes metrics.jsonl; `metrics` are functions of the step, by name."""
    progress = lambda s: {'step': s, 'examples': 4 * s, 'time/seconds': s / 2}
    rows = [{**progress(s), **{name: f(s) for name, f in metrics.items()}} for s in steps]
    (folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))


def write_evaluation(folder, nll=88.0, name='evaluation.json', **more):
    """Writes an evaluation of the run."""
    record = run_folder.load(folder)
    content = {
        'values': {'nll_nats': {'mean': nll, 'standard_error': 0.25}},
        'data': {'description': '8x8 digits', 'split': 'test', 'examples': 447},
        'log_prob': 'estimate, k = 10',
        'weights': 'best checkpoint, step 60',
        'versions': {'jax': '0.10.2'},
        'hardware': '1 x cpu',
        'git': 'abc123',
        'run': record['id'],
        **more,
    }
    files.write_json(folder / name, content)


def write_picture(path, seed, shape=(20, 20)):
    """Writes a picture that no other seed has; returns its pixels."""
    x = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(x).save(path)
    return x
