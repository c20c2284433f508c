"""The metrics log: truncated, appended to, and read despite damage."""

import pathlib
import tracemalloc

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
        '{"step": 2, "' + 'x' * (metrics_log.MAX_NAME + 1) + '": 1.0}',
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


def test_many_damaged_lines_are_counted_and_not_named(tmp_path, caplog):
    (tmp_path / 'metrics.jsonl').write_text('x\n' * 1000 + '{"step": 1}\n')
    with caplog.at_level('WARNING', logger='atelier'):
        assert metrics_log.read_metrics(tmp_path) == [{'step': 1}]
    assert len(caplog.messages) == metrics_log.MAX_WARNINGS + 1
    assert caplog.messages[-1].startswith('995 more damaged lines of')


def test_too_many_metrics_are_refused(tmp_path, complaint):
    lines = (f'{{"step": 1, "a{i}": 1, "b{i}": 1}}\n' for i in range(metrics_log.MAX_METRICS))
    (tmp_path / 'metrics.jsonl').write_text(''.join(lines))
    line = complaint(metrics_log.read_metrics, tmp_path)
    assert 'metrics.jsonl has more than 5,000 different metrics' in line


def test_a_name_that_cannot_be_read_is_not_written(tmp_path, complaint):
    log = metrics_log.MetricsLog(tmp_path, 0)
    line = complaint(log.write, 1, {'x' * 10**6: 1.0})
    assert 'has 1,000,000 characters: give it at most 200' in line and len(line) < 300
    log.close()


def test_a_folder_in_place_of_the_file_is_refused(tmp_path, complaint):
    (tmp_path / 'metrics.jsonl').mkdir()
    assert 'it is not a regular file' in complaint(metrics_log.read_metrics, tmp_path)


def test_a_long_log_is_resumed_and_read_line_by_line(tmp_path):
    """30,000 lines of 100 bytes take less memory than the file has."""
    row = '{{"step": {}, "valid/elbo_nats": -100.5, "valid/kl_nats": 3.25, "train/loss": 7.0}}   \n'
    path = tmp_path / 'metrics.jsonl'
    path.write_text(''.join(row.format(step) for step in range(30_000)))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        metrics_log._cut_after(path, 20_000)
        validations = metrics_log.iterate_validations(tmp_path)
        assert sum(1 for _ in validations) == 20_001
        assert tracemalloc.get_traced_memory()[1] < size / 5
    finally:
        tracemalloc.stop()
