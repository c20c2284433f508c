"""--mode=text: behind a prompt, longer than a window, and the same whoever asks."""

import shutil

import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

import train_lib
from atelier.applications import anomaly, perform, sample, text
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.run import restore, run_folder

pytestmark = pytest.mark.usefixtures('quick_compilation', 'one_device')

TEXT = 'abcabcabd' * 400


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Counts of a text in which what follows is certain after two symbols, or nearly."""
    folder = tmp_path_factory.mktemp('text')
    (folder / 'mine.txt').write_text(TEXT)
    changes = dict(data__path=str(folder / 'mine.txt'), data__context=8, model__order=2)
    run = assembled(folder / 'run', 'markov', 'debug', **changes)
    train_lib.train(run)
    return run


def test_texts_begin_with_the_prompt_and_are_as_long_as_asked_for(run, capsys):
    told = text.apply(run, prompt='abca', num_characters=30, num_samples=2, seed=1)
    assert [len(one) for one in told] == [34, 34]
    assert all(one.startswith('abca') for one in told)
    assert all(one.count('b') > 5 for one in told)
    path = run.folder / 'applications' / 'text-seed-1.txt'
    assert [one.strip() for one in path.read_text().split('-' * 72)] == told
    assert told[1] in capsys.readouterr().out
    x = np.load(path.with_suffix('.npz'))['x']
    assert [''.join('abcd'[i] for i in row) for row in x] == told


def test_more_of_them_and_longer_ones_begin_with_the_same(run):
    few = text.apply(run, num_characters=3, num_samples=2)
    many = text.apply(run, num_characters=21, num_samples=3)
    assert [one[:3] for one in many[:2]] == few
    assert text.apply(run, num_characters=21, num_samples=3, seed=1) != many


def test_a_prompt_may_be_longer_than_a_window(run):
    (told,) = text.apply(run, prompt=TEXT[:50], num_characters=5, num_samples=1)
    assert told[:50] == TEXT[:50]
    assert len(told) == 55


def test_each_window_is_given_half_a_context(run):
    """Of a text that always goes on in the same way, at temperature 0."""
    always = assembled(
        run.folder,
        'markov',
        'debug',
        data__path=run.config.data.path,
        data__context=8,
        model__order=2,
        eval__sampler__temperature=0.0,
    )
    (told,) = text.apply(always, prompt='abd', num_characters=60, num_samples=1)
    assert told == 'abd' + ('abc' * 20)  # c follows ab twice as often as d
    made = run.folder / 'applications' / 'text-seed-0-temperature-0.0.txt'
    assert made.read_text().strip() == told  # and that of temperature 1 is kept


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(prompt='abex'), "--prompt='abex': 'e' is outside the vocabulary: abcd"),
        (dict(num_characters=0), '--num_characters=0'),
        (dict(num_samples=0), '--num_samples=0'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_what_cannot_be_written_is_refused(run, options, message):
    with pytest.raises(UserError, match=message):
        text.apply(run, **options)


def test_the_text_that_it_was_trained_on_need_not_be_there(run):
    before = text.apply(run, prompt='ab', num_characters=20)
    shutil.move(run.config.data.path, f'{run.config.data.path}.moved')
    try:
        again = run_folder.reopen(run.folder, data=text.data(run.folder, prompt='ab'))
    finally:
        shutil.move(f'{run.config.data.path}.moved', run.config.data.path)
    assert text.apply(again, prompt='ab', num_characters=20) == before


def test_a_run_of_no_text_keeps_its_data(tiny_run):
    made = tiny_run()
    made.folder.mkdir()
    run_folder.write_config(made, 1)
    assert text.data(made.folder) is None


def test_another_family_lacks_it(run):
    with pytest.raises(UserError, match='lacks extend'):
        perform(text.APPLICATION, with_abilities(run))


def test_samples_are_texts_too(run, capsys):
    x = sample.apply(run, num_samples=7)
    path = run.folder / 'samples' / 'seed-0.txt'
    assert len(path.read_text().split('-' * 72)) == 7
    assert capsys.readouterr().out.count('-' * 72) == sample.MAX_PRINTED - 1
    assert x.shape == (7, 8)
    assert (run.folder / 'samples' / 'samples-0000001.txt').exists()


def test_an_anomaly_score_is_of_a_whole_window(run):
    found = anomaly.apply(run, num_images=2)
    whole = {'num_scored': np.full(len(found['score']), 8, np.int32)}
    split = {**run.data.splits['test'], **whole}
    again = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': split}))
    values = evaluate.evaluate(again)['values']['nll_nats']
    np.testing.assert_allclose(found['score'].mean(), values['mean'], rtol=1e-5)


def test_weights_of_another_alphabet_are_refused(run, tmp_path):
    folder = tmp_path / 'kept'
    folder.mkdir()
    run_folder.write_config(run._replace(folder=folder), 1, run.data.fingerprint())
    symbols = run.data.spec.symbols[::-1]
    other = run._replace(data=run.data._replace(spec=run.data.spec._replace(symbols=symbols)))
    with pytest.raises(UserError, match='are of other symbols than'):
        restore.fitting_weights(other, folder)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['char_lm', 'char_gru'])
def test_networks_are_trained_evaluated_and_write(tmp_path, name):
    run = few_of_test(assembled(tmp_path, name, 'debug'), 40)
    train_lib.train(run)
    found = evaluate.evaluate(run)
    assert found['log_prob'] == 'exact, given at most 15 characters before'
    per_window = found['values']['nll_nats']['mean'] / found['values']['nats_per_character']['mean']
    np.testing.assert_allclose(per_window, run.data.scored_dims('test'))
    told = text.apply(run, prompt='The ', num_characters=30, num_samples=2)
    assert [len(one) for one in told] == [34, 34] and all(one[:4] == 'The ' for one in told)


def test_the_evaluation_says_of_what(run):
    result = evaluate.evaluate(run)
    assert result['log_prob'] == 'exact, given at most 2 characters before'
    values = {name: value['mean'] for name, value in result['values'].items()}
    total = values['nll_nats'] * result['data']['examples']
    np.testing.assert_allclose(values['nats_per_character'], total / 360, rtol=1e-6)
    assert result['samples'] == {}
