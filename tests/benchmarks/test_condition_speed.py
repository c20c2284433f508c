"""Data without labels are refused: conditions follow from labels."""

import subprocess
import sys

import pytest

from atelier import checkout


@pytest.mark.slow
def test_data_need_labels():
    command = [sys.executable, '-m', 'benchmarks.condition_speed']
    done = subprocess.run(
        [*command, '--config=configs/text_to_image.py:captioned_shapes,debug'],
        cwd=checkout.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'captioned_shapes has no labels: choose a --config' in done.stderr
