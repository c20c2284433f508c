"""The settings of augmentation, `config.data.augment`: read, checked and described."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from atelier.data import kinds
from atelier.data.augmentation import Augmentation
from atelier.data.augmentation_draws import Strengths
from atelier.data.augmentation_geometry import Fill
from atelier.data.borders import background
from atelier.data.sources import CODES
from atelier.data.spec import Spec
from atelier.errors import UserError, choose, share

PRESETS = {'none': Strengths(), 'mild': Strengths(shift=0.1, rotate=10.0, scale=0.1, flip=True)}
EDGES = ('auto', 'zero', 'mirror')
# values of the fields in runs that began before there were any
NO_AUGMENTATION = {
    **Strengths()._asdict(),
    **{'preset': 'none', 'probability': 1.0, 'edge': 'auto'},
}
IN_COLOUR = ('saturation', 'hue')
Fields = ConfigDict | Mapping[str, Any]  # of `config.data.augment`


class Settings(NamedTuple):
    """What the fields of `config.data.augment` say.

    strengths: of all transformations, those of the preset among them.
    probability: with which each of them is applied.
    edge: one of EDGES.
    has_no_flips: whether the preset flips pictures, but not these, which are chiral.
    """

    strengths: Strengths
    probability: float
    edge: str
    has_no_flips: bool = False

    @property
    def are_on(self) -> bool:
        """Whether anything is done to the pictures."""
        return self.probability > 0 and self.strengths != Strengths()


class SeenAugmented(NamedTuple):
    """The ability of a family that transforms what a player sees, in training alone.

    description: such as 'adaptive, of what the discriminator sees: shift 0.1, rotate 10'.
    remarks: lines to follow it at the start of training.
    """

    description: str
    remarks: tuple[str, ...] = ()


def settings_of(fields: Fields | None, spec: Spec) -> Settings:
    """Returns the settings for data of this Spec; None, of a config without the fields, is none.

    A preset gives each strength that is 0. If the data are chiral, it flips no picture:
    `config.data.augment.flip=True` does.

    Raises:
      UserError: a value is invalid; names the field.
    """
    if fields is None:
        return Settings(Strengths(), 0.0, EDGES[0])
    preset = choose('data.augment.preset', fields['preset'], PRESETS)
    choose('data.augment.edge', fields['edge'], dict.fromkeys(EDGES))
    share('data.augment.probability', fields['probability'])
    own = Strengths(**{name: fields[name] for name in Strengths._fields})
    own.check('data.augment')
    has_no_flips = preset.flip and spec.chiral and not own.flip
    preset = preset._replace(flip=preset.flip and not spec.chiral)
    strengths = Strengths(*(value or default for value, default in zip(own, preset, strict=True)))
    return Settings(strengths, float(fields['probability']), fields['edge'], has_no_flips)


def augmentation_of(
    fields: Fields | None,
    spec: Spec,
    levels: int | None,
    x: np.ndarray,
    name: str,
) -> Augmentation | None:
    """Returns the augmentation of a data set, or None without one.

    Args:
      fields: `config.data.augment`.
      spec: of the data.
      levels: of the stored values, None if these are real.
      x: stored training examples [n, *event]; the borders of the first ones give the background.
      name: of the data set, for messages.

    Raises:
      UserError: a setting is invalid, or the data are no pictures.
    """
    settings = settings_of(fields, spec)
    if not settings.are_on:
        return None
    shape = picture_shape(settings.strengths, spec, 'data.augment', name)
    fill = _fill(settings.edge, x, shape, levels)
    unit = float(np.mean(spec.std)) if levels is None else levels - 1.0
    middle = float(np.mean(spec.mean)) if levels is None else (levels - 1) / 2
    blank = fill or (middle,) * shape[2]
    return Augmentation(settings.strengths, settings.probability, fill, levels, unit, blank)


def picture_shape(strengths: Strengths, spec: Spec, group: str, name: str) -> tuple[int, int, int]:
    """Returns (height, width, channels) of the data `name`, which fields `group` transform.

    Raises:
      UserError: the data are no pictures, not large enough, or not in colour.
    """
    shape = spec.image_shape
    if name == CODES:
        raise UserError(f'config.{group}: codes are no pictures; augment those of their parent')
    if shape is None or kinds.kind_of(spec) == kinds.SIGNALS:
        kind = kinds.kind_of(spec) or 'text'
        raise UserError(
            f'config.{group}: {name} has no pictures to augment ({kind} of shape '
            f'{list(spec.event_shape)})'
        )
    side = min(shape[:2])
    if strengths.shift >= side:
        raise UserError(
            f'config.{group}.shift={strengths.shift:g}: so many pixels move pictures of side '
            f'{side} out of sight'
        )
    for field in IN_COLOUR:
        if getattr(strengths, field) and shape[2] != 3:
            raise UserError(f'config.{group}.{field}: the pictures of {name} have no colours')
    return shape


def _fill(edge: str, x: np.ndarray, shape: tuple[int, int, int], levels: int | None) -> Fill:
    """Returns what lies outside the pictures, by channel; None: the pictures, mirrored.

    'auto' is the background if there is one. Real values have none.
    """
    if edge == 'zero':
        return (0.0,) * shape[2]
    if edge == 'mirror' or levels is None:
        return None
    return background(x, shape)


def described(fields: Fields | None, spec: Spec) -> str:
    """Returns the augmentation as text, such as 'shift 0.1, rotate 10'; '' without one."""
    settings = settings_of(fields, spec)
    if not settings.are_on:
        return ''
    parts = listed(settings.strengths)
    if settings.probability < 1:
        parts.append(f'each with probability {settings.probability:g}')
    if settings.edge != EDGES[0]:
        parts.append(f'edge {settings.edge}')
    return ', '.join(parts)


def listed(strengths: Strengths) -> list[str]:
    """Returns the transformations as texts, such as 'rotate 10'."""
    return [
        name if value is True else f'{name} {value:g}'
        for name, value in strengths._asdict().items()
        if value
    ]


def without_effect(fields: Fields | None, spec: Spec) -> list[str]:
    """Returns a line on each setting that changes nothing, because no transformation reads it."""
    settings = settings_of(fields, spec)
    strengths, lines = settings.strengths, []
    if 0 < settings.probability < 1 and strengths == Strengths():
        field = f'data.augment.probability={settings.probability:g}'
        lines.append(f'{field} has no effect: no transformation has a strength')
    if settings.edge != EDGES[0] and not (_shows_outside(strengths) or strengths.cutout):
        reason = 'no transformation shows or erases what is outside'
        lines.append(f'data.augment.edge={settings.edge} has no effect: {reason} a picture')
    return lines


def _shows_outside(strengths: Strengths) -> bool:
    """Whether pixels from outside a picture may move in."""
    return strengths._replace(flip=False, crop=0.0).moves_pixels


def remarks(fields: Fields | None, spec: Spec, fill: Fill) -> list[str]:
    """Returns lines on what was guessed, to follow `described` at the start of training."""
    settings = settings_of(fields, spec)
    lines = []
    if settings.edge == EDGES[0] and _shows_outside(settings.strengths):
        outside = 'mirrored' if fill is None else f'filled with {", ".join(f"{v:g}" for v in fill)}'
        lines.append(f'what moves in from outside a picture is {outside} (data.augment.edge)')
    if settings.has_no_flips or settings.strengths.flip:
        lines += flip_remarks(settings.strengths, spec, 'data.augment.flip=True')
    return lines


def flip_remarks(strengths: Strengths, spec: Spec, setting: str) -> list[str]:
    """Returns a line on whether chiral pictures are flipped; `setting` flips them. Else none."""
    if not spec.chiral:
        return []
    if strengths.flip:
        return ['pictures are flipped although a mirrored one may be no picture of these data']
    return [
        'pictures are not flipped: a mirrored one may be no picture of these data '
        f'({setting} flips them)'
    ]
