"""The table of data is shown before training and kept in the run."""

import json

import pytest
from support import make_run

from atelier import checkout
from atelier.run import data_table, run_folder


def test_the_table_is_kept_in_the_run(tmp_path, caplog):
    run = make_run(tmp_path / 'run')
    run.folder.mkdir()
    with caplog.at_level('INFO', 'atelier'):
        data_table.write(run.folder, data_table.show(run.data))
    kept = json.loads((run.folder / data_table.NAME).read_text())
    assert kept['splits'] == {'train': 1000, 'valid': 350, 'test': 447}
    assert [each['name'] for each in kept['classes']] == [str(i) for i in range(10)]
    assert 'data digits: 8x8x1' in caplog.text


def test_a_sweep_shows_the_table_of_the_same_data_once(tmp_path, caplog):
    data = make_run(tmp_path / 'run', 'moons,debug').data
    with caplog.at_level('INFO', 'atelier'):
        tables = [data_table.shown_once(data, data.fingerprint()) for _ in range(2)]
    assert tables[0] == tables[1]
    assert caplog.text.count('data moons') == 1


@pytest.mark.slow
def test_training_keeps_the_table_and_a_run_that_has_not_begun_may_have_it(tmp_path):
    run = make_run(tmp_path / 'run', 'moons,debug', train__steps=5, train__batch_size=8)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    (run.folder / data_table.NAME).write_text('{}')
    assert not run_folder.has_begun(run.folder)
    checkout.train_lib().train(run)
    assert json.loads((run.folder / data_table.NAME).read_text())['name'] == 'moons'
