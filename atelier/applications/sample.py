"""Draws samples from a trained model: an .npz, with a PNG grid or a .txt."""

import math
from typing import Any

import jax
import numpy as np

from atelier import files
from atelier.applications import _common
from atelier.applications._application import DECODE, ENCODE, SAMPLE, Application
from atelier.core.abilities import Sample
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError, about
from atelier.evaluation.codes.prior_draws import WHY_FITTED, decoded_draws, samples_without_data
from atelier.evaluation.samples.sampling import check_labels, sampler
from atelier.log import counted, escaped, log
from atelier.report import image_grids, texts
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

MAX_PRINTED = 5  # texts
NEEDS = (SAMPLE | ENCODE, SAMPLE | DECODE)


def apply(run: Run, num_samples: int = 64, seed: int = 0, labels: str = '') -> np.ndarray:
    """Draws x [num_samples, *event] and writes it to the run's folder `samples`.

    Sample i depends on (seed, i), its label and the weights alone, so that more samples keep the
    first ones.

    A family without `sample` but with `encode` and `decode`, such as an autoencoder, decodes codes
    drawn from its prior or, without a prior, from a Gaussian fitted to its training codes. The
    result is then the mean of x given the code.

    Args:
      run: of a family with `sample`, or with `encode` and `decode`.
      num_samples: number of samples.
      seed: seed of the samples.
      labels: classes through which the samples cycle, such as '7' or '0,1,2'; 'all' means all
        classes in the training data; empty: random classes.

    Raises:
      UserError: a missing checkpoint, a bad option, or labels for a family that is not
        class-conditional.
    """
    _common.check_seed(seed)
    _common.at_least(1, num_samples=num_samples)
    _common.check_outputs(run, num_samples=num_samples)
    classes = parse_labels(run, labels)
    label = None if classes is None else np.resize(classes, num_samples)
    trained = restore.load(run)
    x, origin = compute(trained, num_samples, seed, label)
    name = f'seed-{seed}' + _common.changed_options(apply, labels=labels.replace(',', '-'))
    path = run.folder / 'samples' / f'{name}{_common.settings_suffix(run)}.npz'
    files.write_arrays(path, {'x': x, **({} if label is None else {'label': label})})
    log.info(
        '%s drawn from the model of the %s%s: %s',
        counted(num_samples, 'sample'),
        trained.weights,
        origin,
        path,
    )
    if image_grids.is_image(run.data.spec):
        columns = None if classes is None else _columns(num_samples, len(classes))
        image_grids.save(path.with_suffix('.png'), image_grids.grid(x, run.data.spec, columns))
        log.info('figure: %s', path.with_suffix('.png'))
    if texts.is_text(run.data.spec):
        lines = texts.save(path.with_suffix('.txt'), x, run.data.spec)
        log.info('text: %s', path.with_suffix('.txt'))
        print(escaped(texts.BETWEEN.join(lines[:MAX_PRINTED]), keep='\n\t'))
    return x


def compute(
    trained: TrainedRun, num_samples: int, seed: int, label: np.ndarray | None
) -> tuple[np.ndarray, str]:
    """Returns (x [num_samples, *event], the source of the decoded codes, '' if none)."""
    run, state, devices = trained.run, trained.state, trained.devices
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    if run.family.ability(Sample) is not None:
        return sampler(run, devices)(state, key, num_samples, label), ''
    x, source = decoded_draws(run, state, key, num_samples, devices)
    return x, f', decoded from codes of {source}'


def _columns(n: int, num_labels: int) -> int:
    """Returns a number of columns for a near-square grid in which each class keeps its columns."""
    return num_labels * max(1, round(math.sqrt(n) / num_labels))


def parse_labels(run: Run, labels: str) -> np.ndarray | None:
    """Returns the classes in `labels`, int32 [classes], or None if it is empty.

    Raises:
      UserError: they are not classes of the training data, or the family is not class-conditional.
    """
    if not labels:
        return None
    classes = labels.split(',')
    if labels == 'all':
        classes = list(map(str, run.data.spec.known_classes))
    elif not all(each.strip().isdecimal() for each in classes):
        raise UserError(f'--labels={labels}: give classes, such as 7 or 0,1,2, or all')
    with about(f'--labels={labels}'):
        return check_labels(run, [int(each) for each in classes])


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model with a sampler or a prior."""
    del options
    return '' if samples_without_data(run.family) else WHY_FITTED


APPLICATION = Application(apply, NEEDS, reads=reads, takes_examples=False)
