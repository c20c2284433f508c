"""Animates training, sampling step by step, or a walk through latent space."""

import pathlib
import re
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from atelier import files
from atelier.applications import _common, _frames, interpolate, trajectory
from atelier.applications._application import (
    DECODE,
    ENCODE,
    PRIOR,
    RECONSTRUCT,
    SAMPLE,
    TRAJECTORY,
    Application,
    lacking,
)
from atelier.core.family import Family, codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data import images
from atelier.data.spec import Spec
from atelier.errors import UserError, check_option
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded, latents
from atelier.evaluation.samples.requests import parse_labels
from atelier.log import counted, log
from atelier.report import animation, image_grids, texts
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (SAMPLE | RECONSTRUCT | TRAJECTORY | DECODE,)
NEEDED = {  # of the family, by what is animated
    'training': (SAMPLE | RECONSTRUCT,),
    'trajectory': (TRAJECTORY,),
    'walk': (DECODE, ENCODE | PRIOR),
}
PICTURES = ('samples', 'reconstructions')  # that training saves; the first kind that there is
SECONDS = 6  # that an animation lasts if --frames_per_second=0
SLOWEST, FASTEST = 2, 20  # frames per second chosen then
MOST_PER_SECOND = 50  # of a GIF
FEW, MANY = 16, 1000  # examples if --num_samples=0: images, points and other data
SAVED = re.compile(r'([a-z]+)-(\d{7,12})\.png')
Arrays = dict[str, np.ndarray]
Pictures = list[np.ndarray]  # uint8 [height, width, 3] each


def apply(
    run: Run,
    of: str = 'training',
    frames: int = 48,
    frames_per_second: int = 0,
    num_samples: int = 0,
    num_codes: int = 4,
    seed: int = 0,
    labels: str = '',
) -> dict[str, np.ndarray]:
    """Writes an animation as a GIF that repeats and, if ffmpeg is on the PATH, as an MP4.

    `training` shows the pictures that training saved in `samples`, from the same noise at every
    step: samples or, of a family without them, reconstructions. The checkpoint is not read.

    `trajectory` shows the samples of --mode=sample with this seed, from noise to data: x_t, and the
    model's estimate of x from it.

    `walk` decodes closed paths through latent space. Each path visits `num_codes` codes and returns
    to the first; between two codes it is an arc whose distance from 0 changes evenly. The codes are
    those of random test examples or, without an encoder, those that `sample` draws with this seed.

    Args:
      run: of a family with `sample`, `reconstruct`, `trajectory` or `decode`.
      of: what is animated: training, trajectory or walk.
      frames: largest number of frames, evenly chosen.
      frames_per_second: speed of the animation; 0: so that it lasts about six seconds.
      num_samples: number of samples or walks side by side; 0: 16 images, or 1,000 of other data.
      num_codes: number of codes that a walk visits.
      seed: seed of the samples or of the codes.
      labels: classes of the samples of a trajectory, as in --mode=sample.

    Returns:
      of training: step [frames]; of a trajectory: step [frames], x_t and x [samples, frames,
      *event]; of a walk: codes [samples, frames, latent] and x [samples, frames, *event].

    Raises:
      UserError: a bad option, nothing to animate, or a missing checkpoint.
    """
    _check(run, of)
    _check_labels(run, of, labels)
    _check_sizes(frames, frames_per_second, num_samples, num_codes)
    _common.check_seed(seed)
    arrays, pictures = _animated(run, of, frames, num_samples, num_codes, seed, labels)
    options = dict(frames=frames, num_codes=num_codes, labels=labels.replace(',', '-'))
    name = f'animate-{of}' + ('' if of == 'training' else f'-seed-{seed}')
    path = _common.results_path(run, f'{name}{_common.changed_options(apply, **options)}', '.npz')
    _save(path, arrays, pictures, frames_per_second, is_closed=of == 'walk')
    return arrays


def _check_sizes(frames: int, frames_per_second: int, num_samples: int, num_codes: int) -> None:
    _common.at_least(2, animation.MAX_FRAMES, frames=frames)
    _common.at_least(0, MOST_PER_SECOND, frames_per_second=frames_per_second)
    _common.at_least(0, num_samples=num_samples)
    _common.at_least(2, num_codes=num_codes)


def _animated(
    run: Run, of: str, frames: int, num_samples: int, num_codes: int, seed: int, labels: str
) -> tuple[Arrays, Pictures]:
    """Returns the arrays of `apply` and the pictures of the animation."""
    if of == 'training':
        return training(run, frames)
    n = num_samples or (FEW if image_grids.is_drawn_as_image(run.data.spec) else MANY)
    _common.check_outputs(run, num_samples=n, frames=frames)
    if of == 'trajectory':
        return _trajectory(run, n, frames, seed, labels)
    return _walk(run, n, num_codes, frames, seed)


def _save(
    path: pathlib.Path, arrays: Arrays, pictures: Pictures, frames_per_second: int, is_closed: bool
) -> None:
    """Writes the arrays and the animation; the last frame of one that is not closed stands."""
    files.write_arrays(path, arrays)
    log.info('arrays: %s', path)
    speed = frames_per_second or min(max(round(len(pictures) / SECONDS), SLOWEST), FASTEST)
    hold = 1 / speed if is_closed else animation.HOLD
    for written in animation.save(path, pictures, speed, hold):
        log.info('animation: %s, %s', counted(len(pictures), 'frame'), written)


def _check(run: Run, of: str) -> None:
    """Checks that a run has what is to be animated.

    Raises:
      UserError: it has not, or there is no such animation.
    """
    check_option('of', of, NEEDED)
    missing = lacking(run.family, NEEDED[of])
    if missing:
        fits = [name for name, needs in NEEDED.items() if not lacking(run.family, needs)]
        raise UserError(
            f'--of={of}: the model of {run.folder} has no {" and no ".join(missing)}: choose '
            f'--of={" or --of=".join(fits)}'
        )


def _check_labels(run: Run, of: str, labels: str) -> None:
    """Checks that labels are given to samples that are drawn.

    Raises:
      UserError: none are drawn, the family is not class-conditional, or there is no such class.
    """
    if parse_labels(run, labels) is not None and of != 'trajectory':
        raise UserError(f'--labels={labels}: only --of=trajectory draws samples: leave it out')


def training(run: Run, most: int) -> tuple[Arrays, Pictures]:
    """Returns the steps of the pictures that training saved, and these pictures.

    Raises:
      UserError: there are fewer than two, or one of them cannot be read.
    """
    saved = _saved(run)
    if len(saved) < 2:
        raise UserError(
            f'{run.folder / "samples"} has {counted(len(saved), "picture")} that training saved, '
            'and an animation needs two: train with a smaller --config.train.evaluate_every'
        )
    steps = sorted(saved)
    chosen = [steps[i] for i in animation.evenly(len(steps), most)]
    log.info('%d of %s that training saved', len(chosen), counted(len(steps), 'picture'))
    pictures = []
    for step in chosen:
        name = str(saved[step])
        picture = images.decode(name, saved[step], images.shape_of(name, saved[step]), resize=False)
        picture = animation.reduced(picture, len(chosen))
        pictures.append(animation.captioned(picture, f'step {step:,} of {steps[-1]:,}'))
    return {'step': np.array(chosen)}, pictures


def _saved(run: Run) -> dict[int, pathlib.Path]:
    """Returns the pictures that training saved, by step: of the first kind that there is."""
    saved = {kind: {} for kind in PICTURES}
    for path in (run.folder / 'samples').glob('*.png'):
        match = SAVED.fullmatch(path.name)
        if match and match[1] in saved:
            saved[match[1]][int(match[2])] = path
    return next(filter(None, saved.values()), {})


def _trajectory(run: Run, n: int, frames: int, seed: int, labels: str) -> tuple[Arrays, Pictures]:
    """Returns the steps of sampling, and a picture of x_t beside the estimate of x at each."""
    classes = parse_labels(run, labels)
    inputs = {} if classes is None else {'label': np.resize(classes, n)}
    trained = restore.load(run)
    arrays, num_steps = trajectory.compute(trained, inputs, n, frames, seed)
    log.info(
        '%s in %s, of the model of the %s',
        counted(n, 'sample'),
        counted(num_steps, 'step'),
        trained.weights,
    )
    both = {
        trajectory.X_T: arrays['x_t'],
        trajectory.ESTIMATE: arrays['x'],
    }
    captions = [f'step {step:,} of {num_steps:,}' for step in arrays['step']]
    return arrays, _frames.pictures(both, run.data.spec, captions)


def _walk(run: Run, n: int, num_codes: int, frames: int, seed: int) -> tuple[Arrays, Pictures]:
    """Returns the codes of n closed walks and what they decode to, and a picture of each point."""
    has_encoder = codes_of(run.family).encode is not None
    count = n * num_codes
    if has_encoder:
        why = f'{counted(n, "walk")} through {counted(num_codes, "code")} each need as many'
        _common.check_split(run, 'test', count, why)
    trained = restore.load(run)
    stops = _codes(trained, count, seed).reshape(n, num_codes, -1)
    codes = closed(stops, frames, latents(run.family, stops).shape[-1])
    x = decoded(run, trained.state, codes, trained.devices)
    source = 'codes of test examples' if has_encoder else 'codes of the prior'
    message = '%s through %s, decoded by the model of the %s'
    log.info(message, counted(n, 'walk'), f'{num_codes} {source}', trained.weights)
    first = np.arange(frames) * num_codes // frames
    captions = [f'from code {i + 1} to code {(i + 1) % num_codes + 1}' for i in first]
    return {'codes': codes, 'x': x}, _frames.pictures({'': x}, run.data.spec, captions)


def _codes(trained: TrainedRun, n: int, seed: int) -> np.ndarray:
    """Returns n codes of random test examples or, without an encoder, of the prior."""
    run, state, devices = trained.run, trained.state, trained.devices
    if codes_of(run.family).encode is None:
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
        return codes_from_prior(run, state, key, n, devices)
    index = _common.random_test_indices(run, n, seed)
    examples = {name: array[index] for name, array in run.data.splits['test'].items()}
    return encoded(run, state, examples, devices)[0]


def closed(
    stops: Float[np.ndarray, 'walks stops latent'], num_points: int, dims: int
) -> Float[np.ndarray, 'walks num_points latent']:
    """Returns evenly spaced points of closed paths that visit the stops in order.

    Between two stops the path is an `arc` in the first `dims` dimensions and a line in the others.
    The last point is one step before the first.
    """
    walks, num_stops, latent = stops.shape
    codes = np.empty((walks, num_points, latent), np.float32)
    position = np.arange(num_points) * num_stops / num_points
    first = np.arange(num_points) * num_stops // num_points
    for i in range(num_stops):
        t = position[first == i] - i
        for codes_of_walk, each in zip(codes, np.asarray(stops, np.float64), strict=True):
            a, b = each[i], each[(i + 1) % num_stops]
            points = interpolate.linear(a, b, t)
            points[:, :dims] = arc(a[:dims], b[:dims], t)
            codes_of_walk[first == i] = points
    return codes


def arc(
    a: Float[np.ndarray, 'latent'], b: Float[np.ndarray, 'latent'], t: Float[np.ndarray, 'points']
) -> Float[np.ndarray, 'points latent']:
    """Returns points on the way from a to b that turns evenly and whose length changes evenly.

    It is `interpolate.spherical` if a and b are equally long. That path leaves the codes of a prior
    if they are not and point in nearly opposite directions, as often in two dimensions.
    """
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if min(lengths) == 0:
        return interpolate.linear(a, b, t)
    length = (1 - t) * lengths[0] + t * lengths[1]
    return length[:, None] * interpolate.spherical(a / lengths[0], b / lengths[1], t)


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read: for a walk between codes of an encoder."""
    is_walk = options.get('of') == 'walk'
    has_encoder = codes_of(run.family).encode is not None
    return 'it walks between codes of test examples' if is_walk and has_encoder else ''


def refusal(family: Family, spec: Spec) -> str:
    """Returns why a family cannot be animated: its samples are texts."""
    del family
    return 'cannot be animated: its samples are texts' if texts.is_text(spec) else ''


APPLICATION = Application(apply, NEEDS, refusal, reads=reads, only_test=True)
