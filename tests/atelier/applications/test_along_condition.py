"""Directions along a condition: planted ones are recovered, and what arrives is measured."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import with_abilities

from atelier.applications import concept
from atelier.core.abilities import Codes
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words

pytestmark = pytest.mark.usefixtures('untrained')

flat = lambda x: x.reshape(len(x), -1)
encode = lambda weights, batch, rng: flat(batch['x'])
decode = lambda weights, codes: codes.reshape(-1, 8, 8, 1)
normal = lambda weights, rng: jax.vmap(lambda k: jax.random.normal(k, (64,)))(rng.keys)
STROKE = np.zeros((8, 8, 1), np.uint8)
STROKE[2:5, 3] = 1

AGE = Numbers(('age',), (45.0,), (30.0,), ((0.0,),))
HAIR = Labels(('hair',), (tuple('abcdefghij'),), ((0,),))
SIZES = Words(('circle', 'large', 'medium', 'small'), 3, ((1, 4, 0),))
conditional = lambda weights, batch, rng: jnp.concatenate(
    [jnp.zeros((len(batch['x']), 3)), AGE.features(batch['condition'])], 1
)


def with_condition(vae, condition, values_of, **functions):
    """The family whose codes are pixels, of images with strokes of strength 0 to 9.

    `values_of` returns the condition [n, columns] of these strengths.
    """
    splits = {}
    for seed, name in enumerate(('train', 'valid', 'test')):
        label = np.tile(np.arange(10), 20).astype(np.uint8)
        noise = np.random.RandomState(seed).randint(0, 3, (20, 8, 8, 1), np.uint8).repeat(10, 0)
        x = noise + label[:, None, None, None] * STROKE
        splits[name] = {'x': x, 'condition': values_of(label)}
    run = with_abilities(vae, Codes(**dict(encode=encode, decode=decode) | functions))
    spec = vae.data.spec._replace(condition=condition)
    return run._replace(data=run.data._replace(spec=spec, splits=splits))


def ages(label):
    return 10 * label[:, None].astype(np.float32)


def sizes(label):
    """Captions: weak strokes are small, strong ones large, others medium."""
    word = np.select([label < 3, label > 6], [4, 2], 3)
    return np.stack([np.ones_like(word), word, np.zeros_like(word)], 1).astype(np.int32)


def results_of(run, name):
    return json.loads((run.folder / 'applications' / f'{name}.json').read_text())


def test_a_step_along_a_number_changes_it_by_what_was_asked(vae, caplog):
    """Ten years are a stroke stronger by 1, on each background."""
    run = with_condition(vae, AGE, ages)
    options = dict(change=10.0, low=-2.0, high=3.0, num_steps=6, num_images=3)
    with caplog.at_level('INFO', logger='atelier'):
        arrays = concept.apply(run, attribute='age', **options)
    np.testing.assert_allclose(arrays['direction'], flat(STROKE[None])[0] / 10, atol=1e-6)
    np.testing.assert_array_equal(arrays['steps'], [-20, -10, 0, 10, 20, 30])
    expected = flat(arrays['image'])[:, None] + np.arange(-2, 4)[:, None] * flat(STROKE[None])
    np.testing.assert_allclose(arrays['x'].reshape(3, 6, 64), expected, atol=1e-4)
    asked = np.broadcast_to([10, 10, 10, 10, 10], (3, 5))
    np.testing.assert_allclose(np.diff(arrays['value'], axis=1), asked, rtol=1e-4)
    assert {*arrays['given']} <= {*range(0, 100, 10)}
    results = results_of(run, 'concept-age-low-to-high-change-10.0-low--2.0-high-3.0-num_steps-6')
    assert (results['attribute'], results['num_examples']) == ('age', 200)
    assert results['arrived_share'] == pytest.approx(1, rel=1e-4)
    assert results['r_squared'] > 0.9 and results['correlation'] > 0.95
    assert 'that arrives, read from the codes of the changed examples: 1.00' in caplog.text


def test_what_a_decoder_loses_does_not_arrive(vae):
    half = lambda weights, codes: decode(weights, codes / 2)
    run = with_condition(vae, AGE, ages, decode=half)
    arrays = concept.apply(run, attribute='age', num_images=2, num_steps=3)
    np.testing.assert_array_equal(arrays['steps'], [-45, 0, 45])  # standard deviations
    assert results_of(run, 'concept-age-low-to-high-num_steps-3')['arrived_share'] == (
        pytest.approx(0.5, rel=1e-4)
    )


def test_codes_that_end_in_the_condition_move_it_and_need_not_hold_it(vae, caplog):
    by_age = lambda weights, codes: jnp.broadcast_to(codes[:, 3, None], (len(codes), 64)).reshape(
        -1, 8, 8, 1
    )
    run = with_condition(vae, AGE, ages, encode=conditional, decode=by_age, dims=(3,))
    with caplog.at_level('INFO', logger='atelier'):
        arrays = concept.apply(run, attribute='age', num_images=2, num_steps=3)
    np.testing.assert_allclose(arrays['direction'], [0, 0, 0, 1 / 30], rtol=1e-5)
    assert 'codes end in the condition, which the direction changes too' in caplog.text
    results = results_of(run, 'concept-age-low-to-high-num_steps-3')
    assert 'value' not in arrays and results['arrived_share'] is None
    assert abs(results['r_squared']) < 1e-6  # z is constant


def test_values_of_a_label_and_words_are_ends(vae):
    run = with_condition(vae, HAIR, lambda label: label[:, None].astype(np.int32))
    options = dict(num_images=2, num_steps=2, low=0.0, high=1.0)
    arrays = concept.apply(run, attribute='hair', source='c', target='h', **options)
    np.testing.assert_allclose(arrays['direction'], 5 * flat(STROKE[None])[0], atol=1e-5)
    np.testing.assert_allclose(np.diff(arrays['value'], axis=1), 1, rtol=1e-4)
    results = results_of(run, 'concept-hair-2-to-7-low-0.0-high-1.0-num_steps-2')
    assert (results['source'], results['target'], results['num_examples']) == ('c', 'h', 40)
    run = with_condition(vae, SIZES, sizes)
    arrays = concept.apply(run, attribute='word', source='small', target='large', **options)
    np.testing.assert_allclose(arrays['direction'], 7 * flat(STROKE[None])[0], atol=1e-5)  # 8 - 1
    assert results_of(run, 'concept-word-small-to-large-low-0.0-high-1.0-num_steps-2')['r_squared']


def test_examples_of_ones_own_may_lack_the_condition(vae):
    run = with_condition(vae, AGE, ages)
    del run.data.splits['test']['condition']
    arrays = concept.apply(run, attribute='age', num_images=2, num_steps=2)
    assert 'given' not in arrays and arrays['value'].shape == (2, 2)
    assert results_of(run, 'concept-age-low-to-high-num_steps-2')['correlation'] is None


@pytest.mark.parametrize(
    ('condition', 'values_of', 'options', 'message'),
    [
        (AGE, ages, dict(attribute='ages'), "(did you mean 'age'?)"),
        (AGE, ages, dict(attribute='age', num_codes=9), 'needs at least 10 examples, and these'),
        (AGE, lambda k: 0 * ages(k), dict(attribute='age'), 'age: it is 0 in each of 200 examples'),
        (None, ages, dict(attribute='age'), 'these data have no condition'),
        (SIZES, sizes, dict(attribute='word'), '--source=0: the words of captions of training'),
        (
            SIZES,
            sizes,
            dict(attribute='word', source='small', target='large', num_codes=4),
            'no example of captions with large without the other word among 4 examples of the',
        ),
    ],
)
def test_attributes_that_lead_nowhere(vae, complaint, condition, values_of, options, message):
    run = with_condition(vae, condition, values_of)
    assert message in complaint(concept.apply, run, **options)


def test_an_attribute_of_the_condition_needs_an_encoder(vae, complaint):
    run = with_condition(vae, AGE, ages, encode=None, prior=normal)
    line = complaint(concept.apply, run, attribute='age')
    assert line.startswith('--attribute=age: ') and 'no encoder' in line
