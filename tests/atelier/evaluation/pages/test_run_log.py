"""The curves of a run, of training and validation."""

import json

import numpy as np
import pytest
from reported_runs import write_log

from atelier.evaluation.pages import run_log
from atelier.evaluation.pages.run_log import Best, read_log
from atelier.report import metrics_log


@pytest.mark.parametrize(
    ('is_less_better', 'best'), [(False, Best(30, 3.0)), (True, Best(10, 1.0))]
)
def test_the_best_validation_is_that_of_the_mode(tmp_path, is_less_better, best):
    values = {10: 1.0, 20: None, 30: 3.0, 40: 2.0}
    write_log(tmp_path, {'valid/a': values.get, 'train/a': lambda s: 99.0}, values)
    log = read_log(tmp_path, 'a', is_less_better)
    assert log.best == best and log.best_metric == 'a'
    assert (log.step, log.examples, log.seconds) == (40, 160, 20.0)
    expected = [[10, 1], [20, np.nan], [30, 3], [40, 2]]
    np.testing.assert_array_equal(log.curves['valid/a'].points(), expected)


def test_a_run_without_a_log_has_no_curves(tmp_path):
    log = read_log(tmp_path, 'a')
    assert (log.curves, log.step, log.best, log.examples) == ({}, 0, None, None)


def test_numbers_that_no_run_writes_are_left_out(tmp_path):
    lines = ['{"step": 1, "examples": 4, "time/seconds": 2.0, "valid/a": 1.0}']
    lines += ['{"step": 2, "examples": NaN, "time/seconds": Infinity, "valid/a": -Infinity}']
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
    log = read_log(tmp_path, 'a', is_less_better=True)
    assert (log.step, log.examples, log.seconds, log.best) == (2, 4, 2.0, Best(1, 1.0))
    assert np.isnan(log.curves['valid/a'].points()[1, 1])


def test_curves_are_bounded_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, 'MAX_CURVES', 3)
    write_log(tmp_path, {f'train/{i}': float for i in range(7)})
    log = read_log(tmp_path)
    assert [*log.curves] == ['train/0', 'train/1', 'train/2'] and log.num_curves == 7


def test_a_large_log_is_thinned_but_for_validations_and_its_end(tmp_path, monkeypatch):
    """Kinds of lines that take turns are thinned alike."""
    steps = range(1, 2001)
    rows = [
        {'step': s, 'examples': s, 'valid/a' if s % 100 == 0 else f'train/{"bc"[s % 2]}': float(s)}
        for s in steps
    ]
    text = ''.join(json.dumps(row) + '\n' for row in [*rows, {'step': 2001, 'examples': 7}])
    (tmp_path / 'metrics.jsonl').write_text(text)
    whole = read_log(tmp_path, 'a')
    assert len(whole.curves['train/b'].points()) == 980
    monkeypatch.setattr(metrics_log, 'LARGE', len(text) // 8)
    log = read_log(tmp_path, 'a')
    np.testing.assert_array_equal(log.curves['valid/a'].points(), whole.curves['valid/a'].points())
    assert log[1:] == whole[1:] and (log.step, log.examples) == (2001, 7)
    for name in 'bc':
        points = log.curves[f'train/{name}'].points()
        assert 100 < len(points) < 145
        assert (points[:, 0] == points[:, 1]).all() and np.diff(points[:, 0]).max() < 60
