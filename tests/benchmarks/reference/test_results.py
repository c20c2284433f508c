"""Files of results: one for each row and kind of machine; partial, stale and damaged ones."""

import json
import math
import statistics

import example_rows
import pytest

from atelier import files
from atelier.errors import UserError
from benchmarks.reference import commands, progress, results, tables

EARLIER, LATER = '2026-11-28T21:40:05Z', '2026-11-29T01:00:00Z'
FINISHED = progress.Progress(
    ended=1, seconds=2.0, starts=1, loads=(3.0,), machine=example_rows.MACHINE
)


def measured(folder, values, kind='cpu', known=None, at='', commit='abc'):
    """Writes {seed: value} as finished seeds of the row, and their results."""
    known = known or example_rows.load(folder, ('row', 1, ''))
    runs = folder / 'runs'
    for seed, value in values.items():
        path = progress.path_of(known['row'], seed, runs)
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = example_rows.MACHINE | {'kind': kind, 'commit': commit}
        state = FINISHED._replace(values={'NLL': value}, errors={'NLL': 0.5}, machine=machine)
        state = state._replace(measured=at)
        progress.save(state, known['row'], seed, runs)
    results.write(known['row'], runs, folder)
    return known['row']


def test_a_file_holds_mean_deviation_error_machine_and_commands(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 12.0}, at=LATER)
    content = example_rows.json_of(tmp_path / 'row.cpu.json')
    assert content['values']['NLL'] == {
        'mean': 10.5,
        'sd': statistics.stdev([9.0, 12.0]),
        'error': 0.5,
        'each': [9.0, 12.0],
        'refused': '',
    }
    assert content['machines'] == [example_rows.MACHINE] and content['load'] == 3.0
    assert content['measured'] == LATER
    assert content['definition'] == row.definition and content['finished'] is True
    assert content['commands'] == [
        'python main.py --config=configs/vae.py --config.seed=0 --workdir=RUN'
    ]
    result = results.load(row, 'cpu', tmp_path)
    assert result.verdict(row) == 'inside' and result.seeds == (0, 1)
    assert results.load(row, 'gpu', tmp_path) is None


@pytest.mark.parametrize(
    ('values', 'verdict'),
    [
        ({0: 9.0}, 'partial, inside'),
        ({1: 11.5}, 'partial, OUTSIDE'),
        ({0: 11.5, 1: 11.0}, 'OUTSIDE'),
        ({0: 11.0, 1: 11.0}, 'inside'),
    ],
)
def test_a_value_outside_its_tolerance_is_said(values, verdict, tmp_path):
    row = measured(tmp_path, values)
    assert results.load(row, 'cpu', tmp_path).verdict(row) == verdict


def test_each_kind_of_machine_has_its_file(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 10.0})
    for seed in row.seeds:
        progress.path_of(row, seed, tmp_path / 'runs').unlink()
    measured(tmp_path, {0: 9.25, 1: 9.25}, 'gpu')
    found = results.load_all({'row': row}, tmp_path)['row']
    means = {kind: result.values['NLL'].mean for kind, result in found.items()}
    assert means == {'cpu': 9.5, 'gpu': 9.25}


def test_a_ratio_that_was_refused_is_kept_with_its_reason(tmp_path):
    row = measured(tmp_path, {0: 9.0})
    state = FINISHED._replace(values={'NLL': math.nan}, refused={'NLL': 'losses differ'})
    progress.save(state._replace(errors={'NLL': None}), row, 0, tmp_path / 'runs')
    assert math.isnan(progress.load(row, 0, tmp_path / 'runs').values['NLL'])
    results.write(row, tmp_path / 'runs', tmp_path)
    result = results.load(row, 'cpu', tmp_path)
    assert result.values['NLL'].refused == 'losses differ'
    assert result.verdict(row) == 'partial, OUTSIDE'
    assert tables.number(result.values['NLL']) == 'none (losses differ)'


def test_values_that_a_benchmark_did_not_reach_do_not_lose_the_others(tmp_path):
    row = measured(tmp_path, {0: 9.0})
    row = row._replace(config='', benchmark='speed', values={'a': 'arms.a.ms', 'b': 'arms.b.ms'})
    folder = commands.folder_of(row, 0, tmp_path)
    folder.mkdir(parents=True)
    files.write_json(folder / commands.OUT, {'arms': {'a': {'ms': 2.0}}})
    ended = progress.with_values(progress.Progress(), row, 0, tmp_path)
    assert ended.values['a'] == 2.0 and math.isnan(ended.values['b'])
    assert ended.refused == {'b': progress.NOT_REACHED}
    files.write_json(folder / commands.OUT, {'arms': {'a': {'refused': 'no memory'}}})
    ended = progress.with_values(progress.Progress(), row, 0, tmp_path)
    assert ended.refused == {'a': 'no memory', 'b': progress.NOT_REACHED}
    files.write_json(folder / commands.OUT, {'arms': {}})
    with pytest.raises(UserError, match='has no arms.b'):
        progress.with_values(progress.Progress(), row, 0, tmp_path)


def test_a_changed_row_makes_its_result_stale(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 9.0})
    changed = row._replace(overrides={'train.steps': 3})
    assert results.load(changed, 'cpu', tmp_path).verdict(changed) == 'stale'
    assert progress.path_of(changed, 0, tmp_path) != progress.path_of(row, 0, tmp_path)
    more_seeds = row._replace(seeds=(0, 1, 2))
    assert results.load(more_seeds, 'cpu', tmp_path).verdict(more_seeds) == 'partial, inside'
    retitled = row._replace(title='another', priority=3)
    assert results.load(retitled, 'cpu', tmp_path).verdict(retitled) == 'inside'


def test_a_finished_result_stays_until_all_seeds_are_measured_again(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 9.0})
    for seed in row.seeds:  # the results are in git, the runs are not
        progress.path_of(row, seed, tmp_path / 'runs').unlink()
    measured(tmp_path, {0: 8.0}, at=LATER)
    assert results.load(row, 'cpu', tmp_path).values['NLL'].each == (9.0, 9.0)
    measured(tmp_path, {1: 8.0}, at=LATER)
    assert results.load(row, 'cpu', tmp_path).values['NLL'].each == (8.0, 8.0)


def stays_because_the_runs_are_older(tmp_path, before, runs):
    """Whether a whole result of the time `before` stays beside runs of other times and values."""
    row = measured(tmp_path, {0: 9.0, 1: 9.0}, at=before, commit='new')
    text = (tmp_path / 'row.cpu.json').read_text()
    for seed, at in enumerate(runs):
        state = progress.load(row, seed, tmp_path / 'runs')
        machine = state.machine | {'commit': 'old'}
        state = state._replace(values={'NLL': 8.0}, machine=machine, measured=at)
        progress.save(state, row, seed, tmp_path / 'runs')
    results.write(row, tmp_path / 'runs', tmp_path)
    return (tmp_path / 'row.cpu.json').read_text() == text


@pytest.mark.parametrize(
    ('before', 'runs'),
    [
        (LATER, (EARLIER, EARLIER)),
        (LATER, (EARLIER, '2026-11-28T21:40:06Z')),  # one of them is older
        (LATER, ('', '')),  # an earlier version measured them
        ('', ('', '')),
    ],
)
def test_a_whole_result_is_not_replaced_by_older_runs(before, runs, tmp_path, caplog):
    assert stays_because_the_runs_are_older(tmp_path, before, runs)
    (warning,) = {record.getMessage() for record in caplog.records}
    assert '(commit new) stays' in warning and '(commit old)' in warning
    folder = warning.partition('remove that folder')[0].partition('the runs in ')[2].split()[0]
    assert folder == str(next((tmp_path / 'runs').glob('row-*')))


@pytest.mark.parametrize(
    ('before', 'runs'), [(EARLIER, (LATER, LATER)), (LATER, (LATER, LATER)), ('', (LATER, LATER))]
)
def test_a_whole_result_is_replaced_by_runs_that_are_not_older(before, runs, tmp_path, caplog):
    assert not stays_because_the_runs_are_older(tmp_path, before, runs)
    assert not caplog.records


def test_nothing_is_said_of_older_runs_with_the_values_of_the_result(tmp_path, caplog):
    row = measured(tmp_path, {0: 9.0, 1: 9.5}, at=LATER)
    text = (tmp_path / 'row.cpu.json').read_text()
    for seed in row.seeds:
        state = progress.load(row, seed, tmp_path / 'runs')
        progress.save(state._replace(measured=''), row, seed, tmp_path / 'runs')
    results.write(row, tmp_path / 'runs', tmp_path)
    assert (tmp_path / 'row.cpu.json').read_text() == text and not caplog.records


def of_value(content, **changes):
    return content | {'values': {'NLL': content['values']['NLL'] | changes}}


def test_texts_of_a_file_are_no_markup(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 9.0})
    path = tmp_path / 'row.cpu.json'
    content = example_rows.json_of(path)
    content['machines'][0]['processor'] = '<script> | [a](b) {{ row.NLL }}'
    content['definition'] = 'another'
    content['values'] = {'<img> `NLL`': content['values']['NLL']}
    files.write_json(path, {name: x for name, x in content.items() if name != 'checksum'})
    found = {'row': {'cpu': results.load(row, 'cpu', tmp_path)}}
    (line,) = [
        x for x in tables.section('examples', {'row': row}, found).splitlines() if '`row`' in x
    ]
    assert r'\<script\> \| \[a\](b) \{\{ row.NLL \}\}' in line and r'**\<img\> \`NLL\` 9**' in line
    assert len(tables.number(results.Value(9.0, 1e300, None, (9.0,)))) < 20


def test_a_hostile_or_broken_file_ends_in_one_line(tmp_path):
    row = measured(tmp_path, {0: 9.0, 1: 9.0})
    path = tmp_path / 'row.cpu.json'
    good = example_rows.json_of(path)
    good.pop('checksum')
    machine = good['machines'][0]
    wrong = [
        {},
        *(good | {'seeds': seeds} for seeds in ([0, 1e999], [0, 0], [], [0], list(range(9999)))),
        *(good | {'seconds': seconds} for seconds in ([], [1.0, 1e999], ['1', '2'])),
        *(
            good | {'machines': [machine | {'device': text}]}
            for text in ('\x1b[2J', 'a\nb', 'a' * 999)
        ),
        *(good | {'machines': machines} for machines in ([], [machine | {'kind': 'gpu'}])),
        good | {'machines': [machine | {'cores': 10**400}]},
        good | {'definition': 'another', 'values': {}},
        of_value(good, mean=8.0),  # not that of its seeds
        of_value(good, mean=True),
        of_value(good, mean=10**400),
        of_value(good, sd=1e999),
        of_value(good, each=[[9.0], [9.0]]),
        of_value(good, refused='a\nb'),
        good | {'row': 'another'},
        good | {'values': [1]},
        good | {'values': {'NLL': {'mean': 'text', 'sd': None, 'error': None, 'each': [1]}}},
        good | {'values': {}},
        good | {'seeds': None},
        good | {'machines': 'a card'},
        good | {'machines': [{'kind': 'cpu'}]},
        good | {'load': {}},
        *(good | {'measured': time} for time in (None, 7, 'yesterday', f'{LATER}\n')),
    ]
    for content in wrong:
        path.write_text(json.dumps(content).replace('Infinity', '1e999'))
        with pytest.raises(UserError, match='row.cpu.json is damaged') as error:
            results.load(row, 'cpu', tmp_path)
        assert '\n' not in str(error.value)
    for text in ('', '{', '[1]', '{"a": NaN}', '[' * 100_000):
        path.write_text(text)
        with pytest.raises(UserError, match='row.cpu.json is damaged'):
            results.load(row, 'cpu', tmp_path)
    files.write_json(path, good)
    path.write_text(path.read_text().replace('"mean": 9.0', '"mean": 8.0'))
    with pytest.raises(UserError, match='changed after it was written'):
        results.load(row, 'cpu', tmp_path)
