"""Paths that a run folder can have, and the refusal of all others before anything is written."""

import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import recipe_and_config

from atelier.errors import UserError
from atelier.run import run_folder
from atelier.run.run_path import check_run_path
from atelier.sweep import folder as sweep_folder

REFUSED = {
    'gs://bucket/run': 'gs://bucket/run is an address',
    's3://bucket/run': 's3://bucket/run is an address',
    'gs:/run': 'is an address',
    'a\nerror: b': 'line breaks or control characters',
    'a\x1b[2J': 'line breaks or control characters',
    'a\0b': 'line breaks or control characters',
    'a\u2028b': 'line breaks or control characters',
    'a\udcff': 'is not UTF-8',
}


@pytest.mark.parametrize('path', REFUSED)
@pytest.mark.parametrize('open_run', ['train', 'load', 'lock', 'sweep'])
def test_other_paths_are_refused_before_anything_is_written(path, open_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = pathlib.Path(path)
    with pytest.raises(UserError) as refusal:
        if open_run == 'train':
            run_folder.check_same(folder, *recipe_and_config())
        elif open_run == 'load':
            run_folder.load(folder)
        elif open_run == 'lock':
            run_folder.only_trainer(folder).__enter__()
        else:
            sweep_folder.check_same(folder, {})
    message = str(refusal.value)
    assert REFUSED[path] in message
    assert message.isprintable()
    message.encode()
    assert not list(tmp_path.iterdir())


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=('Cc', 'Cs', 'Zl', 'Zp')), min_size=1))
def test_paths_of_printable_unicode_are_accepted(name):
    check_run_path(pathlib.Path('/x') / name)


@pytest.mark.parametrize('character', '\n\r\x1b\x7f\x85\udc80\u2028')
def test_paths_with_other_characters_are_refused(character):
    with pytest.raises(UserError):
        check_run_path(pathlib.Path(f'/x/before{character}after'))
