"""The architecture page: its signatures match the code, its worked family runs, it stays short."""

import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from atelier import checkout

ROOT = checkout.ROOT
PAGE = (ROOT / 'docs' / 'architecture.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)


def quoted() -> list[tuple[str, str]]:
    """(file, line) for each line of code quoted on the page."""
    lines, file = [], ''
    for line in ''.join(block for block in BLOCKS if block.startswith('# ')).splitlines():
        if re.fullmatch(r'# [\w/]+\.py', line):
            file = line.removeprefix('# ')
        else:
            lines.append((file, line))
    return lines


def test_signatures_on_the_page_equal_the_code():
    assert {file for file, _ in quoted()} >= {'atelier/core/game.py', 'configs/vae.py'}
    for file, line in quoted():
        begins = [text.startswith(line) for text in (ROOT / file).read_text().splitlines()]
        assert any(begins), f'{file} has no line {line!r}'


def test_files_that_the_page_names_exist():
    named = set(re.findall(r'`((?:atelier|configs|models|losses|tests|docs)/[\w/]+\.py)`', PAGE))
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.slow
def test_the_worked_family_runs(main, tmp_path):
    """Runs the page's commands in order, on debug variants; samples and a path are written."""
    (own,) = [block for block in BLOCKS if block.startswith('"""')]
    (tmp_path / 'energy.py').write_text(own)
    section = PAGE[PAGE.index(own) :].partition('\n## ')[0]
    commands = re.findall(r'^    python main.py (.*)$', section, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        small = re.sub(
            r'--config=(?:configs/)?(\w+)\.py', r'\g<0>:debug --workdir=runs/\1-digits', command
        )
        result = main(*shlex.split(small), cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    run = tmp_path / 'runs' / 'energy-digits'
    assert 'energy_score' in json.loads((run / 'evaluation.json').read_text())['values']
    picture = np.asarray(Image.open(run / 'samples' / 'seed-0.png'))
    assert picture.shape[0] == picture.shape[1] and len(np.unique(picture)) > 16
    assert list((run / 'applications').glob('interpolate-*.png'))


def test_the_page_is_short():
    assert PAGE.count('\n') <= 370
