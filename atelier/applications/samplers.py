"""One trained model's samples by sampler and number of steps, and how good they are."""

import csv
import math
import pathlib
from typing import Any

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import TRAJECTORY, Application, require
from atelier.core.abilities import Trajectory
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError, writing
from atelier.evaluation.samples.sample_quality import against_data, chosen_features
from atelier.evaluation.samples.sampling import sampler
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (TRAJECTORY,)
MEASURES = ('frechet_distance', 'reverse_kl_nats')  # the curve is of the first there is


def apply(
    run: Run,
    samplers: str = 'ddim:5,ddim:10,ddim:20,ddim:50,dpm_solver_pp_2m:5,dpm_solver_pp_2m:10,'
    'dpm_solver_pp_2m:20,dpm_solver_pp_2m:50,heun:3,heun:5,heun:10,heun:25,ancestral:1000',
    num_samples: int = 10,
    seed: int = 0,
) -> dict[str, Any]:
    """Samples a run by each sampler, from the same noise, and measures the samples.

    With --config.eval.classifier they are compared in its features as --mode=evaluate does, over
    known modes without it, and elsewhere not at all; what is not finite is nan. All other settings
    are those of config.eval.sampler, `eta` and `churn` for the sampler of the config alone.

    Args:
      run: of a family with `trajectory`, which comes to its samples in steps.
      samplers: NAME:STEPS,...
      num_samples: of each, in the picture.
      seed: of these.

    Returns:
      x [samplers, samples, *event] in the data's units; name, steps and evaluations of the network
      [samplers]; and each measure [samplers] by its name.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'samplers', *NEEDS)
    _common.check_seed(seed)
    _common.at_least(1, num_samples=num_samples)
    runs = {pair: _with_sampler(run, *pair) for pair in _pairs(samplers)}
    state, weights = restore.load_state(run)
    devices = jax.devices()
    features = chosen_features(run, devices)
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    rows, shown = [], []
    for (name, steps), by in runs.items():
        shown.append(sampler(by, devices)(state, key, num_samples))
        values = against_data(by, state, devices, features)
        values = {k: v['samples'] for k, v in values.get('values', {}).items()}
        values = {k: math.nan if v is None else v for k, v in values.items()}
        evaluations = by.family.ability(Trajectory).evaluations
        rows.append({'name': name, 'steps': steps, 'evaluations': evaluations, **values})
        measured = ', '.join(f'{k} {v:.4g}' for k, v in values.items() if k in MEASURES)
        told = name, steps, evaluations, measured or 'sampled'
        log.info('%18s %5d steps, %5d evaluations: %s', *told)
    log.info('by the %s', weights)
    found = {'x': np.stack(shown), **{k: np.asarray([r[k] for r in rows]) for k in rows[0]}}
    path = _common.save(run, f'samplers-seed-{seed}', found)
    _write_csv(path.with_suffix('.csv'), rows)
    _draw(path, found, run)
    return found


def _pairs(words: str) -> list[tuple[str, int]]:
    try:
        pairs = [(name, int(steps)) for name, steps in (w.split(':') for w in words.split(','))]
    except ValueError as error:
        raise UserError(f'--samplers={words}: give NAME:STEPS,..., as ddim:10,heun:5') from error
    return list(dict.fromkeys(pairs))


def _with_sampler(run: Run, name: str, steps: int) -> Run:
    """The run with another sampler; nothing is trained."""
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.sampler.update(name=name, steps=steps)
        if name != run.config.eval.sampler.name:  # what belongs to that one alone
            config.eval.sampler.update(eta=0.0, churn=0.0)
    return run._replace(config=config, family=run.config_file.build(config, run.data.spec))


def _write_csv(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    with writing(path), path.open('w', newline='') as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    log.info('as a table: %s', path)


def _draw(path: pathlib.Path, found: dict[str, np.ndarray], run: Run) -> None:
    """A row of images a sampler, and the measure against the steps."""
    spec = run.data.spec
    words = [f'{n}, {e}' for n, e in zip(found['name'], found['evaluations'], strict=True)]
    if image_grids.is_image(spec):
        columns = found['x'].shape[1]
        image = image_grids.grid(found['x'].reshape(-1, *spec.event_shape), spec, columns)
        title = 'Samples from the same noise, by sampler and evaluations of the network'
        image_grids.save_labelled(path, image, title, words, [''] * columns)
        log.info('as a picture: %s', path)
    measure = next((name for name in MEASURES if name in found), None)
    if measure is None:
        return
    from matplotlib.figure import Figure  # takes seconds

    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for name in dict.fromkeys(found['name']):
        rows = found['name'] == name
        axes.plot(found['evaluations'][rows], found[measure][rows], 'o-', label=name)
    axes.set(xscale='log', xlabel='evaluations of the network', ylabel=measure.replace('_', ' '))
    axes.legend()
    curve = path.with_name(path.stem + '-curve.png')
    image_grids.save_figure(curve, figure)
    log.info('as a curve: %s', curve)


APPLICATION = Application(apply, NEEDS)
