"""Compares samplers and numbers of steps on one trained model."""

import csv
import io
import math
import pathlib
from typing import Any

import jax
import numpy as np

from atelier import files
from atelier.applications import _common, _pictures
from atelier.applications._application import TRAJECTORY, Application
from atelier.core.abilities import Trajectory
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError
from atelier.evaluation.samples.features import has_features
from atelier.evaluation.samples.sample_quality import chosen_features, compare_with_data
from atelier.evaluation.samples.sampling import sampler
from atelier.log import counted, log
from atelier.report import figures
from atelier.report.views.choose import view_of
from atelier.report.views.view import DATA
from atelier.run import experiment, limits, restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (TRAJECTORY,)
MEASURES = ('frechet_distance', 'reverse_kl_nats')  # the curve shows the first available one


def apply(
    run: Run,
    samplers: str = 'ddim:5,ddim:10,ddim:20,ddim:50,dpm_solver_pp_2m:5,dpm_solver_pp_2m:10,'
    'dpm_solver_pp_2m:20,dpm_solver_pp_2m:50,heun:3,heun:5,heun:10,heun:25,ancestral:1000',
    num_samples: int = 10,
    seed: int = 0,
    measure: bool = True,
) -> dict[str, Any]:
    """Draws samples of a run with each sampler, from the same noise, and measures their quality.

    Samples are compared with the data as in --mode=evaluate: in the features of
    --config.eval.classifier or, without it, over known modes or in the coordinates of data with few
    dimensions. Other data are not measured. A non-finite measure becomes nan. All other settings
    are those of config.eval.sampler; `eta` and `churn` apply only to the sampler of the config.

    Args:
      run: of a family with `trajectory`, which samples in steps.
      samplers: samplers and their numbers of steps, NAME:STEPS,NAME:STEPS,...
      num_samples: number of samples per sampler in the figure.
      seed: seed of the samples in the figure.
      measure: whether the samples are compared with the data, which are then read.

    Returns:
      x [samplers, samples, *event] in the data's units; name, steps and evaluations (of the
      network) [samplers]; and each measure [samplers] under its name.

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    _common.check_seed(seed)
    _common.at_least(1, num_samples=num_samples)
    _common.check_outputs(run, num_samples=num_samples)
    runs = {pair: _with_sampler(run, *pair) for pair in _pairs(samplers)}
    trained = restore.load(run)
    x, rows = compute(trained, runs, num_samples, seed, _is_measured(run, measure))
    log.info('samples drawn from the model of the %s', trained.weights)
    arrays = {'x': x, **{name: np.asarray([row[name] for row in rows]) for name in rows[0]}}
    changed = _common.changed_options(apply, samplers=samplers, measure=measure)
    path = _common.save(trained, f'samplers-seed-{seed}{changed}', arrays)
    _write_csv(path.with_suffix('.csv'), rows)
    _draw_samples(path, arrays, trained)
    _draw_curve(path, arrays)
    return arrays


def compute(
    trained: TrainedRun,
    runs: dict[tuple[str, int], Run],
    num_samples: int,
    seed: int,
    is_measured: bool,
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Returns x [samplers, samples, *event] and a row per sampler; `runs` is by (name, steps)."""
    state, devices = trained.state, trained.devices
    features = chosen_features(trained.run, devices) if is_measured else None
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    samples, rows = [], []
    for (name, steps), run in runs.items():
        samples.append(sampler(run, devices)(state, key, num_samples))
        measures = {}
        if is_measured:
            measures = compare_with_data(run, state, devices, features).get('values', {})
        values = {measure: value['samples'] for measure, value in measures.items()}
        values = {m: math.nan if value is None else value for m, value in values.items()}
        evaluations = run.family.ability(Trajectory).evaluations
        rows.append({'name': name, 'steps': steps, 'evaluations': evaluations, **values})
        measured = ', '.join(f'{m} {values[m]:.4g}' for m in values if m in MEASURES) or 'sampled'
        budget = counted(steps, 'step'), counted(evaluations, 'evaluation')
        log.info('%18s %11s, %17s: %s', name, *budget, measured)
    return np.stack(samples), rows


def _pairs(samplers: str) -> list[tuple[str, int]]:
    try:
        pairs = [pair.split(':') for pair in samplers.split(',')]
        pairs = [(name, int(steps)) for name, steps in pairs]
    except ValueError as error:
        raise UserError(
            f'--samplers={samplers}: give NAME:STEPS,..., such as ddim:10,heun:5'
        ) from error
    return list(dict.fromkeys(pairs))


def _with_sampler(run: Run, name: str, steps: int) -> Run:
    """Returns the run with another sampler; nothing is trained."""
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.sampler.update(name=name, steps=steps)
        if name != run.config.eval.sampler.name:  # fields of the config's sampler only
            config.eval.sampler.update(eta=0.0, churn=0.0)
    limits.check_integers(config)
    return run._replace(
        config=config, family=experiment.built(run.config_file.build, config, run.data.spec)
    )


def _write_csv(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())
    log.info('table: %s', path)


def _draw_samples(path: pathlib.Path, arrays: dict[str, np.ndarray], trained: TrainedRun) -> None:
    """Draws the samples of each sampler beside test data or, of images, a row per sampler."""
    spec, x = trained.run.data.spec, arrays['x']
    view, title = view_of(spec), 'Samples from the same noise, by sampler and '
    if view is None:
        return
    named = lambda of: [f'{n}, {e}' for n, e in zip(arrays['name'], arrays[of], strict=True)]
    if view.is_among_data:
        data = _pictures.among(trained)
        sets = {} if data is None else {DATA: data}
        sets |= dict(zip(named('steps'), x, strict=True))
        picture = view.samples(sets, spec, f'{title}steps')
    else:
        title, columns = f'{title}evaluations of the network', [''] * x.shape[1]
        picture = view.rows(x, spec, title, named('evaluations'), columns)
    _common.save_picture(path, picture)


@figures.style()
def _draw_curve(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Draws the first available measure against network evaluations."""
    measure = next((name for name in MEASURES if name in arrays), None)
    if measure is None:
        return
    figure, (axes,) = figures.panels(1, size=(6, 4))
    for i, name in enumerate(dict.fromkeys(arrays['name'])):
        rows = arrays['name'] == name
        points, style = (arrays['evaluations'][rows], arrays[measure][rows]), figures.line_style(i)
        axes.plot(*points, f'o{style}', color=figures.colour(i), label=name)
    axes.grid(True)
    axes.set(xscale='log', xlabel='evaluations of the network', ylabel=measure.replace('_', ' '))
    axes.legend()
    curve = path.with_name(path.stem + '-curve.png')
    figures.save_figure(curve, figure)
    log.info('curve: %s', curve)


def _is_measured(run: Run, measure: bool) -> bool:
    """Whether samples are compared with data; data with known modes have few dimensions too."""
    return measure and has_features(run)


def reads(run: Run, measure: bool = True, **options: Any) -> str:
    """Returns why examples are read; '' if samples are not compared with them."""
    del options
    why = 'it compares samples with the data, which --nomeasure leaves out'
    return why if _is_measured(run, measure) else ''


APPLICATION = Application(apply, NEEDS, reads=reads, takes_examples=False)
