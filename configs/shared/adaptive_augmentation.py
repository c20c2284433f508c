"""The fields of a GAN whose discriminator sees augmented pictures (Karras et al. 2020)."""

from ml_collections import ConfigDict

from atelier.data.augmentation_draws import Strengths
from atelier.data.augmentation_settings import picture_shape
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from models.gans.adaptive_augmentation import Adaptive, adaptive

FLIPS = ('auto', 'always', 'never')


def add_fields(config: ConfigDict) -> None:
    """Adds the fields to the config of a GAN."""
    config.model.augment = ConfigDict(  # transformations of all that the discriminator sees
        dict(
            # largest shift: below 1 a fraction of the sides, with interpolation; else whole pixels
            shift=0.125,
            rotate=10.0,  # largest rotation in degrees
            scale=0.2,  # largest change of the size; 0.2: up to 1.2 times as large or as small
            brightness=0.2,  # largest change of the brightness, as a fraction of the range
            contrast=0.5,  # largest change of the contrast; 0.5: 1 / 1.5 to 1.5 times as much
            cutout=0.0,  # side of an erased square, as a fraction of the sides
            # whether pictures are mirrored: auto (unless a mirrored one may be none of the data) |
            # always | never
            flip='auto',
        )
    )
    config.hypers.update(
        # mean sign of the discriminator's output on real pictures above which it overfits
        augment_target=0.6,
        # examples in which the probability of the transformations may rise from 0 to 1; 500,000 in
        # the paper, for data sets and trainings of millions
        augment_examples=100_000.0,
        # largest probability, below 1; above 0.8 the generator may learn transformed data
        augment_limit=0.8,
    )


def adaptive_of(config: ConfigDict, spec: Spec) -> Adaptive:
    """Returns the augmentation that the fields describe.

    Raises:
      UserError: a value is invalid, or the data are no pictures.
    """
    _check_largest(config.hypers)
    fields = config.model.augment
    flip = choose('model.augment.flip', fields.flip, dict.fromkeys(FLIPS, fields.flip))
    names = ('shift', 'rotate', 'scale', 'brightness', 'contrast', 'cutout')
    is_flipped = flip == 'always' or flip == 'auto' and not spec.chiral
    strengths = Strengths(**{name: fields[name] for name in names}, flip=is_flipped)
    strengths.check('model.augment')
    picture_shape(strengths, spec, 'model.augment', config.data.name)
    return adaptive(strengths, spec)


def _check_largest(hypers: ConfigDict) -> None:
    """Refuses hypers that are too large; `common.check_hypers` refuses those that are too small."""
    at_least(0, 'hypers.augment_target', hypers.augment_target, most=1)  # a mean sign
    if hypers.augment_limit >= 1:
        raise UserError(
            f'config.hypers.augment_limit={hypers.augment_limit:g}: it must be below 1, because '
            'pictures that are always transformed do not tell what they were; give at most 0.8'
        )
