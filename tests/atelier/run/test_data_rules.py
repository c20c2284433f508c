"""Rules of data that a run keeps, although the defaults have changed since it began."""

import json

import numpy as np
import pytest
from support import assembled

from atelier import checkout, files
from atelier.data.dataset import Dataset
from atelier.run import run_folder

RULES = ('split_by', 'channels', 'splits', 'classes', 'condition')


@pytest.fixture
def earlier(tmp_path):
    """Returns the folder of a run from before the rules, on labels from 1 on."""
    np.savez(tmp_path / 'data.npz', x=np.zeros((40, 3, 8, 8)), label=np.arange(40) % 3 + 1)
    rules = dict(data__split_by='order', data__channels='last', data__classes='declared')
    path = dict(data__path=str(tmp_path / 'data.npz'), **rules)
    run = assembled(tmp_path / 'run', 'vae', 'arrays,debug', **path)
    run_folder.check_same(run.folder, run.config_file, run.config)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    record = json.loads((run.folder / 'config.json').read_text())
    for name in RULES:
        del record['values']['data'][name]
    del record['spec']['class_names'], record['checksum']
    files.write_json(run.folder / 'config.json', record)
    (run.folder / 'metrics.jsonl').write_text('{"step": 1}\n')
    return run.folder


def test_an_earlier_run_is_continued_with_its_rules(earlier, caplog):
    record = run_folder.load(earlier)
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/vae.py:arrays,debug')
    config = config_file.config()
    config.data.path = record['values']['data']['path']
    with caplog.at_level('INFO', 'atelier'):
        run_folder.check_same(earlier, config_file, config)
    assert "keeps the classes that it began with: config.data.classes='declared'" in caplog.text
    found = [config.data[name] for name in RULES]
    assert found == ['order', 'last', 'exact', 'declared', ('none',)]


@pytest.mark.parametrize('to_train', [False, True])
def test_an_earlier_run_is_opened_with_its_spec(earlier, to_train):
    run = run_folder.reopen(earlier, to_train=to_train)
    assert isinstance(run.data, Dataset) and run.data.spec.class_names == ()
    assert run.data.spec.known_classes == (0, 1, 2, 3)
    assert run.data.spec.event_shape == (3, 8, 8)
    assert run.data.fingerprint() == run_folder.load(earlier)['data']


@pytest.mark.parametrize('path', ['mine.txt', ''])
def test_an_earlier_run_on_text_keeps_its_order_although_it_recorded_content(tmp_path, path):
    """Texts did not read the rule at first, but runs recorded its default."""
    (tmp_path / 'mine.txt').write_text('all work\n' * 100)
    data = dict(data__path=path and str(tmp_path / path), data__split_by='order')
    run = assembled(tmp_path / 'run', 'char_lm', 'text,debug', **data)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    record = json.loads((run.folder / 'config.json').read_text())
    record['values']['data']['split_by'] = 'content'
    del record['checksum']
    files.write_json(run.folder / 'config.json', record)
    again = run_folder.reopen(run.folder, to_train=True)
    assert again.config.data.split_by == ('order' if path else 'content')
    assert again.data.fingerprint() == record['data']
