"""Which charts a page has, and in which order."""

from reported_runs import write_log

from atelier.evaluation.pages.curve_sections import charts_of_run, charts_of_runs, curve_section
from atelier.evaluation.pages.run_log import read_log
from atelier.report.page.page import Limits


def log_of(folder, names, best=''):
    folder.mkdir(exist_ok=True)
    write_log(folder, dict.fromkeys(names, float))
    return read_log(folder, best)


def test_the_metric_that_chooses_weights_comes_first_and_gradients_last(tmp_path):
    names = ['train/gradient_norm', 'train/loss', 'valid/kl', 'train/kl', 'valid/elbo', 'train/b']
    charts = charts_of_run(log_of(tmp_path, names, 'elbo'))
    assert [chart.title for chart in charts] == ['elbo', 'kl', 'loss', 'b', 'gradient_norm']
    kl = charts[1]
    assert [(line.name, line.is_pale) for line in kl.lines] == [
        ('training', True),
        ('validation', False),
    ]


def test_runs_are_shown_by_their_validation_if_there_is_one(tmp_path):
    logs = {
        'a': log_of(tmp_path / 'a', ['valid/elbo', 'train/elbo', 'train/loss']),
        'b': log_of(tmp_path / 'b', ['valid/elbo', 'train/loss']),
        'c': log_of(tmp_path / 'c', ['train/loss']),
    }
    charts = {chart.title: chart for chart in charts_of_runs(logs, 3)}
    assert [*charts] == ['elbo, validation', 'loss, training']
    assert [line.name for line in charts['elbo, validation'].lines] == ['a', 'b']
    assert [line.colour for line in charts['loss, training'].lines] == [0, 1, 2]
    titles = [chart.title for chart in charts_of_runs(logs, 2)]
    assert titles == ['elbo, validation', 'loss, training (the first 2 of 3 runs)']


def test_a_page_says_how_many_charts_are_left_out(tmp_path):
    charts = charts_of_run(log_of(tmp_path, [f'train/{i}' for i in range(9)]))
    (section,), shown = curve_section(charts, Limits(charts=4))
    assert len(shown) == 4 and '5 more charts left out' in section.body
    assert curve_section([], Limits()) == ([], [])
