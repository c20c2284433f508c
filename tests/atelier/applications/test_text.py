"""--mode=text: prompts, texts longer than a context window, and reproducible samples."""

import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

import train_lib
from atelier.applications import anomaly, perform, sample, text
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.run import restore, run_folder

pytestmark = pytest.mark.usefixtures('one_device')

TEXT = 'abcabcabd' * 400


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Returns an n-gram model in which the next token is almost certain after two tokens."""
    folder = tmp_path_factory.mktemp('text')
    (folder / 'mine.txt').write_text(TEXT)
    fields = dict(data__path=str(folder / 'mine.txt'), data__split_by='order')
    fields |= dict(data__context=8, model__order=2)
    run = assembled(folder / 'run', 'markov', 'debug', **fields)
    train_lib.train(run)
    return run


def test_texts_start_with_the_prompt_and_have_the_requested_length(run, capsys):
    texts = text.apply(run, prompt='abca', num_characters=30, num_samples=2, seed=1)
    assert [len(each) for each in texts] == [34, 34]
    assert all(each.startswith('abca') for each in texts)
    assert all(each.count('b') > 5 for each in texts)
    path = run.folder / 'applications' / 'text-seed-1-prompt-abca.txt'
    assert [each.strip() for each in path.read_text().split('-' * 72)] == texts
    assert texts[1] in capsys.readouterr().out
    x = np.load(path.with_suffix('.npz'))['x']
    assert [''.join('abcd'[i] for i in row) for row in x] == texts


@pytest.mark.slow
def test_each_prompt_has_a_file(run):
    """A long prompt, and one of other characters, has a checksum in the name."""
    files = lambda: {path.name for path in (run.folder / 'applications').glob('text-seed-5*.txt')}
    for count, prompt in enumerate(['a', 'ab', 'ab' * 200, 'ab' * 201], 1):
        text.apply(run, prompt=prompt, num_characters=2, num_samples=1, seed=5)
        assert len(files()) == count
    assert files() > {'text-seed-5-prompt-a.txt', 'text-seed-5-prompt-ab.txt'}
    before = files()
    text.apply(run, prompt='ab', num_characters=2, num_samples=1, seed=5)
    assert files() == before


@pytest.mark.slow
def test_more_and_longer_texts_keep_the_first_characters(run):
    few = text.apply(run, num_characters=3, num_samples=2)
    many = text.apply(run, num_characters=21, num_samples=3)
    assert [one[:3] for one in many[:2]] == few
    assert text.apply(run, num_characters=21, num_samples=3, seed=1) != many


def test_a_prompt_may_be_longer_than_a_window(run):
    (written,) = text.apply(run, prompt=TEXT[:50], num_characters=5, num_samples=1)
    assert written[:50] == TEXT[:50]
    assert len(written) == 55


@pytest.mark.slow
def test_each_window_is_given_half_a_context(run):
    """At temperature 0 the text continues deterministically."""
    always = assembled(
        run.folder,
        'markov',
        'debug',
        data__path=run.config.data.path,
        data__split_by='order',
        data__context=8,
        model__order=2,
        eval__sampler__temperature=0.0,
    )
    (written,) = text.apply(always, prompt='abd', num_characters=60, num_samples=1)
    assert written == 'abd' + ('abc' * 20)  # c follows ab twice as often as d
    path = run.folder / 'applications' / 'text-seed-0-prompt-abd-temperature-0.0.txt'
    assert path.read_text().strip() == written  # the file of temperature 1 stays


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(prompt='abex'), "--prompt='abex': 'e' is outside the vocabulary: abcd"),
        (dict(num_characters=0), '--num_characters=0'),
        (dict(num_samples=0), '--num_samples=0'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_bad_options_are_refused(run, options, message):
    with pytest.raises(UserError, match=message):
        text.apply(run, **options)


def test_a_missing_ability_is_named(run):
    with pytest.raises(UserError, match='has no text continuation'):
        perform(text.APPLICATION, with_abilities(run))


def test_samples_of_text_models_are_texts(run, capsys):
    x = sample.apply(run, num_samples=7)
    path = run.folder / 'samples' / 'seed-0.txt'
    assert len(path.read_text().split('-' * 72)) == 7
    assert capsys.readouterr().out.count('-' * 72) == sample.MAX_PRINTED - 1
    assert x.shape == (7, 8)
    assert (run.folder / 'samples' / 'samples-0000001.txt').exists()


@pytest.mark.slow
def test_an_anomaly_score_is_of_a_whole_window(run):
    arrays = anomaly.apply(run, num_images=2)
    whole = {'num_scored': np.full(len(arrays['score']), 8, np.int32)}
    split = {**run.data.splits['test'], **whole}
    whole_windows = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': split}))
    values = evaluate.evaluate(whole_windows)['values']['nll_nats']
    np.testing.assert_allclose(arrays['score'].mean(), values['mean'], rtol=1e-5)


def test_weights_of_another_alphabet_are_refused(run, tmp_path):
    folder = tmp_path / 'kept'
    folder.mkdir()
    run_folder.write_config(run._replace(folder=folder), 1, run.data.fingerprint())
    symbols = run.data.spec.symbols[::-1]
    other = run._replace(data=run.data._replace(spec=run.data.spec._replace(symbols=symbols)))
    with pytest.raises(UserError, match='are for other symbols than'):
        restore.fitting_weights(other, folder)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['char_lm', 'char_gru'])
def test_text_models_are_trained_evaluated_and_sampled(tmp_path, name):
    run = few_of_test(assembled(tmp_path, name, 'debug'), 40)
    train_lib.train(run)
    result = evaluate.evaluate(run)
    assert result['log_prob'] == 'exact, given at most 15 characters before'
    per_window = (
        result['values']['nll_nats']['mean'] / result['values']['nats_per_character']['mean']
    )
    np.testing.assert_allclose(per_window, run.data.scored_dims('test'))
    texts = text.apply(run, prompt='The ', num_characters=30, num_samples=2)
    assert [len(one) for one in texts] == [34, 34] and all(one[:4] == 'The ' for one in texts)


def test_the_evaluation_reports_nats_per_character(run):
    result = evaluate.evaluate(run)
    assert result['log_prob'] == 'exact, given at most 2 characters before'
    values = {name: value['mean'] for name, value in result['values'].items()}
    total = values['nll_nats'] * result['data']['examples']
    np.testing.assert_allclose(values['nats_per_character'], total / 360, rtol=1e-6)
    assert result['samples'] == {}
