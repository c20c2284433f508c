"""docs/results.md is what its template and the files of results give."""

import example_rows
import pytest

from atelier.errors import UserError
from benchmarks.reference import pages, results, rows, tables
from benchmarks.reference.results import Result, Value

KNOWN = rows.load()
FOUND = results.load_all(KNOWN, results.FOLDER)


def result(mean, kind='cpu', **changes):
    value = {'NLL': Value(mean, 0.25, 0.5, (mean, mean))}
    machine = example_rows.MACHINE | {'kind': kind, 'device': f'1 x {kind} device'}
    return Result(kind, value, (0, 1), (30.0, 31.0), 1.0, (machine,), True, False)._replace(
        **changes
    )


@pytest.fixture
def row(tmp_path):
    return example_rows.load(tmp_path, ('row', 1, ''))['row']


def test_the_page_is_made_from_its_template():
    made = pages.filled(pages.TEMPLATE.read_text(), KNOWN, FOUND)
    same = made == pages.PAGE.read_text()
    assert same, 'change the template, then: python -m benchmarks.reference --pages'
    assert '{{' not in made and '<!-- table' not in made


def test_every_file_of_results_belongs_to_a_row_and_is_not_stale():
    files = {path.name for path in results.FOLDER.glob('*')}
    named = {f'{name}.{kind}.json' for name, kinds in FOUND.items() for kind in kinds}
    assert files - {'README.md'} == named
    stale = [name for name, kinds in FOUND.items() for r in kinds.values() if r.is_stale]
    assert not stale


def test_enough_rows_are_measured_on_a_cpu():
    assert sum('cpu' in kinds and kinds['cpu'].is_finished for kinds in FOUND.values()) >= 14


def test_a_row_has_its_value_source_budget_machine_and_command(row):
    text = tables.section('examples', {'row': row}, {'row': {'cpu': result(10.75)}})
    lines = text.splitlines()
    assert lines[2] == (
        '| a row (`row`) | **NLL 10.75 ± 0.25**; 2 seeds; inside | <= 10 + 1 nats | 10.5 (a paper; '
        'one layer; ten epochs) |  | 2 cores, a processor: 30 s a seed |'
    )
    assert '    python main.py --config=configs/vae.py --config.seed=0 --workdir=RUN' in lines
    assert '    # python -m benchmarks.reference row' in lines


def test_what_is_wrong_is_shown(row):
    section = lambda **found: tables.section('examples', {'row': row}, {'row': found})
    assert '; 2 seeds; OUTSIDE |' in section(cpu=result(12.0))
    assert '; stale |' in section(cpu=result(9.0, is_stale=True))
    partial = result(9.0, seeds=(0,), is_finished=False)
    assert '; one seed of 2; partial, inside |' in section(cpu=partial)
    assert 'shared (load 9)' in section(cpu=result(9.0, load=9.2))
    assert '| not measured |' in section()
    both = section(cpu=result(9.0), gpu=result(9.5, 'gpu'))
    assert '2 cores, a processor' in both and '1 x gpu device' in both
    assert tables.listing({'row': row}, {'row': {'cpu': result(12.0)}}).endswith(
        'cpu 12.00 ± 0.25 (OUTSIDE)  a row'
    )
    assert 'not measured' in tables.listing({'row': row}, {})


def test_each_value_may_have_its_own_target(row):
    target = rows.Target(8.0, 0.5, 'higher')
    row = row._replace(values={**row.values, 'KL': 'values.kl_nats.mean'}, targets={'KL': target})
    with_kl = lambda nll, kl, kind='cpu': result(nll, kind)._replace(
        values={**result(nll).values, 'KL': Value(kl, None, None, (kl,))}
    )
    text = tables.section('examples', {'row': row}, {'row': {'cpu': with_kl(10.0, 9.0)}})
    assert '**NLL 10.00 ± 0.25**, KL 9; 2 seeds; inside | <= 10 + 1 nats; KL >= 8 - 0.5 |' in text
    assert with_kl(10.0, 7.4).verdict(row) == 'OUTSIDE (KL)'
    assert with_kl(12.0, 7.4)._replace(is_finished=False).verdict(row) == (
        'partial, OUTSIDE (NLL, KL)'
    )
    row = row._replace(targets={'KL': target._replace(kinds=('gpu', 'tpu'))})
    assert with_kl(10.0, 7.4).verdict(row) == 'inside'
    assert with_kl(10.0, 7.4, 'gpu').verdict(row) == 'OUTSIDE (KL)'
    text = tables.section('examples', {'row': row}, {})
    assert '| <= 10 + 1 nats; KL >= 8 - 0.5 on a gpu or tpu |' in text


def test_prose_has_single_values(row):
    filled = lambda text, **found: pages.filled(
        f'{text}\n<!-- table: examples -->\n', {'row': row}, {'row': found}
    ).splitlines()[1]
    text = 'It is {{ row.NLL }}, about {{ row.NLL.mean }}; a card: {{ row@gpu.NLL }}.'
    assert filled(text, cpu=result(9.5)) == 'It is 9.50 ± 0.25, about 9.5; a card: not measured.'
    gpu = filled(text, cpu=result(9.5, is_stale=True), gpu=result(8.0, 'gpu'))
    assert gpu == 'It is not measured, about not measured; a card: 8.00 ± 0.25.'


def test_a_value_from_before_rows_existed_is_shown_as_such(row):
    known = {'row': row._replace(earlier={'NLL': '10.1 ± 0.3'})}
    page = pages.filled('It is {{ row.NLL }}.\n<!-- table: examples -->', known, {})
    assert 'It is 10.1 ± 0.3 (before rows existed).' in page
    assert '| not measured; before rows existed: NLL 10.1 ± 0.3 |' in page
    measured = pages.filled('<!-- table: examples -->', known, {'row': {'cpu': result(9.5)}})
    assert '10.1' not in measured


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('<!-- table: other -->\n<!-- table: examples -->', 'no row belongs to the section other'),
        ('no table', 'leaves out the tables examples'),
        ('{{ row.KL }}\n<!-- table: examples -->', 'names no value of a row'),
        ('{{ rows.NLL }}\n<!-- table: examples -->', 'names no value of a row'),
    ],
)
def test_a_template_that_names_what_does_not_exist_is_refused(text, message, row):
    with pytest.raises(UserError, match=message):
        pages.filled(text, {'row': row}, {})


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (Value(88.3512, 0.2934, 0.5, ()), '88.35 ± 0.29'),
        (Value(88.3512, None, 0.512, ()), '88.35 ± 0.51'),
        (Value(18.6, 2.34, None, ()), '18.6 ± 2.3'),
        (Value(0.99450, 0.000312, None, ()), '0.9945 ± 0.0003'),
        (Value(134.98712, None, None, ()), '135'),
        (Value(1.6691, 0.0, None, ()), '1.669'),
        (Value(1522016.2, None, None, ()), '1522016'),
        (Value(205.79, None, 14.0, ()), '206 ± 14'),
    ],
)
def test_two_digits_of_the_spread_are_shown(value, text):
    assert tables.number(value) == text
