"""The picture of augmented training examples: what a model is trained on."""

import jax
import numpy as np

from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.augmentation_settings import (
    SeenAugmented,
    described,
    remarks,
    without_effect,
)
from atelier.data.dataset import Dataset
from atelier.log import log
from atelier.report import image_grids
from atelier.run.experiment import Run

NAME = 'augmented.png'  # in the folder `samples`
COLUMNS, SHOWINGS = 12, 5


def announce(run: Run) -> None:
    """Logs how training examples are augmented, and what a player sees of them; what was guessed;
    and which settings do nothing.
    """
    augment, spec = run.data.augment, run.data.spec
    fields = run.config.data.get('augment')
    for line in without_effect(fields, spec):
        log.warning('%s', line)
    if augment is not None:
        log.info('each showing of a training example is augmented: %s', described(fields, spec))
        for line in remarks(fields, spec, augment.fill):
            log.info('  %s', line)
    if augmented := run.family.ability(SeenAugmented):
        log.info('augmentation in training: %s', augmented.description)
        for line in augmented.remarks:
            log.info('  %s', line)


def save(run: Run) -> None:
    """Saves training examples in a row, and showings of them below; nothing without augmentation.

    Raises:
      UserError: the file cannot be written.
    """
    data = run.data
    if data.augment is None or not image_grids.is_drawn_as_image(data.spec):
        return
    rows = showings(data, run.config.seed)
    spec = data.spec._replace(levels=data.augment.levels, dequantized_levels=None)
    picture = image_grids.grid(np.concatenate(rows), spec, rows.shape[1])
    path = run.folder / 'samples' / NAME
    image_grids.save(path, picture)
    log.info('augmented training examples: %s', path)


def showings(data: Dataset, seed: int) -> np.ndarray:
    """Returns stored pictures and showings of them: [1 + SHOWINGS, columns, *event]."""
    x = np.asarray(data.splits['train']['x'][:COLUMNS])
    key, positions = jax.random.PRNGKey(seed), np.arange(len(x))

    @jax.jit
    def showing(x, index):
        keys = rng_for(key_for(key, Stream.AUGMENT, index), positions, len(x)).keys
        return data.augment(x, keys)

    return np.stack([x, *(showing(x, index) for index in range(SHOWINGS))]).astype(np.float32)
