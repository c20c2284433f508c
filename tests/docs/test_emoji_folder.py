"""The folder of emoji has each picture on white, and a caption that names its skin tone."""

import json

import numpy as np
import pytest
from PIL import Image

from atelier.errors import UserError
from docs.emoji_folder import ONLY, SIZE, write

HAND = {
    'name': 'WAVING HAND SIGN',
    'image': 'hand.png',
    'category': 'People & Body',
    'subcategory': 'hand-fingers-open',
    'skin_variations': {
        '1F3FF': {'image': 'hand-dark.png'},
        '1F3FB-1F3FC': {'image': 'hands.png'},
        '1F3FB': {'image': 'not-there.png'},
        '1F3FC': {'image': '../anyone/hand.png'},  # no name of a file
    },
}


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / 'package'
    pictures = folder / 'img' / 'anyone' / str(SIZE)
    pictures.mkdir(parents=True)
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[:, : SIZE // 2] = 255, 0, 0, 255  # the other half is transparent black
    for name in ('hand', 'hand-dark', 'hands'):
        Image.fromarray(pixels).save(pictures / f'{name}.png')
    (folder / 'emoji.json').write_text(json.dumps([HAND]))
    return folder


def test_each_picture_has_its_caption(package, tmp_path):
    assert write(package, tmp_path / 'emoji') == 3
    lines = (tmp_path / 'emoji' / 'metadata.jsonl').read_text().splitlines()
    found = {each['file_name']: each for each in map(json.loads, lines)}
    assert found['hand.png']['text'] == 'waving hand sign'
    assert found['hand-dark.png']['text'] == 'waving hand sign, dark skin tone'
    assert found['hands.png']['text'] == 'waving hand sign, light and medium light skin tone'
    assert [found[f'{name}.png']['skin'] for name in ('hand', 'hand-dark', 'hands')] == [
        'none',
        'dark',
        'several',
    ]
    picture = np.asarray(Image.open(tmp_path / 'emoji' / 'hand.png'))
    assert picture.shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(picture[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(picture[0, -1], [255, 255, 255])


def test_only_pictures_with_a_number(package, tmp_path):
    persons = [
        {'name': name, 'image': 'hand.png', 'category': 'people', 'subcategory': 'person'}
        for name in ('BABY', 'MAN: BALD', 'OLDER ADULT', 'BOY')
    ]
    (package / 'emoji.json').write_text(json.dumps([HAND, *persons]))
    numbers = {}
    for only, (name, _) in ONLY.items():
        count = write(package, tmp_path / only, only)
        lines = (tmp_path / only / 'metadata.jsonl').read_text().splitlines()
        assert len(lines) == count
        numbers[only] = [json.loads(line)[name] for line in lines]
    assert numbers == {'tone': [5], 'hands': [5], 'age': [0, 2, 3, 1]}


def test_what_is_missing_or_there_is_refused(package, tmp_path):
    with pytest.raises(UserError, match='has no folder img'):
        write(tmp_path / 'other', tmp_path / 'emoji')
    (tmp_path / 'emoji').mkdir()
    with pytest.raises(UserError, match='exists'):
        write(package, tmp_path / 'emoji')


def test_a_damaged_picture_leaves_no_folder(package, tmp_path, complaint):
    (package / 'img' / 'anyone' / str(SIZE) / 'hands.png').write_bytes(b'no picture')
    assert 'cannot read' in complaint(write, package, tmp_path / 'emoji')
    assert not (tmp_path / 'emoji').exists()


@pytest.mark.parametrize(
    ('content', 'fault'),
    [
        ('[{"image": ', 'emoji.json: invalid JSON: Expecting value'),
        (b'\xff\xfe\xff', 'emoji.json: invalid JSON'),
        ('{}', 'emoji.json holds no list of emoji'),
        ([HAND, {**HAND, 'category': 3}], 'emoji.json, entry 1: '),
        ([{**HAND, 'image': 3}], 'entry 0: a value is no text'),
        ([HAND, [1]], 'emoji.json, entry 1: '),
        ([{k: v for k, v in HAND.items() if k != 'category'}], 'entry 0: no category: unpack'),
        ([{**HAND, 'skin_variations': {'other': HAND}}], 'entry 0: no other: unpack'),
    ],
)
def test_a_damaged_package_is_one_line_and_leaves_no_folder(
    package, tmp_path, content, fault, complaint
):
    content = json.dumps(content) if isinstance(content, list) else content
    content = content.encode() if isinstance(content, str) else content
    (package / 'emoji.json').write_bytes(content)
    assert fault in complaint(write, package, tmp_path / 'emoji')
    assert not (tmp_path / 'emoji').exists()
