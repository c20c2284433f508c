"""The data set of captioned shapes: true captions, pairs held out, and nothing that changes."""

import collections
import hashlib

import numpy as np
import pytest

from atelier.data import dataset
from atelier.data.captioned.agreement import agreement
from atelier.data.captioned.captions import parse
from atelier.data.captioned.reading import read
from atelier.data.captioned.scenes import HELD_OUT, SEEN
from atelier.data.captioned_shapes import SIZES, load
from atelier.errors import UserError
from configs.shared.common import common_config


@pytest.fixture(scope='module')
def splits():
    return load().splits


def means(x, captions):
    facts = agreement(x, captions).facts
    return {name: np.nanmean(right) for name, right in facts.items() if not np.isnan(right).all()}


def test_the_data_never_change(splits):
    """Other pictures or captions would make results incomparable with earlier ones."""
    digest = hashlib.sha256()
    for split in splits.values():
        digest.update(split['x'][:50].tobytes() + '\n'.join(split['caption'][:50]).encode())
    assert digest.hexdigest()[:16] == 'e5a66da4507e0451'
    assert {name: len(split['x']) for name, split in splits.items()} == SIZES
    assert {split['x'].dtype for split in splits.values()} == {np.dtype('uint8')}


def test_all_that_a_caption_says_is_read_in_its_picture(splits):
    assert set(means(splits['test']['x'], splits['test']['caption']).values()) == {1.0}


def test_captions_are_true_of_noisy_pictures(splits):
    x, captions = splits['test']['x'], splits['test']['caption']
    noise = np.random.RandomState(0).normal(0, 20, x.shape)
    assert min(means(x + noise, captions).values()) >= 0.99


def test_other_captions_are_false(splits):
    """Also those of pictures with as many objects."""
    x, captions = splits['test']['x'], splits['test']['caption']
    order = np.random.RandomState(0).permutation(len(x))
    shuffled = means(x[order], captions)
    assert shuffled['everything'] < 0.02 and shuffled['relation'] < 0.02
    assert 0 < shuffled['colour_and_shape'] < 0.1
    is_single = np.array(
        [' of ' not in c and 'above' not in c and 'below' not in c for c in captions]
    )
    of_one = means(x[is_single], np.roll(captions[is_single], 1))
    assert of_one['number'] == 1
    assert of_one['colour_and_shape'] < 0.15


def test_held_out_pairs_are_only_in_test(splits):
    for name in ('train', 'valid'):
        asked = [parse(caption).objects for caption in splits[name]['caption']]
        assert {each.pair for objects in asked for each in objects} == {*SEEN}
        assert {each.pair for scene in read(splits[name]['x'][:1000]) for each in scene} <= {*SEEN}
    scenes = read(splits['test']['x'])
    kinds = collections.Counter(
        (len(scene), any(each.pair in HELD_OUT for each in scene)) for scene in scenes
    )
    assert kinds == {(number, unseen): 500 for number in (1, 2) for unseen in (False, True)}


def test_most_test_pictures_with_one_seen_object_are_in_training_and_no_unseen_one_is(splits):
    trained = {x.tobytes() for x in splits['train']['x']}
    is_trained = np.array([x.tobytes() in trained for x in splits['test']['x']])
    groups = agreement(splits['test']['x'], splits['test']['caption']).groups.values()
    shares = [is_trained[group].mean() for group in groups]
    np.testing.assert_allclose(shares, [0.96, 0, 0.014, 0], atol=1e-6)


def test_training_has_all_words_of_test(splits):
    words = {
        name: {word for caption in split['caption'] for word in caption.split()}
        for name, split in splits.items()
    }
    assert words['train'] == words['test'] == words['valid']


@pytest.mark.parametrize(('objects', 'number'), [('one', 1), ('two', 2)])
def test_the_number_of_objects_is_a_setting(objects, number):
    config = common_config()
    config.data.name = 'captioned_shapes'
    with config.unlocked():
        config.data.objects = objects
    data = dataset.load(config)
    facts, groups = data.agreement(
        data.splits['test']['x'][:100],
        [*map(data.spec.condition.described, data.splits['test']['condition'][:100].tolist())],
    )
    assert all(facts['everything'] == 1)
    names = [name for name, group in groups.items() if group.any()]
    assert len(names) == 2 and all(name.startswith(objects) for name in names)
    assert data.description == f'16x16 pictures of {objects} coloured shapes, with captions'


def test_configs_without_the_field_have_both_and_other_data_refuse_it():
    config = common_config()
    config.data.name = 'captioned_shapes'
    data = dataset.load(config)
    assert data.spec.condition.length == 11
    assert not data.notes
    assert data.spec.background == (0, 0, 0)
    with config.unlocked():
        config.data.objects = 'three'
    with pytest.raises(UserError, match='both'):
        dataset.load(config)
    config.data.update(name='shapes', objects='both')
    assert dataset.load(config).agreement is None
    config.data.objects = 'two'
    with pytest.raises(UserError, match='shapes does not read it'):
        dataset.load(config)
