"""What the host logs between two dispatches."""

import numpy as np

from atelier.report import metrics_log


def test_the_board_gets_the_last_line_of_each_dispatch(tmp_path, monkeypatch):
    from atelier.training import session

    log, board = metrics_log.MetricsLog(tmp_path, 0, 4), []
    monkeypatch.setattr(log._board, 'add_scalar', lambda *point: board.append(point))
    report = {'loss': np.arange(5.0), 'finite': np.ones(5, bool)}
    for start in (0, 5, 10):
        session.log_dispatch(log, 3, start, report, rate=1.0)
    log.close()
    lines = [row['step'] for row in metrics_log.read_metrics(tmp_path) if 'train/loss' in row]
    assert lines == [3, 6, 9, 12, 15]
    assert [step for name, _, step in board if name == 'train/loss'] == [3, 9, 15]
    assert [point[1:] for point in board if point[0] == 'examples'] == [(20, 5), (40, 10), (60, 15)]
    assert [step for name, _, step in board if name == 'time/seconds'] == [5, 10, 15]
