"""Draws samples from a trained model: an .npz, with a PNG, a .txt or both."""

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from atelier import files
from atelier.applications import _common, _pictures, _sample_pictures
from atelier.applications._application import DECODE, ENCODE, SAMPLE, Application
from atelier.core.abilities import LabelPrior, Sample
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described
from atelier.data.condition_splits import CAPTION
from atelier.data.conditions.words import Words
from atelier.errors import UserError
from atelier.evaluation.codes.prior_draws import WHY_FITTED, decoded_draws, samples_without_data
from atelier.evaluation.samples import requests
from atelier.evaluation.samples.requests import Given, parse_labels
from atelier.evaluation.samples.sampling import condition_sampler, sampler, shows_means
from atelier.log import counted, escaped, listed, log
from atelier.report import figures, texts
from atelier.report.views.choose import view_of
from atelier.report.views.gaps import num_gaps
from atelier.report.views.image_view import MAX_CAPTIONS
from atelier.report.views.view import Picture, View
from atelier.run import restore, result_names
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

MAX_PRINTED = 5  # texts
OF_MEANS = 'the mean of x given z of each sample'
NEEDS = (SAMPLE | ENCODE, SAMPLE | DECODE)


class Samples(NamedTuple):
    """Samples x [n, *event], and what is known of each.

    label: [n], the requested or random classes; None if they are unknown.
    condition: [n, columns], the requested or random conditions of another kind; None likewise.
    mean: [n, *event], the mean of x given z, for pictures; None if they show x.
    origin: what a message says of their codes or classes.
    """

    x: np.ndarray
    label: np.ndarray | None
    condition: np.ndarray | None
    mean: np.ndarray | None
    origin: str


def apply(
    run: Run,
    num_samples: int = 0,
    seed: int = 0,
    labels: str = '',
    condition: str | None = None,
    prompt: str | None = None,
    draws: bool = False,
    format: str = _sample_pictures.GRID,
) -> np.ndarray:
    """Draws x [num_samples, *event] and writes it to the run's folder `samples`.

    The file has the classes of a class-conditional family as `label` [num_samples], or what a
    family is given as `condition` [num_samples, columns], also if they are random. Captions are
    there as `caption`, too.

    Texts are in a .txt too; of items, texts that end, one a line, and the .npz has them as `text`.

    Sample i depends on (seed, i), its label and the weights alone, so that more samples keep the
    first ones.

    A family without `sample` but with `encode` and `decode`, such as an autoencoder, decodes codes
    drawn from its prior or, without a prior, from a Gaussian fitted to its training codes. The
    result is then the mean of x given the code.

    x are draws from p(x). A VAE draws z, then x from p(x | z), whose noise hides what was learned:
    of images, pictures show the mean of x given the z of each sample, which the file has as `mean`.

    Args:
      run: of a family with `sample`, or with `encode` and `decode`.
      num_samples: number of samples; 0: 64, or 1000 of points, values and rows of small tables.
      seed: seed of the samples.
      labels: classes through which the samples cycle, such as '7', '0,1,2' or
        'cat,dog'; 'all' means all classes in the training data; empty: random classes, drawn by the
        model's own p(label) if it has one.
      condition: numbers or labels that samples are given, such as 0.3,1.2, or a .csv with a row for
        each condition, through which samples cycle; by default those of random training examples.
      prompt: a caption that samples are given, or a .txt with one in each line; by default those
        of random training examples.
      draws: whether pictures show x itself.
      format: grid, or png, which also writes each image as a picture of its own.

    Raises:
      UserError: a missing checkpoint, a bad option, or labels for a family that is not
        class-conditional.
    """
    num_samples = _checked(run, num_samples, seed, format)
    texts_given = dict(condition=condition, prompt=prompt)
    given = _requested(run, labels, **texts_given)
    _warn_of_unused(given, num_samples)
    trained = restore.load(run)
    samples = _drawn(trained, num_samples, seed, given, draws)
    path = _path(run, seed, labels, texts_given, draws)
    _write(path, trained, samples)
    view = view_of(run.data.spec)
    if view is not None:
        _save_picture(path.with_suffix('.png'), trained, view, samples, given)
    if format == _sample_pictures.PNG:
        shown = _shown(samples)
        _sample_pictures.save_each(path.with_suffix(''), shown, run.data.spec, samples.label)
    if texts.is_text(run.data.spec):
        _save_texts(path.with_suffix('.txt'), run, samples.x)
    return samples.x


def _checked(run: Run, num_samples: int, seed: int, format: str) -> int:
    """Returns the number of samples.

    Raises:
      UserError: an option is bad.
    """
    _common.check_seed(seed)
    _common.at_least(0, num_samples=num_samples)
    num_samples = num_samples or _pictures.usual_number(run.data.spec)
    _common.check_outputs(run, num_samples=num_samples)
    _sample_pictures.check_format(format, run.data.spec)
    return num_samples


def _requested(run: Run, labels: str, condition: str | None, prompt: str | None) -> Given | None:
    """Returns the requested classes, or rows of another condition, which the log names."""
    rows = requests.rows_of(run, condition, prompt)
    classes = parse_labels(run, labels)
    if rows is not None and classes is not None:
        raise UserError('--labels beside --condition or --prompt: give one of them')
    if classes is not None and run.data.spec.class_names:
        log.info('classes: %s', described(run.data.spec, classes.tolist()))
    if rows is not None:
        log.info('conditions: %s', listed(requests.described(run, rows), between='; '))
    return classes if rows is None else rows


def _warn_of_unused(given: Given | None, num_samples: int) -> None:
    """Warns if there are more conditions than samples; classes are few, and are named."""
    if given is not None and given.ndim == 2 and len(given) > num_samples:
        log.warning(
            '%s for %s: one of each needs --num_samples=%d',
            counted(len(given), 'condition'),
            counted(num_samples, 'sample'),
            len(given),
        )


def _path(
    run: Run, seed: int, labels: str, texts_given: dict[str, str | None], draws: bool
) -> pathlib.Path:
    """Returns the path of the .npz, whose name has what was requested."""
    changed = (
        _common.changed_options(apply, labels=labels.replace(',', '-')),
        *(requests.name_of(option, text) for option, text in texts_given.items()),
        _common.changed_options(apply, draws=draws),
        result_names.settings_suffix(run),
    )
    return run.folder / 'samples' / f'seed-{seed}{"".join(changed)}.npz'


def _drawn(trained: TrainedRun, n: int, seed: int, given: Given | None, draws: bool) -> Samples:
    """Draws n samples, which cycle through what is given; with `draws`, without means."""
    given = None if given is None else given[np.arange(n) % len(given)]
    x, origin = compute(trained, n, seed, given)
    has_mean = shows_means(trained.run) and not draws
    mean = means(trained, n, seed, given) if has_mean else None
    drawn_with = drawn_conditions(trained, n, seed) if given is None else given
    is_label = drawn_with is None or drawn_with.ndim == 1
    label, condition = (drawn_with, None) if is_label else (None, drawn_with)
    return Samples(x, label, condition, mean, origin)


def _write(path: pathlib.Path, trained: TrainedRun, samples: Samples) -> None:
    """Writes the arrays that there are; the log says what they are."""
    arrays = {name: getattr(samples, name) for name in ('x', 'label', 'condition', 'mean')}
    run, known = trained.run, {name: a for name, a in arrays.items() if a is not None}
    if isinstance(run.data.spec.condition, Words) and samples.condition is not None:
        known[CAPTION] = np.array(requests.described(run, samples.condition))
    files.write_arrays(path, known | texts.arrays_of(samples.x, run.data.spec))
    log.info(
        '%s drawn from the model of the %s%s: %s',
        counted(len(samples.x), 'sample'),
        trained.weights,
        samples.origin,
        path,
    )
    gaps = num_gaps(samples.x)
    if gaps:
        log.warning('%d of %s not finite', gaps, counted(len(samples.x), 'sample'))


def _save_picture(
    path: pathlib.Path,
    trained: TrainedRun,
    view: View,
    samples: Samples,
    given: Given | None,
) -> None:
    """Draws the samples among test data or, of images, as a grid, with what they were given."""
    if view.is_among_data:
        title = f'Samples of {trained.run.folder.name}, {trained.weights}'
        _common.save_picture(path, _pictures.of_samples(trained, samples.x, title, samples.label))
        return
    figures.save_picture(path, _grid(trained.run, view, samples, given))
    what = '' if samples.mean is None else f' ({OF_MEANS}; x itself: --draws)'
    log.info('figure%s: %s', what, path)


def _grid(run: Run, view: View, samples: Samples, given: Given | None) -> Picture:
    spec, mean = run.data.spec, samples.mean
    if given is not None and given.ndim == 2:
        count = min(len(samples.x), MAX_CAPTIONS)
        names = requests.described(run, samples.condition[:count])
        return view.ranked(_shown(samples)[:count], names, spec, 'Samples by condition')
    is_of_classes = mean is not None and given is not None
    if is_of_classes and _sample_pictures.depend_on_class(mean, len(given)):
        return _sample_pictures.one_of_each_class(mean, spec, given)
    title = 'Samples by class' if mean is None else f'Samples by class: {OF_MEANS}'
    labels = {} if given is None else {'samples': samples.label}
    return view.samples({'samples': _shown(samples)}, spec, title, labels)


def _shown(samples: Samples) -> np.ndarray:
    """Returns what pictures of images show: the means, if there are any."""
    return samples.x if samples.mean is None else samples.mean


def _save_texts(path: pathlib.Path, run: Run, x: np.ndarray) -> None:
    """Writes texts, and prints the first of them."""
    lines = texts.save(path, x, run.data.spec, run.config.data.get('separator', ''))
    log.info('text: %s', path)
    print(escaped(texts.between(run.data.spec).join(lines[:MAX_PRINTED]), keep='\n\t'))


def compute(
    trained: TrainedRun, num_samples: int, seed: int, given: Given | None
) -> tuple[np.ndarray, str]:
    """Returns x [num_samples, *event], and what a message says of the codes or classes.

    `given` are classes [num_samples], or conditions [num_samples, columns].
    """
    run, state, devices = trained.run, trained.state, trained.devices
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    if run.family.ability(Sample) is not None:
        has_own = given is None and run.family.ability(LabelPrior) is not None
        x = sampler(run, devices)(state, key, num_samples, given)
        return x, ', with classes from its own p(label)' if has_own else ''
    x, source = decoded_draws(run, state, key, num_samples, devices)
    return x, f', decoded from codes of {source}'


def drawn_conditions(trained: TrainedRun, num_samples: int, seed: int) -> Given | None:
    """Returns the random classes [num_samples] of `compute` without a request, or other conditions.

    It is None if the family is not conditional, or cannot tell them.
    """
    draw = condition_sampler(trained.run, trained.devices)
    if draw is None:
        return None
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    drawn = draw(trained.state, key, num_samples)
    return drawn.astype(np.int32) if drawn.ndim == 1 else drawn


def means(trained: TrainedRun, num_samples: int, seed: int, given: Given | None) -> np.ndarray:
    """Returns the mean of x given the z of each sample of `compute`, [num_samples, *event]."""
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    return sampler(trained.run, trained.devices, means=True)(trained.state, key, num_samples, given)


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model with a sampler or a prior."""
    del options
    return '' if samples_without_data(run.family) else WHY_FITTED


APPLICATION = Application(apply, NEEDS, reads=reads, takes_examples=False)
