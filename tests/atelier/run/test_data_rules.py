"""Rules of data that a run keeps, although the defaults have changed since it began."""

import json

import numpy as np
import pytest
from PIL import Image
from support import assembled, begin

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


def test_an_earlier_run_on_pictures_has_no_condition(tmp_path, complaint):
    """Although there are captions beside the pictures, and new runs read them."""
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for i in range(40):
        Image.new('L', (8, 8), i).save(pictures / f'{i}.png')
    lines = [f'{i}.png\t{"dark" if i < 20 else "light"}' for i in range(40)]
    (pictures / 'captions.txt').write_text('\n'.join(lines))
    changes = dict(data__path=str(pictures), data__split_by='order')
    new = assembled(tmp_path / 'new', 'vae', 'folder,debug', **changes)
    assert new.data.spec.condition.vocabulary == ('dark', 'light')
    run = assembled(tmp_path / 'run', 'vae', 'folder,debug', data__condition=('none',), **changes)
    begin(run)
    record = json.loads((run.folder / 'config.json').read_text())
    del record['values']['data']['condition'], record['spec']['condition'], record['checksum']
    files.write_json(run.folder / 'config.json', record)
    again = run_folder.reopen(run.folder, to_train=True)
    assert again.config.data.condition == ('none',) and again.data.spec.condition is None
    config = run.config_file.config()
    config.data.update(path=str(pictures), split_by='order')
    run_folder.check_same(run.folder, run.config_file, config)
    assert config.data.condition == ('none',)
    config.data.condition = ('caption',)
    line = complaint(run_folder.check_same, run.folder, run.config_file, config)
    assert "data.condition (the run: ['none'], now: ['caption'])" in line


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
