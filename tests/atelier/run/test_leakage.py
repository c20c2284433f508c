"""Warnings of held-out examples that another run was trained on: when, how many, and when not."""

import json
import re

import jax
import numpy as np
import pytest
from PIL import Image
from support import recipe_and_config

import train_lib
from atelier import checkout, files
from atelier.run import experiment, leakage, run_folder

N = 600
X = np.random.RandomState(0).randint(0, 9, (N + 50, 6))


def saved(path, x, **more):
    np.savez(path, x=x, levels=9, **more)
    return str(path)


@pytest.fixture
def before(tmp_path):
    return saved(tmp_path / 'before.npz', X[:N])


@pytest.fixture
def after(tmp_path):
    return saved(tmp_path / 'after.npz', X)


def assembled(folder, path, init_from=None, name='arrays', **changes):
    settings = dict(data__path=path, train__steps=5, **changes)
    which, config = recipe_and_config(f'{name},debug', **settings)
    return experiment.assemble(folder, which, config, init_from=init_from)


def recorded(folder, path, init_from=None, **changes):
    """The folder of a run that has begun."""
    run = assembled(folder, path, init_from, **changes)
    folder.mkdir()
    run_folder.write_config(run, 1)
    return folder


def rows_of(run, *splits):
    return {row.tobytes() for split in splits for row in run.data.splits[split]['x']}


def warning_of(run, source, caplog, splits=leakage.HELD_OUT):
    caplog.clear()
    leakage.warn_of_leakage(run, source, splits)
    assert len(caplog.messages) < 2
    return caplog.text


def test_with_more_rows_no_held_out_example_was_trained_on(before, after, tmp_path, caplog):
    source = recorded(tmp_path / 'first', before)
    run = assembled(tmp_path / 'second', after)
    assert warning_of(run, source, caplog) == ''
    first = run_folder.reopen(source)
    assert not rows_of(first, 'train') & rows_of(run, 'valid', 'test')
    assert sum(run.data.size(split) for split in run.data.splits) == N + 50


@pytest.mark.slow
def test_a_run_warns_where_it_takes_its_weights(before, after, tmp_path, caplog):
    """Once, at its beginning, and only if the rule or the data give a reason."""
    one = jax.devices()[:1]
    first = assembled(tmp_path / 'first', before)
    train_lib.train(first, one)
    train_lib.train(assembled(tmp_path / 'second', after, str(first.folder)), one)
    assert 'was trained on other data' not in caplog.text
    third = assembled(tmp_path / 'third', after, str(first.folder), data__split_by='order')
    for _ in range(2):
        train_lib.train(third, one)
    assert caplog.text.count('was trained on other data') == 1


def test_by_order_the_examples_are_counted(before, after, tmp_path, caplog):
    source = recorded(tmp_path / 'first', before, data__split_by='order')
    run = assembled(tmp_path / 'second', after, data__split_by='order')
    trained = {row.tobytes() for row in run_folder.reopen(source).data.splits['train']['x']}
    counts = {
        split: sum(row.tobytes() in trained for row in run.data.splits[split]['x'])
        for split in leakage.HELD_OUT
    }
    assert min(counts.values()) > 0
    line = warning_of(run, source, caplog)
    assert f'{source} was trained on other data (arrays {before})' in line
    assert f'{counts["valid"]} of the {run.data.size("valid")} valid and ' in line
    assert f'{counts["test"]} of the {run.data.size("test")} test examples of this run' in line
    line = warning_of(run, source, caplog, ('test',))
    assert f'include {counts["test"]} of the {run.data.size("test")} test examples' in line


@pytest.mark.parametrize('binarize', ['threshold', 'stochastic'])
def test_a_binarised_split_is_compared_as_stored(before, tmp_path, caplog, binarize):
    """The held-out draws of a stochastic binarisation differ from the training levels."""
    source = recorded(tmp_path / 'first', before, data__binarize=binarize)
    same = assembled(tmp_path / 'second', before, data__binarize=binarize)
    assert warning_of(same, source, caplog) == ''
    other = assembled(tmp_path / 'third', before, data__binarize=binarize, data__split_by='order')
    assert f'of the {other.data.size("test")} test examples' in warning_of(other, source, caplog)


def test_the_same_data_and_rule_need_no_warning(before, tmp_path, caplog):
    for rule in ('content', 'order'):
        source = recorded(tmp_path / rule, before, data__split_by=rule)
        run = assembled(tmp_path / 'next', before, data__split_by=rule)
        assert warning_of(run, source, caplog) == ''


def test_a_split_that_the_other_run_held_out_too_is_not_mentioned(before, tmp_path, caplog):
    """With more validation examples of published splits, only some of those were trained on."""
    parts = dict(x_train=X[:400], x_test=X[400:500])
    np.savez(tmp_path / 'own.npz', levels=9, **parts)
    own = dict(path=str(tmp_path / 'own.npz'), data__split_by='order')
    source = recorded(tmp_path / 'first', **own, data__num_valid=20)
    line = warning_of(assembled(tmp_path / 'next', **own, data__num_valid=60), source, caplog)
    assert '40 of the 60 valid examples' in line
    assert 'test' not in line.partition('include')[2]
    source = recorded(tmp_path / 'other', **own, data__num_valid=60)
    fewer = assembled(tmp_path / 'next', **own, data__num_valid=20)
    assert warning_of(fewer, source, caplog) == ''  # they are counted: none


def test_what_cannot_be_compared_is_said(before, after, tmp_path, caplog):
    source = recorded(tmp_path / 'first', before, data__split_by='order')
    run = assembled(tmp_path / 'second', after)
    (tmp_path / 'before.npz').unlink()
    line = warning_of(run, source, caplog)
    assert 'which may include valid and test examples of this run' in line
    saved(before, X[:-20])  # other data than those of the run
    assert 'which may include' in warning_of(run, source, caplog)
    path = source / 'config.json'
    record = files.read_json(path)
    path.write_text(json.dumps({**record, 'data': 'train:1000 0badcafe'}))  # an earlier version
    assert 'which may include' in warning_of(run, source, caplog)


def test_pictures_are_counted_if_both_runs_read_the_folder(tmp_path, cache, caplog):
    """Another run could name a folder of any size."""
    for folder in ('here', 'there'):
        (tmp_path / folder).mkdir()
        for i in range(80):
            Image.new('L', (4, 4), i).save(tmp_path / folder / f'{i}.bmp')
    here, there = ({'path': str(tmp_path / name), 'name': 'folder'} for name in ('here', 'there'))
    run = assembled(tmp_path / 'run', **here)
    source = recorded(tmp_path / 'first', **here, data__split_by='order')
    counts = re.findall(r'(\d+) of the (\d+) \w+', warning_of(run, source, caplog))
    assert [int(size) for _, size in counts] == [run.data.size('valid'), run.data.size('test')]
    assert sum(int(count) for count, _ in counts) > 0
    source = recorded(tmp_path / 'second', **there, data__split_by='order')
    assert 'which may include' in warning_of(run, source, caplog)
    source = recorded(tmp_path / 'third', **there, data__image_shape=(2, 2, 1))
    assert warning_of(run, source, caplog) == ''  # the same files are held out at any size


def test_digits_and_other_data(before, tmp_path, caplog):
    digits = recorded(tmp_path / 'digits', '', name='digits')
    assert warning_of(assembled(tmp_path / 'next', '', name='digits'), digits, caplog) == ''
    run = assembled(tmp_path / 'other', before)
    line = warning_of(run, digits, caplog)
    assert 'was trained on other data (digits), which may include' in line


def test_the_runs_that_a_run_began_with_count(before, after, tmp_path, caplog):
    """The weights went through a run whose own data were split alike."""
    first = recorded(tmp_path / 'first', before, data__split_by='order')
    second = recorded(tmp_path / 'second', before, init_from=str(first))
    run = assembled(tmp_path / 'third', after)
    assert f'{first} was trained on other data' in warning_of(run, second, caplog)
    (first / 'config.json').unlink()
    assert f'{first} cannot be read' in warning_of(run, second, caplog)


def test_text_that_was_appended_holds_out_nothing_that_was_trained_on(tmp_path, caplog):
    text = ''.join('abcdefgh'[i] for i in np.random.RandomState(0).randint(0, 8, 4000))
    (tmp_path / 'mine.txt').write_text(text[:3000])
    source = recorded_text(tmp_path / 'first', tmp_path / 'mine.txt')
    (tmp_path / 'mine.txt').write_text(text)
    run = text_run(tmp_path / 'second', tmp_path / 'mine.txt')
    assert warning_of(run, source, caplog) == ''
    (tmp_path / 'mine.txt').write_text(text[1000:])
    run = text_run(tmp_path / 'third', tmp_path / 'mine.txt')
    assert 'which may include valid and test examples' in warning_of(run, source, caplog)


@pytest.mark.parametrize('other', [dict(split_by='order'), dict(valid_share=0.0)])
def test_text_by_content_may_be_appended(tmp_path, caplog, other):
    rng, path = np.random.RandomState(0), tmp_path / 'mine.txt'
    text = ''.join('abcdefg\n'[i] for i in rng.randint(0, 8, 80_000))
    content = dict(data__split_by='content')
    path.write_text(text[:60_000])
    source = recorded_text(tmp_path / 'first', path, **content)
    settings = content | {f'data__{name}': value for name, value in other.items()}
    trained_on_more = recorded_text(tmp_path / 'other', path, **settings)
    path.write_text(text)
    run = text_run(tmp_path / 'second', path, **content)
    assert warning_of(run, source, caplog) == ''
    assert 'which may include valid and test examples' in warning_of(run, trained_on_more, caplog)


def text_run(folder, path, **settings):
    file, settings = f'{checkout.ROOT}/configs/char_lm.py', dict(data__split_by='order') | settings
    which, config = recipe_and_config('text,debug', file, data__path=str(path), **settings)
    return experiment.assemble(folder, which, config)


def recorded_text(folder, path, **settings):
    run = text_run(folder, path, **settings)
    folder.mkdir()
    run_folder.write_config(run, 1)
    return folder
