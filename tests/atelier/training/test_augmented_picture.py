"""The picture of augmented training examples, and the lines at the start of training."""

import numpy as np
import pytest
from PIL import Image
from support import assembled

from atelier.training import augmented_picture


def test_the_picture_has_examples_above_their_showings(tmp_path, caplog):
    run = assembled(tmp_path, 'vae', data__augment__shift=1.0, data__binarize='stochastic')
    with caplog.at_level('INFO', logger='atelier'):
        augmented_picture.save(run)
        augmented_picture.announce(run)
    assert 'each showing of a training example is augmented: shift 1' in caplog.text
    assert 'filled with 0 (data.augment.edge)' in caplog.text
    rows = augmented_picture.showings(run.data, run.config.seed)
    x = run.data.splits['train']['x'][: augmented_picture.COLUMNS]
    np.testing.assert_array_equal(rows[0], x)
    assert len(np.unique(rows, axis=0)) == len(rows)
    picture = Image.open(tmp_path / 'samples' / augmented_picture.NAME)
    width, height = (9 * n + 1 for n in rows.shape[1::-1])
    assert picture.width % width == 0 and picture.height * width == picture.width * height


def test_a_setting_without_effect_is_said_at_the_start_of_training(tmp_path, caplog):
    changes = dict(data__augment__probability=0.5, data__augment__edge='zero')
    augmented_picture.announce(assembled(tmp_path, 'vae', **changes))
    warnings = [each.getMessage() for each in caplog.records if each.levelname == 'WARNING']
    assert [line.split()[0] for line in warnings] == [
        'data.augment.probability=0.5',
        'data.augment.edge=zero',
    ]


@pytest.mark.parametrize(
    ('flip', 'end', 'remark'),
    [
        ('auto', 'contrast 0.5', 'pictures are not flipped: a mirrored one may be no picture'),
        ('always', 'contrast 0.5, flip', 'pictures are flipped although a mirrored one may be'),
    ],
)
def test_what_a_discriminator_sees_is_said_at_the_start_of_training(
    tmp_path, flip, end, remark, caplog
):
    """And whether chiral pictures, as those of the digits are, are flipped."""
    run = assembled(tmp_path, 'ada_gan', model__augment__flip=flip)
    with caplog.at_level('INFO', logger='atelier'):
        augmented_picture.announce(run)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith('augmentation in training: adaptive, of what the discriminator sees: ')
    assert first.endswith(f': shift 0.125, rotate 10, scale 0.2, brightness 0.2, {end}')
    assert second.startswith(f'  {remark}')


@pytest.mark.parametrize('changes', [{}, dict(data__augment__probability=0.0)])
def test_without_augmentation_nothing_is_said_and_nothing_drawn(tmp_path, changes, caplog):
    run = assembled(tmp_path / 'run', 'vae', **changes)
    with caplog.at_level('INFO', logger='atelier'):
        augmented_picture.save(run)
        augmented_picture.announce(run)
    assert 'augment' not in caplog.text and not run.folder.exists()
