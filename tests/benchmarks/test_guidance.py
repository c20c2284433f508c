"""The agreement with captions by guidance, of a run of a few steps, and its refusal."""

import re
import subprocess
import sys
import types

import pytest

from atelier import checkout
from atelier.errors import UserError
from benchmarks import guidance


@pytest.mark.parametrize(
    ('texts', 'weights'),
    [(['0', '1.5'], [0, 1.5]), (['x'], None), (['1', 'nan'], None), ([], None)],
)
def test_weights_are_numbers(texts, weights):
    if weights:
        assert guidance.weights_of(texts) == weights
    else:
        with pytest.raises(UserError, match=f'^--guidance={",".join(texts)}: give numbers'):
            guidance.weights_of(texts)


@pytest.mark.parametrize('flag', ['--workdir=runs/of nobody', '--workdir='])
def test_a_missing_run_ends_in_one_line(flag):
    command = [sys.executable, '-m', 'benchmarks.guidance', flag]
    done = subprocess.run(command, cwd=checkout.ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert re.fullmatch(r'error: (.*nobody does not exist|give --workdir=RUN).*\n', done.stderr)


@pytest.mark.slow
def test_each_weight_has_a_column(main, tmp_path):
    run = str(tmp_path / 'run')
    done = main('--config=configs/text_to_image.py:captioned_shapes,debug', f'--workdir={run}')
    assert done.returncode == 0, done.stderr
    command = ['-m', 'benchmarks.guidance', f'--workdir={run}', '--guidance=0,2']
    printed = subprocess.check_output([sys.executable, *command], cwd=checkout.ROOT, text=True)
    lines = re.findall(r'^(.+?) {2,}(\d+\.\d) +(\d+\.\d)$', printed, re.M)
    names = [name for name, *_ in lines]
    assert 'two objects, seen pairs: relation' in names and 'retrieval among 100' in names
    assert all(0 <= float(share) <= 100 for _, *shares in lines for share in shares)


def test_a_model_without_captions_is_refused(monkeypatch):
    loaded = types.SimpleNamespace(run=None, state=None)
    monkeypatch.setattr(guidance.atelier, 'load', lambda *_, **__: loaded, raising=False)
    monkeypatch.setattr(guidance, 'condition_values', lambda *_: {})
    with pytest.raises(UserError, match='given no captions'):
        guidance.shares('runs/diffusion-digits', 0.0)
