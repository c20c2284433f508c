"""The fields of `config.data.augment`: read, refused, described."""

import numpy as np
import pytest

from atelier.data import augmentation_settings as settings
from atelier.data.augmentation_draws import Strengths
from atelier.data.spec import Spec
from atelier.errors import UserError
from configs.shared.common import common_config

GREY, COLOUR = Spec((8, 8, 1), 17, 10), Spec((8, 8, 3), 256, 10)
PHOTOS = COLOUR._replace(chiral=False)


def fields(**values):
    return {**settings.NO_AUGMENTATION, **values}


def of(spec=GREY, levels=17, x=None, **values):
    x = np.zeros((4, *spec.event_shape), np.uint8) if x is None else x
    return settings.augmentation_of(fields(**values), spec, levels, x, 'these data')


def test_the_defaults_are_those_of_runs_without_the_fields():
    assert common_config().data.augment.to_dict() == settings.NO_AUGMENTATION
    assert of() is None and settings.described(fields(), GREY) == ''
    assert settings.augmentation_of(None, GREY, 17, np.zeros((1, 8, 8, 1)), 'x') is None
    assert of(shift=0.1, probability=0.0) is None


@pytest.mark.parametrize(
    ('spec', 'kind'),
    [
        (Spec((2,), None, None), 'points'),
        (Spec((12,), None, None), 'table'),
        (Spec((64, 2), None, None), 'signals'),
        (Spec((32,), 5, None, symbols='abcde'), 'text'),
        (Spec((32,), 5, None, symbols='\0abcd'), 'items'),
        (Spec((), None, None), 'values'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_what_is_no_picture_is_refused(spec, kind):
    with pytest.raises(UserError, match=rf'these data has no pictures to augment \({kind} of'):
        of(spec, preset='mild')


def test_a_flip_of_text_is_refused_by_name():
    with pytest.raises(UserError, match='config.data.augment: these data has no pictures'):
        of(Spec((32,), 5, None, symbols='abcde'), flip=True)


@pytest.mark.parametrize('name', ['saturation', 'hue'])
def test_colours_of_grey_pictures_are_refused(name):
    assert of(COLOUR, 256, **{name: 0.5}) is not None
    with pytest.raises(UserError, match=f'config.data.augment.{name}: .* have no colours'):
        of(**{name: 0.5})


def test_codes_are_not_augmented():
    with pytest.raises(UserError, match='config.data.augment: codes are no pictures'):
        settings.picture_shape(Strengths(shift=0.1), GREY, 'data.augment', 'codes')


def test_a_shift_out_of_the_picture_is_refused():
    with pytest.raises(UserError, match='shift=8: so many pixels move pictures of side 8'):
        of(shift=8.0)


@pytest.mark.parametrize('values', [dict(preset='wild'), dict(edge='none'), dict(probability=2.0)])
def test_an_unknown_value_is_refused(values):
    with pytest.raises(UserError, match=f'config.data.augment.{[*values][0]}'):
        of(**values)


def test_a_preset_flips_no_chiral_picture():
    """Unless the user says so; what a field says comes before the preset."""
    mild = settings.PRESETS['mild']
    assert of(PHOTOS, 256, preset='mild').strengths == mild
    assert of(preset='mild').strengths == mild._replace(flip=False)
    assert of(preset='mild', flip=True, rotate=5.0).strengths == mild._replace(rotate=5.0)
    without = settings.remarks(fields(preset='mild'), GREY, (0.0,))
    assert any('not flipped' in line and 'flip=True' in line for line in without)
    forced = settings.remarks(fields(flip=True), GREY, (0.0,))
    assert any('flipped although' in line for line in forced)
    assert settings.remarks(fields(flip=True), PHOTOS, None) == []


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({}, ''),
        (dict(probability=0.5), 'data.augment.probability=0.5 has no effect'),
        (dict(probability=0.0), ''),
        (dict(probability=0.5, brightness=0.1), ''),
        (dict(edge='zero'), 'data.augment.edge=zero has no effect'),
        (dict(edge='mirror', crop=0.5), 'data.augment.edge=mirror has no effect'),
        (dict(edge='mirror', flip=True), 'data.augment.edge=mirror has no effect'),
        (dict(edge='zero', cutout=0.5), ''),
        (dict(edge='zero', preset='mild', probability=0.5), ''),
    ],
)
def test_settings_that_change_nothing_are_named(values, said):
    lines = settings.without_effect(fields(**values), GREY)
    assert len(lines) == bool(said) and all(line.startswith(said) for line in lines)
    assert settings.without_effect(None, GREY) == []


def test_the_background_is_what_most_of_the_border_is():
    rng = np.random.default_rng(0)
    on_white = np.full((4, 8, 8, 3), 255, np.uint8)
    on_white[:, 2:6, 2:6] = rng.integers(0, 255, (4, 4, 4, 3))
    on_white[0, 0] = 7
    noise = rng.integers(0, 255, (4, 8, 8, 3)).astype(np.uint8)
    fill = lambda x, levels=256, **values: of(COLOUR, levels, x, shift=0.1, **values).fill
    assert fill(on_white) == (255.0,) * 3
    assert fill(on_white, edge='zero') == (0.0,) * 3 and fill(on_white, edge='mirror') is None
    assert fill(noise) is None and fill(on_white.astype(np.float32), None) is None
    assert of(COLOUR, 256, noise, shift=0.1).blank == (127.5,) * 3
    assert (
        'filled with 255, 255, 255'
        in settings.remarks(fields(shift=0.1), COLOUR, fill(on_white))[0]
    )
    assert 'mirrored' in settings.remarks(fields(shift=0.1), COLOUR, None)[0]


def test_the_description_names_everything_that_is_done():
    assert settings.described(fields(shift=0.1, rotate=10), GREY) == 'shift 0.1, rotate 10'
    everything = fields(**Strengths(flip=True, cutout=0.5)._asdict(), probability=0.5)
    everything['edge'] = 'zero'
    text = 'cutout 0.5, flip, each with probability 0.5, edge zero'
    assert settings.described(everything, GREY) == text
    assert settings.described(fields(preset='mild'), GREY) == 'shift 0.1, rotate 10, scale 0.1'
