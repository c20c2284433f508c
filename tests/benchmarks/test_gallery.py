"""The gallery's page, its pictures and the command that makes them agree."""

import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from atelier import cli
from benchmarks import gallery

PAGE = (gallery.GALLERY / 'README.md').read_text()
SOURCES = json.loads((gallery.GALLERY / 'pictures.json').read_text())
SECTIONS = gallery.sections(PAGE)


def folders(text):
    """The run folders that the commands of a section name or make by default."""
    made = set()
    for program, *arguments in gallery.commands(text):
        if program != 'main.py':  # makes data
            continue
        line = ' '.join(arguments)
        workdir = re.search(r'--workdir=(\S+)', line)
        name = re.search(r'--config=configs/(\w+)\.py(?::(\w+))?', line)
        made.add(workdir[1] if workdir else f'runs/{name[1]}-{name[2] or "digits"}')
    return made


def test_each_picture_of_the_page_is_there_and_has_a_source():
    shown = set(gallery.pictures(PAGE))
    assert shown == {*SOURCES}
    assert all((gallery.GALLERY / name).is_file() for name in shown)


@pytest.mark.parametrize('heading', SECTIONS)
def test_the_pictures_of_a_section_come_from_runs_that_its_commands_name(heading):
    made = folders(SECTIONS[heading])
    for name in gallery.pictures(SECTIONS[heading]):
        assert any(SOURCES[name].startswith(f'{folder}/') for folder in made), name


def test_the_commands_that_train_are_known():
    """The flags of each parse, so that no field of a config has another name by now."""
    for text in SECTIONS.values():
        for arguments in gallery.commands(text):
            if any(each.startswith('--config=') for each in arguments):
                assert cli.parse(['atelier', *arguments[1:]]).config_file


def test_a_command_of_a_section_has_the_seconds_that_are_left(tmp_path):
    text = '    python -c "import time; time.sleep(60)"\n'
    with pytest.raises(subprocess.TimeoutExpired):
        gallery.make(text, {}, tmp_path, lambda: 0.1)
    assert gallery.make('    python -c "import time"\n', {}, tmp_path, lambda: None) == ''


def test_a_copy_has_few_colours_and_fits_the_page(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (20, 2400, 3), np.uint8)).save(tmp_path / 'a.png')
    gallery.copy(tmp_path / 'a.png', tmp_path / 'b.png')
    copy = Image.open(tmp_path / 'b.png')
    assert copy.size == (1200, 10) and copy.mode == 'P'


def test_a_grey_copy_has_every_pixel(tmp_path):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(image).save(tmp_path / 'a.png')
    gallery.copy(tmp_path / 'a.png', tmp_path / 'b.png')
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'b.png')), image)
