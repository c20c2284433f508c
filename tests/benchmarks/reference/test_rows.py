"""Every row is valid: its config has its overrides, its modes exist, its values can be paths."""

import ast
import importlib.util
import pathlib

import jax
import pytest
from support import assembled

import train_lib
from atelier import checkout, cli, files
from atelier.errors import UserError
from atelier.evaluation import evaluate
from benchmarks.reference import commands, progress, rows, value_paths

ROWS = rows.load()
ROW = """
[[row]]
name = 'vae'
title = 'VAE'
section = 'digits'
unit = 'nats'
config = 'configs/vae.py'
values = {NLL = 'values.nll_nats.mean'}
target = {value = 88.3, tolerance = 0.5, direction = 'equal'}
minutes = {cpu = 1}
priority = 1
"""

TARGET = "{value = 1.0, tolerance = 0.0, direction = 'lower'}"


def of_text(folder, text):
    (folder / 'rows.toml').write_text(text)
    return rows.load(folder)


def test_there_are_enough_rows_of_every_kind():
    assert len(ROWS) >= 24
    assert sum('cpu' in row.minutes for row in ROWS.values()) >= 14
    assert sum('gpu' in row.minutes for row in ROWS.values()) >= 24
    assert len({row.definition for row in ROWS.values()}) == len(ROWS)


def test_what_is_asked_of_a_card_fits_into_eight_minutes():
    """Correctness, start, speed, precision and memory, before any row that trains a model."""
    first = [row for row in ROWS.values() if 'gpu' in row.minutes and row.priority > 86]
    assert len(first) == 10 and all(row.benchmark for row in first)
    assert sum(row.minutes['gpu'] for row in first) <= 8
    for row in first:  # a benchmark ends in the time that the schedule reserves for it
        (seconds,) = [float(f.split('=')[1]) for f in row.flags if f.startswith('--seconds=')]
        assert seconds <= 60 * row.minutes['gpu'] + 0.5


@pytest.mark.parametrize('name', [name for name, row in ROWS.items() if row.config])
def test_a_config_accepts_the_overrides_of_its_row(name):
    """`parse` refuses an unknown field, a value of another kind, and an unknown mode or flag."""
    train, *modes = commands.lines(ROWS[name], 0)
    parsed = cli.parse(train[1:])
    for field, value in ROWS[name].overrides.items():
        found = parsed.values.config
        for part in field.split('.'):
            found = found[part]
        is_path = str(value).startswith(('DATA', 'RUN'))
        assert found == value or is_path or found == ast.literal_eval(value), field
    for mode in modes:  # the config of the run stands for itself
        cli.parse([*mode[1:], train[2], '--config.seed=0'])


@pytest.fixture(scope='module')
def debug_run(tmp_path_factory):
    """(file of a config, argument, fields) -> the folder of the trained and evaluated run."""
    folders = {}

    def trained(config, argument, **changes):
        which = config, argument, *changes.items()
        if which not in folders:
            folders[which] = tmp_path_factory.mktemp('runs') / 'run'
            name = pathlib.Path(config).stem
            run = assembled(folders[which], name, argument, train__steps=10, **changes)
            train_lib.train(run, jax.devices()[:1])
            evaluate.evaluate(run, jax.devices()[:1], reuse=True)
        return folders[which]

    return trained


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name, row in ROWS.items() if row.parent])
def test_an_evaluation_of_codes_has_the_values_of_its_row(name, debug_run):
    """On the codes of the debug variant of its parent, by the features of that of a classifier."""
    row = ROWS[name]
    parent = ROWS[row.parent].config.partition(':')[0]
    changes = {'data__run': str(debug_run(parent, 'digits,debug'))}
    if 'eval.classifier' in row.overrides:
        classifier = debug_run('configs/classifier.py', 'digits,debug')
        changes['eval__classifier'] = str(classifier)
    config, _, argument = row.config.partition(':')
    folder = debug_run(config, f'{argument},debug', **changes)
    for path in row.values.values():
        value_paths.read(path, folder, 'evaluation.json')


@pytest.mark.parametrize('name', [name for name, row in ROWS.items() if row.benchmark])
def test_the_benchmark_of_a_row_has_its_flags(name):
    row = ROWS[name]
    text = (checkout.ROOT / 'benchmarks' / f'{row.benchmark}.py').read_text()
    if '.run(main)' in text:  # of `outcome` or `workers`: has the flags of every measurement
        text += (checkout.ROOT / 'benchmarks' / 'outcome.py').read_text()
    if 'workers.run(main)' in text:
        text += (checkout.ROOT / 'benchmarks' / 'workers.py').read_text()
    for word in [*row.flags, '--json']:
        flag = word.removeprefix('--').partition('=')[0]
        assert f"'{flag}'" in text or f"'{flag.removeprefix('no')}'" in text, flag
    assert importlib.util.find_spec(f'benchmarks.{row.benchmark}')


@pytest.mark.parametrize('name', ROWS)
def test_a_row_says_what_it_stands_beside(name):
    row = ROWS[name]
    assert row.unit and row.budget and all(t.tolerance >= 0 for t in row.all_targets.values())
    assert all(minutes > 0 for minutes in row.minutes.values())
    if row.published:
        assert row.published.source and row.published.setting and row.published.budget
    assert row.alone or row.continues
    words = [word for line in commands.lines(row, 0) for word in line]
    assert bool(row.data) == any('DATA/' in word for word in words)
    assert all(any(f'DATA/{data.partition("/")[0]}' in word for word in words) for data in row.data)


def test_the_definition_changes_with_what_is_measured_only(tmp_path):
    row = of_text(tmp_path, ROW)['vae']
    assert row.headline == 'NLL' and row.seeds == (0,) and row.continues
    other = of_text(tmp_path, ROW.replace("'VAE'", "'A VAE'").replace('0.5', '0.4'))['vae']
    assert other != row and other.definition == row.definition
    two = ROW.replace("mean'}", "mean', KL = 'values.kl_nats.mean'}")
    with_target = of_text(tmp_path, two + f'targets = {{KL = {TARGET}}}')['vae']
    assert with_target.definition == of_text(tmp_path, two)['vae'].definition
    assert [*with_target.all_targets] == ['NLL', 'KL']
    for old, new in [('nll_nats', 'kl_nats'), ('vae.py', 'conv_vae.py'), ('NLL', 'likelihood')]:
        assert of_text(tmp_path, ROW.replace(old, new))['vae'].definition != row.definition
    changed = of_text(tmp_path, ROW + "overrides = {'hypers.beta' = 2}\n")['vae']
    assert changed.definition != row.definition
    assert commands.lines(changed, 3)[0][2:5] == [
        '--config=configs/vae.py',
        '--config.seed=3',
        '--config.hypers.beta=2',
    ]


def test_the_definition_changes_with_that_of_a_needed_row(tmp_path):
    """Another parent has other codes: results of its child are stale."""
    child = ROW.replace("'vae'", "'child'") + "parent = 'vae'\n"
    known = of_text(tmp_path, ROW + child)
    assert known['child'].needed == {'vae': known['vae'].definition}
    other = of_text(tmp_path, ROW + "overrides = {'hypers.beta' = 2}\n" + child)
    assert other['child'].definition != known['child'].definition
    assert '--config.data.run=RUN(vae)' in commands.lines(known['child'], 0)[0]
    with pytest.raises(UserError, match='row child needs vae, without minutes of a gpu'):
        of_text(tmp_path, ROW + child.replace('cpu = 1', 'gpu = 1'))


@pytest.mark.parametrize(
    ('direction', 'inside', 'outside'),
    [
        ('lower', (-90.0, 10.0, 10.5), (10.51, float('nan'))),
        ('higher', (9.5, 11.0, 200.0), (9.49, float('inf'))),
        ('equal', (9.5, 10.5), (9.4, 10.6, float('nan'))),
    ],
)
def test_a_target_has_a_direction_and_a_tolerance(direction, inside, outside):
    target = rows.Target(10.0, 0.5, direction)
    assert all(map(target.holds, inside)) and not any(map(target.holds, outside))


def test_a_target_may_be_asked_of_some_kinds_of_machines(tmp_path):
    two = ROW.replace("mean'}", "mean', KL = 'values.kl_nats.mean'}")
    of_card = TARGET.replace('}', ", kinds = ['gpu', 'tpu']}")
    row = of_text(tmp_path, two + f'targets = {{KL = {of_card}}}')['vae']
    assert row.targets['KL'].kinds == ('gpu', 'tpu') and row.target.kinds == rows.KINDS
    for kinds, message in [
        ("'gpu'", 'kinds = .* is of another type'),
        ("['card']", 'kinds of machines are'),
        ('[]', 'at least one kind'),
    ]:
        wrong = TARGET.replace('}', f', kinds = {kinds}}}')
        with pytest.raises(UserError, match=message):
            of_text(tmp_path, two + f'targets = {{KL = {wrong}}}')
    with pytest.raises(UserError, match='only targets of further values'):
        of_text(tmp_path, ROW.replace("'equal'}", "'equal', kinds = ['gpu']}"))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ("title = 'VAE'", '', 'it has no title'),
        ("title = 'VAE'", "titel = 'VAE'", "no field titel .did you mean 'title'?"),
        ("name = 'vae'", "name = '../vae'", 'is not of'),
        ('[[row]]', '[row]', r'tables \[\[row\]\]'),
        ("'configs/vae.py'", 'configs/vae.py', 'is not TOML'),
        ("'values.nll_nats.mean'", "'values..mean'", 'is not a path'),
        ('tolerance = 0.5, ', '', 'target: .*tolerance'),
        ("direction = 'equal'", "direction = 'below'", 'direction is one of'),
        ('cpu = 1', 'tpu4 = 1', 'kinds of machines'),
        ('priority = 1', "priority = 'high'", "priority = 'high' is of another type"),
        ('cpu = 1', "cpu = 'long'", 'minutes = .* is of another type'),
        ('cpu = 1', 'cpu = nan', 'minutes = .* is of another type'),
        ('{cpu = 1}', '1', 'minutes = 1 is of another type'),
        ("{NLL = 'values.nll_nats.mean'}", "'values.nll_nats.mean'", 'values = .* another type'),
        ('88.3', "'88.3'", "target.value = '88.3' is of another type"),
        ('88.3', 'nan', 'target.value = nan is of another type'),
        ('0.5', '-0.5', 'the tolerance is below 0'),
        ('priority = 1', 'priority = 1\nseeds = 3', 'seeds = 3 is of another type'),
        ('priority = 1', "priority = 1\nflags = '--x'", 'flags = .* is of another type'),
        ('priority = 1', "priority = 1\nmodes = ['--x']", 'modes = .* is of another type'),
        ('priority = 1', "priority = 1\nrefit = 'no'", "refit = 'no' is of another type"),
        (
            'priority = 1',
            "priority = 1\noverrides = {'a.b' = 2020-01-01}",
            'overrides = .* another',
        ),
        ('priority = 1', "priority = 1\nneeds = ['vae']", 'needs a row itself'),
        ('priority = 1', 'priority = 1\nalone = true', 'cannot be continued'),
        ('priority = 1', 'priority = 1\nseeds = [1, 1]', 'not distinct'),
        ('priority = 1', 'priority = 1\ntargets = {NLL = {}}', 'target of NLL'),
        ('priority = 1', f'priority = 1\ntargets = {{NLL = {TARGET}}}', 'no further values'),
        ('priority = 1', "priority = 1\nneeds = ['gan']", 'needs gan'),
        ('priority = 1', "priority = 1\nneeded = {gan = 'a'}", 'there is no field needed'),
        ('priority = 1', "priority = 1\nearlier = {KL = '1'}", 'earlier has other values'),
        ('priority = 1', "priority = 1\nbenchmark = 'b'", 'either a config or a benchmark'),
        ('priority = 1', "priority = 1\npublished = {value = 1.0, source = ''}", 'no source'),
    ],
)
def test_a_wrong_row_is_refused_in_one_line(old, new, message, tmp_path):
    with pytest.raises(UserError, match=message):
        of_text(tmp_path, ROW.replace(old, new))


def test_two_rows_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match='two rows vae'):
        of_text(tmp_path, ROW + ROW)


def test_the_values_of_a_refit_are_those_of_its_folder(tmp_path):
    row = of_text(tmp_path, ROW)['vae']
    refit = of_text(tmp_path, ROW + 'refit = true')['vae']
    (line,) = commands.lines(refit, 0)
    assert [word for word in line if word not in commands.lines(row, 0)[0]] == ['--refit']
    assert row.definition != refit.definition
    run = commands.folder_of(refit, 0, tmp_path)
    assert commands.measured_folder(row, 0, tmp_path) == commands.folder_of(row, 0, tmp_path)
    value = {'nll_nats': {'mean': 9.0, 'standard_error': 0.5}}
    run.with_name('seed-0-refit').mkdir(parents=True)
    files.write_json(run.with_name('seed-0-refit') / 'evaluation.json', {'values': value})
    ended = progress.with_values(progress.Progress(), refit, 0, tmp_path)
    assert ended.values == {'NLL': 9.0} and ended.errors == {'NLL': 0.5}
