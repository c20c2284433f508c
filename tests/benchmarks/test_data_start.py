"""Starts and memory: what the benchmark makes and reports, on small data."""

import re

import pytest
from PIL import Image

from benchmarks import data_start


def test_pictures_are_different_and_can_be_read(tmp_path):
    data_start.write_pictures(tmp_path, 30)
    files = sorted(tmp_path.rglob('*.bmp'))
    assert len({file.read_bytes() for file in files}) == 30
    assert Image.open(files[0]).size == (8, 8)


@pytest.mark.slow
def test_a_start_and_the_memory_of_a_file_are_described(tmp_path):
    text = data_start.start(tmp_path, 200)
    assert re.fullmatch(r'\d+\.\d s at the first start, \d+\.\d s at the second', text)
    path = tmp_path / 'a.npz'
    data_start.write_npz(path, 100_000_000)
    text = data_start.memory(tmp_path, path, name='arrays')
    assert float(re.match(r'(\d\.\d\d) times', text)[1]) < 1.6  # small data: the rest counts
    path = tmp_path / 'a.txt'
    data_start.write_text(path, 10_000_000)
    assert re.match(r'\d+\.\d\d times', data_start.memory(tmp_path, path, name='text', context=64))
