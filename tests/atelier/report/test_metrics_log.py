"""The metrics log: truncated, appended to, and read despite damage."""

import pathlib

import pytest

from atelier.report import metrics_log


def test_metrics_are_cut_and_appended(tmp_path):
    for start in (0, 3):
        log = metrics_log.MetricsLog(tmp_path, start)
        for step in range(start + 1, start + 6):
            log.write(step, {'train/loss': 1.0 / step}, to_board=step % 2 == 0)
        log.close()
    rows = metrics_log.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == list(range(1, 9))
    assert all(row['train/loss'] == 1.0 / row['step'] for row in rows)
    assert list((tmp_path / 'tensorboard').glob('events*'))


@pytest.mark.parametrize('name', ['gs:a', 's3:a', 's3:sweep/member'])
def test_a_relative_folder_named_like_an_address_is_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).mkdir(parents=True)
    log = metrics_log.MetricsLog(pathlib.Path(name), 0)
    log.write(1, {'train/loss': 1.0})
    log.close()
    assert list((tmp_path / name / 'tensorboard').glob('events*'))


def test_only_the_damaged_line_is_lost(tmp_path, caplog):
    good = ['{"step": 1, "a": 2.0}', '{"step": 3, "a": 4.0}']
    (tmp_path / 'metrics.jsonl').write_bytes(
        '\n'.join([good[0], '5', '{"ste', good[1], '{"step": 4, "tor']).encode() + b'\xff'
    )
    with caplog.at_level('WARNING', logger='atelier'):
        rows = metrics_log.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == [1, 3]
    assert 'line 2 of' in caplog.text
    assert 'line 3 of' in caplog.text
    assert 'line 5' not in caplog.text


@pytest.mark.parametrize(
    'line',
    [
        '[' * 200_000,
        '{"step": 1' + '0' * 400 + '}',
        '{"step": 1, "a": 1' + '0' * 400 + '}',
        '{"step": 2, "a": [1.0]}',
        '{"step": 2, "a": "high"}',
        '{"step": 2.5, "a": 1.0}',
        '{"step": -1}',
        '{"step": true}',
        '{"step": 2, "a": "' + 'x' * metrics_log.MAX_LINE + '"}',
        '',
    ],
)
def test_a_line_that_is_no_row_of_numbers_is_left_out(tmp_path, caplog, line):
    """Whatever it holds, the rows around it are read."""
    rows = ['{"step": 1, "a": NaN}', line, '{"step": 3, "a": null}', '']
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(rows))
    with caplog.at_level('WARNING', logger='atelier'):
        assert [row['step'] for row in metrics_log.read_metrics(tmp_path)] == [1, 3]
    assert 'line 2 of' in caplog.text
