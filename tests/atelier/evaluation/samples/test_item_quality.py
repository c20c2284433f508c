"""Samples of items: shares of valid, unique and novel ones, on planted sets with known numbers."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier import checkout, files
from atelier.core.abilities import Sample
from atelier.data import items
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.evaluation import evaluate, printed
from atelier.evaluation.pages.results import tables
from atelier.evaluation.samples import item_quality
from atelier.evaluation.samples.item_quality import (
    Share,
    compare_items,
    item_shares,
    known_forms,
    share,
    unique_share,
)
from atelier.evaluation.samples.sample_quality import can_compare, sample_quality
from atelier.evaluation.samples.validity import Validity
from atelier.report.page.page import Limits
from atelier.run import restore

SYMBOLS = items.END + 'abc'
LENGTH = 5
TRAIN = ['ab', 'ba', 'aab', 'ab']
TEST = ['ab', 'bb', 'bba', 'bb', 'c', 'cab', 'abab', 'b']
SAMPLED = ['ab', 'ab', 'bb', 'bb', 'c', 'ba', 'ca', 'cc']
FUNCTION = """
def is_valid(item: str) -> bool:
    return not item.startswith('c')


def canonical(item: str) -> str | None:
    return None if item.startswith('c') else ''.join(sorted(item))
"""


def rows_of(texts, length=LENGTH):
    """A row of tokens for each text: one item, or several with ends between them."""
    return np.array(
        [[SYMBOLS.index(symbol) for symbol in text.ljust(length, items.END)] for text in texts],
        np.uint8,
    )


def items_run(folder, sampled=SAMPLED, test=TEST, train=TRAIN, **settings):
    """A run whose family draws sample i as the i-th of `sampled`; training rows are packed."""
    run = assembled(folder, 'vae')
    pairs = [items.END.join(train[i : i + 2]) for i in range(0, len(train), 2)]
    packed = rows_of(pairs, 2 * LENGTH)
    splits = {'train': {'x': packed}, 'valid': {'x': rows_of(test)}, 'test': {'x': rows_of(test)}}
    spec = Spec((LENGTH,), len(SYMBOLS), None, symbols=SYMBOLS)
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.update(settings)
    run = run._replace(data=Dataset('lines', spec, splits, 'items'), config=config.lock())
    x = jnp.asarray(rows_of(sampled), jnp.float32)
    run = with_abilities(run, Sample(lambda weights, rng, condition: x[rng.rows]))
    return run, restore.initial_state(run)


def compared(folder, **changes):
    run, state = items_run(folder, **changes)
    return compare_items(run, state, jax.devices()[:2])


def of(result, name):
    """A value of samples and of real items."""
    return result['values'][name]['samples'], result['values'][name]['floor']


def test_shares_of_a_planted_set_are_exact_by_string(tmp_path):
    result = compared(tmp_path)
    assert of(result, 'unique') == (6 / 8, 7 / 8)
    assert of(result, 'novel') == (4 / 6, 6 / 7)
    assert result['values']['novel_standard_error'] == {
        'samples': math.sqrt(4 / 6 * 2 / 6 / 6),
        'floor': math.sqrt(6 / 7 * 1 / 7 / 7),
    }
    assert [result[name] for name in ('num_samples', 'num_real', 'num_train')] == [8, 8, 4]
    assert result['compared_by'] == 'string'
    assert result['validity'] is None
    assert of(result, 'valid') == (None, None)
    assert 'config.eval.validity=FILE:FUNCTION' in result['values']['valid']['not measured']
    assert 'valid_standard_error' not in result['values']


@pytest.mark.parametrize(
    ('name', 'unique', 'novel', 'compared_by'),
    [
        # valid samples: ab ab bb bb ba; valid test items: ab bb bba bb abab b
        ('is_valid', (3 / 5, 5 / 6), (1 / 3, 4 / 5), 'string'),
        # forms of training: ab aab; of the samples: ab bb; of test: ab bb abb aabb b
        ('canonical', (2 / 5, 5 / 6), (1 / 2, 4 / 5), 'what tell.py:canonical returns'),
    ],
)
def test_invalid_items_count_neither_as_unique_nor_as_novel(
    tmp_path, name, unique, novel, compared_by
):
    file = tmp_path / 'tell.py'
    file.write_text(FUNCTION)
    checkout.trust(f'{file}:{name}')
    result = compared(tmp_path / 'run', validity=f'{file}:{name}')
    assert of(result, 'valid') == (5 / 8, 6 / 8)
    assert result['values']['valid_standard_error']['samples'] == math.sqrt(5 / 8 * 3 / 8 / 8)
    assert of(result, 'unique') == unique
    assert of(result, 'novel') == novel
    assert result['compared_by'] == compared_by
    assert result['validity'].startswith(f'tell.py:{name}, ')


def test_there_are_as_many_samples_as_real_items_and_at_most_the_asked_number(tmp_path):
    result = compared(tmp_path, num_samples=3)
    assert result['num_samples'] == result['num_real'] == 3
    assert of(result, 'unique')[0] == 2 / 3  # of ab ab bb


def test_an_item_without_symbols_is_not_valid():
    by_string = Validity(list)
    assert item_quality.forms_of(['a', '', 'b'], by_string) == ['a', None, 'b']
    assert item_shares(['a', None, 'b'], set(), by_string)['unique'].value == 1


def test_without_a_valid_item_there_is_nothing_to_share():
    shares = item_shares([None, None], {'a'}, Validity(list, judge='RDKit'))
    assert shares == {
        'valid': Share(0, 0),
        'unique': Share(None, None),
        'novel': Share(None, None),
    }


def test_unique_items_of_the_first_thousand_are_counted_where_there_are_as_many():
    forms = [*map(str, range(999)), None, '0', *map(str, range(1000))]
    shares = item_shares(forms, set(), Validity(list, judge='RDKit'))
    assert shares['unique_at_1000'].value == 999 / 1000
    assert shares['unique'].value == 1000 / 2000
    assert 'unique_at_10000' not in shares
    assert 'unique_at_1000' not in item_shares(forms[:1000], set(), Validity(list))


def test_only_valid_items_pass_filters():
    passes = lambda forms: [form > 'b' for form in forms]
    shares = item_shares(['a', 'c', 'c', None], set(), Validity(list, judge='x', passes=passes))
    assert shares['filters'] == share(2, 3)


def test_a_share_has_the_error_of_a_binomial_distribution():
    assert share(1, 4) == Share(0.25, math.sqrt(0.25 * 0.75 / 4))
    assert share(0, 0) == Share(None, None)


@pytest.mark.parametrize('num_items', [60, 200, 5000])
def test_the_error_of_the_unique_share_is_its_deviation_over_sets(num_items):
    """With many, some and nearly no repeats among 200 draws from unequal probabilities."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(num_items, 2.0))
    shares = [unique_share(rng.choice(num_items, 200, p=p).tolist()) for _ in range(1500)]
    deviation = np.std([each.value for each in shares])
    errors = np.array([each.standard_error for each in shares])
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(deviation, rel=0.12)


def test_sets_without_repeats_or_of_one_item_are_as_unique_as_they_are():
    assert unique_share('abcd') == Share(1, 0)
    assert unique_share('aaaa') == Share(1 / 4, 0)
    assert unique_share('') == Share(None, None)


def test_many_training_items_are_converted_unless_all_tried_are_their_own_forms(
    monkeypatch, caplog
):
    monkeypatch.setattr(item_quality, 'MAX_CONVERTED', 10)
    monkeypatch.setattr(item_quality, 'NUM_TRIED', 5)
    calls = collections.Counter()

    def lower(texts):
        calls.update(texts)
        return [text.lower() if text != 'x' else None for text in texts]

    validity = Validity(lower, 'small letters', 'lower', changes_items=True)
    plain = [f'a{i}' for i in range(20)]
    with caplog.at_level('INFO', 'atelier'):
        assert known_forms([*plain, *plain], validity) == {*plain}
    assert len(calls) == 5
    assert '20 training items are taken for their own forms (small letters)' in caplog.text
    mixed = [text.upper() for text in plain]
    assert known_forms([*mixed, 'x'], validity) == {*plain}
    assert known_forms(['A', 'x'], validity) == {'a'}
    assert known_forms(['A', 'x'], Validity(list)) == {'A', 'x'}


def test_an_evaluation_writes_shows_and_keeps_what_it_measured_of_items(tmp_path, caplog):
    run, state = items_run(tmp_path / 'run', num_samples=6)
    trained = restore.TrainedRun(run, state, 'best weights')
    assert can_compare(run)
    with caplog.at_level('INFO', 'atelier'):
        result = evaluate.evaluate(run, jax.devices()[:1], trained=trained)
        printed.show(result, run)
    stored = files.read_json(run.folder / 'evaluation.json')
    assert stored['samples'] == result['samples']
    assert '6 samples, compared with as many real examples; items compared by string' in caplog.text
    assert 'valid: not measured: no --config.eval.validity=FILE:FUNCTION tells it' in caplog.text
    unique = next(line for line in caplog.messages if line.strip().startswith('unique '))
    assert unique.split() == ['unique', '0.6667', '+-', '0', 'real:', '0.833', '+-', '0.096']
    lines = (run.folder / 'samples' / 'evaluation.txt').read_text().splitlines()
    assert lines == SAMPLED[:6]
    page = str(tables(stored, Limits()))
    assert 'items compared by string' in page
    assert 'valid: not measured' in page
    assert '<td>not measured' in page or 'not measured</td>' in page


def test_features_of_items_add_their_metrics(tmp_path):
    from atelier.evaluation.samples.features import from_function

    test = [text for text in TEST for _ in range(4)]
    run, state = items_run(tmp_path, sampled=SAMPLED * 4, test=test, train=TRAIN * 6)
    features = from_function(lambda x: np.asarray(x, np.float64) + 1, run.data.splits['test']['x'])
    result = sample_quality(run, state, jax.devices()[:1], features)
    assert result['features'] == features.name
    assert result['num_samples'] == 32
    assert result['values']['frechet_distance']['num_samples'] == 16
    assert result['values']['unique']['samples'] == 6 / 32
    assert result['values']['frechet_distance']['num_train'] == 24  # items of packed rows
