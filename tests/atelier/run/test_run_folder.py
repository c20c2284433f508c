"""Files of a run folder."""

import json

import pytest


def test_json_files_are_replaced_whole(tmp_path, monkeypatch):
    from atelier.run import run_folder

    path = tmp_path / 'a.json'
    run_folder.write_json(path, {'old': 1})
    monkeypatch.setattr('pathlib.Path.write_text', _torn)
    with pytest.raises(OSError, match='torn'):
        run_folder.write_json(path, {'new': 2})
    assert json.loads(path.read_text()) == {'old': 1}


def _torn(self, text):
    with self.open('w') as file:
        file.write(text[:3])
    raise OSError('torn')
