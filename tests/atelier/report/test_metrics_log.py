"""The metrics log: truncated, appended to, and read despite damage."""

import itertools
import json
import math
import pathlib
import tracemalloc
import types

import numpy as np
import pytest

from atelier.report import metrics_log


def test_metrics_are_cut_and_appended(tmp_path):
    for start in (0, 3):
        log = metrics_log.MetricsLog(tmp_path, start, 32)
        for step in range(start + 1, start + 6):
            log.write(step, {'train/loss': 1.0 / step}, to_board=step % 2 == 0)
        log.close()
    rows = metrics_log.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == list(range(1, 9))
    assert all(row['train/loss'] == 1.0 / row['step'] for row in rows)
    assert list((tmp_path / 'tensorboard').glob('events*'))


def test_every_line_holds_the_examples_and_the_seconds_of_training(tmp_path, monkeypatch):
    """The time between two processes does not count, nor does that of lines that are cut."""
    for start, began in ((0, 1000.0), (3, 7000.0)):
        clock = types.SimpleNamespace(monotonic=itertools.count(began).__next__)
        monkeypatch.setattr(metrics_log, 'time', clock)
        log = metrics_log.MetricsLog(tmp_path, start, 32)
        for step in range(start + 1, start + 6):
            log.write(step, {'train/loss': 1.0})
        log.close()
    rows = metrics_log.read_metrics(tmp_path)
    assert [row['examples'] for row in rows] == [32 * step for step in range(1, 9)]
    assert [row['time/seconds'] for row in rows] == list(range(1, 9))


def test_a_run_of_an_earlier_version_continues_without_seconds(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "train/loss": 2.0}\n')
    log = metrics_log.MetricsLog(tmp_path, 1, 32)
    log.write(2, {})
    log.close()
    first, second = metrics_log.read_metrics(tmp_path)
    assert first == {'step': 1, 'train/loss': 2.0}
    assert 0 <= second['time/seconds'] < 10


def test_numbers_that_are_not_finite_are_null(tmp_path):
    """The old line of an earlier version is rewritten when its run resumes."""
    (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "valid/a": NaN}\n')
    log = metrics_log.MetricsLog(tmp_path, 1, 32)
    log.write(2, {'valid/a': math.inf, 'valid/b': -math.inf, 'valid/c': math.nan, 'valid/d': 1.0})
    log.close()
    text = (tmp_path / 'metrics.jsonl').read_text()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert [row['valid/a'] for row in rows] == [None, None]
    (_, first), (_, second) = metrics_log.iterate_validations(tmp_path)
    assert np.isnan([first['a'], second['a'], second['b'], second['c']]).all()
    assert second['d'] == 1.0


@pytest.mark.parametrize('name', ['gs:a', 's3:a', 's3:sweep/member'])
def test_a_relative_folder_named_like_an_address_is_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).mkdir(parents=True)
    log = metrics_log.MetricsLog(pathlib.Path(name), 0, 32)
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
    log = metrics_log.MetricsLog(tmp_path, 0, 32)
    line = complaint(log.write, 1, {'x' * 10**6: 1.0})
    assert 'has 1,000,000 characters: give it at most 200' in line and len(line) < 300
    log.close()


def test_a_folder_in_place_of_the_file_is_refused(tmp_path, complaint):
    (tmp_path / 'metrics.jsonl').mkdir()
    assert 'it is not a regular file' in complaint(metrics_log.read_metrics, tmp_path)


@pytest.mark.slow
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


@pytest.mark.parametrize(
    'mean, spread, text',
    [
        (88.117449, 0.53004, '88.12 +- 0.53'),
        (88.117449, 0.0996, '88.12 +- 0.10'),  # rounding the error gives it one digit more
        (88.117449, 0.00996, '88.117 +- 0.010'),
        (1234.5678, 12.34, '1235 +- 12'),
        (1234.5678, 123.4, '1235 +- 123'),
        (3.4567e-6, 1.234e-7, '3.46e-06 +- 1.2e-07'),
        (3.4567e-30, 1.234e-31, '3.46e-30 +- 1.2e-31'),
        (7.42708036709437e-4, 2.0e-17, '7.427080e-04 +- 2.0e-17'),  # the spread is round-off
        (0.914232856161478535, 2.1e-17, '0.9142329 +- 2.1e-17'),
        (1234567.891, 1e-9, '1234568 +- 1.0e-09'),
        (-12.345678912, 1e-7, '-12.34568 +- 1.0e-07'),
        (0.0, 1e-9, '0.0e+00 +- 1.0e-09'),
        (-0.5, 0.25, '-0.50 +- 0.25'),
        (1.0, 0.0, '1.000 +- 0'),
        (88.117449, None, '88.12'),
        (25, None, '25'),
        (12345, None, '12345'),
        (12345.678, None, '12346'),
        (1234567.8, None, '1234568'),
        (50246750760152271421440.0, None, '5.025e+22'),
        (-9999999.6, None, '-1.000e+07'),
        (5.0246750760e22, 3.04e20, '5.025e+22 +- 3.0e+20'),
        (3.0, 5.0246750760e22, '3 +- 5.0e+22'),
        (50246750760152271421440, None, '50246750760152271421440'),
        (0.00012345, None, '0.0001234'),
        (1.2346e-7, None, '1.235e-07'),
        (0.0, None, '0.000'),
        (math.nan, None, '-'),
        (1.0, math.nan, '1.000'),
        (None, None, '-'),
        (None, 0.5, '-'),
    ],
)
def test_numbers_are_printed_to_the_digits_that_they_have(mean, spread, text):
    """Two digits of an error, and four of a number without one."""
    assert metrics_log.plus_minus(mean, spread) == text


def test_a_sign_is_shown_if_asked():
    assert metrics_log.plus_minus(1.5, 0.031, '+') == '+1.500 +- 0.031'
    assert metrics_log.plus_minus(-1.5, 0.031, '+') == '-1.500 +- 0.031'
