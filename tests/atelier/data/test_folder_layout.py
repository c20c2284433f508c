"""Which sub-folders of a folder of images are splits, and which are classes."""

import shlex

import numpy as np
import pytest
from PIL import Image

from atelier.data import dataset, folder, folder_layout
from configs.shared import common

pytestmark = pytest.mark.usefixtures('cache')


@pytest.fixture
def tree(tmp_path):
    """Returns a function that writes an image in each of the folders, and returns the root."""

    def write(*names, count=1):
        for i, name in enumerate(names):
            for j in range(count):
                path = tmp_path / 'root' / name / f'{j}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((2, 2), 20 * i + j, np.uint8)).save(path)
        return tmp_path / 'root'

    return write


def split_names(root, setting='auto'):
    return {split: path.name for split, path in folder_layout.splits_of(root, setting).items()}


@pytest.mark.parametrize(
    ('names', 'splits'),
    [
        (('training', 'testing'), {'train': 'training', 'test': 'testing'}),
        (('Train', 'VAL', 'test'), {'train': 'Train', 'valid': 'VAL', 'test': 'test'}),
        (('train', 'validation'), {'train': 'train', 'valid': 'validation'}),
        (('trainset', 'testset'), {'train': 'trainset', 'test': 'testset'}),
        (('train',), {'train': 'train'}),
    ],
)
def test_known_spellings_are_splits(tree, names, splits):
    assert split_names(tree(*(f'{name}/cat' for name in names))) == splits


@pytest.mark.parametrize(
    'names',
    [
        ('train', 'Testing set'),
        ('train', 'dev'),
        ('train', 'holdout'),
        ('train', 'train2'),
        ('train', 'test_images'),
        ('train', 'tset'),
        ('cat', 'traindir'),
        ('cat', 'testimages'),
        ('cat', 'evals'),
        ('trainA', 'trainB', 'testA', 'testB'),
        ('traning', 'testing'),
        ('train', 'validaton'),
        ('train', 'cat'),
        ('test', 'cat', 'dog'),
        ('cat', 'dog', 'eval'),
        ('test',),
        ('val', 'test'),
        ('train', 'training'),
        ('x_train', 'x_test'),
        ('1-train', '2-test'),
        ('te', 'tr'),
        ('TR', 'te', 'va'),
    ],
)
def test_names_that_may_be_splits_are_refused_with_the_setting(tree, complaint, names):
    line = complaint(folder.load, str(tree(*names)))
    assert (
        'config.data.splits=train=' in line.replace("'", '') and 'config.data.splits=none' in line
    )
    assert names[-1] in line


@pytest.mark.parametrize(
    ('names', 'proposed'),
    [
        (('train', 'dev'), 'train=train,valid=dev'),
        (('train', 'eval'), 'train=train,test=eval'),
        (('train', 'val', 'dev'), 'train=train,valid=val,test=dev'),
        (('train', 'test', 'holdout'), 'train=train,valid=holdout,test=test'),
        (('traning', 'testing'), 'train=traning,test=testing'),
        (('x_train', 'x_test'), 'train=x_train,test=x_test'),
        (('train', 'Testing set'), "'train=train,test=Testing set'"),
        (('tr', 'va', 'te'), 'train=tr,valid=va,test=te'),
        (('train', 'cat'), folder_layout.PLACEHOLDERS),
        (('train', 'train2'), folder_layout.PLACEHOLDERS),
        (('train', 'test=1'), folder_layout.PLACEHOLDERS),
        (('train', 'training'), folder_layout.PLACEHOLDERS),
        (('train', 'val', 'test', 'dev'), folder_layout.PLACEHOLDERS),
        (('val', 'test'), folder_layout.PLACEHOLDERS),
    ],
)
def test_the_proposed_setting_leaves_out_no_folder(tree, complaint, names, proposed):
    root = tree(*(f'{name}/cat' for name in names))
    assert f'config.data.splits={proposed} to name' in complaint(folder.load, str(root))
    if proposed != folder_layout.PLACEHOLDERS:
        assert folder.load(str(root), splits=shlex.split(proposed)[0]).notes == ()


def test_folders_that_the_setting_does_not_name_are_told(tree, caplog):
    caplog.set_level('INFO', 'atelier')
    root = str(tree('train/cat', 'dev/cat', 'eval/cat', 'test/cat'))
    (note,) = folder.load(root, splits='train=train,test=test').notes
    assert note == 'left out 2 folders that config.data.splits does not name: dev, eval'
    assert caplog.messages == [f'{root}: {note}']
    assert 'left out' not in ''.join(folder.load(root, splits='none').notes)


def test_folders_inside_classes_are_told(tree):
    """Only the first folders are classes."""
    (note,) = folder.load(str(tree('cat/old', 'cat/new/1', 'dog'))).notes
    assert note == '2 folders inside classes, read as theirs: cat/new/1, cat/old'


@pytest.mark.parametrize(
    'names',
    [
        ('cat', 'dog'),
        ('tent', 'text', 'rest', 'contest', 'nest'),
        ('rain', 'brain', 'strainer', 'trainer'),
        ('value', 'vase', 'oval', 'valley'),
        ('0', '1', '10'),
        ('devil', 'toast', 'evil'),
        ('tr', 'de', 'fr'),
        ('te', 'va'),
    ],
)
def test_other_names_are_classes(tree, names):
    data = folder.load(str(tree(*names)))
    assert [*data.splits] == ['train'] and {*data.spec.class_names} == {*names}


def test_the_setting_answers(tree, complaint):
    root = tree('a/cat', 'b/cat', 'c/cat')
    named = {'train': 'b', 'valid': 'c', 'test': 'a'}
    assert split_names(root, 'train=b,test=a, valid=c') == named
    assert split_names(root, 'none') == {'train': 'root'}
    assert folder.load(str(root), splits='train=a,test=b').spec.class_names == ('cat',)
    for setting in ('train', 'test=a', 'train=a,exam=b', 'train=a,test=a', 'train=', ''):
        assert 'sub-folders are classes' in complaint(folder.load, str(root), splits=setting)
    assert 'has no folder d' in complaint(folder.load, str(root), splits='train=d')


def test_another_setting_is_not_read_from_the_cache_of_the_first(tree):
    root = str(tree('train/a', 'test/a'))
    assert folder.load(root).spec.class_names == ('a',)
    assert folder.load(root, splits='none').spec.class_names == ('test', 'train')
    assert [*folder.load(root, splits='train=test,valid=train').splits] == ['train', 'valid']


@pytest.mark.parametrize('names', [('cat/train', 'cat/test', 'dog/train'), ('all/train/a',)])
def test_splits_below_classes_are_refused(tree, complaint, names):
    line = complaint(folder.load, str(tree(*names)))
    assert 'may be a split, but it lies below a class' in line and 'config.data.path' in line


@pytest.mark.parametrize(
    'pair', [('Cat', 'cat'), ('caf\u00e9', 'cafe'), ('big cat', 'big_cat'), ('a ', 'a')]
)
def test_classes_that_differ_in_case_spaces_or_accents_are_refused(tree, complaint, pair):
    line = complaint(folder.load, str(tree(f'train/{pair[0]}', f'test/{pair[1]}', 'train/dog')))
    assert 'differ only in case, spaces or accents' in line


def test_a_split_that_has_both_tells_classes_apart(tree):
    data = folder.load(str(tree('train/a', 'train/A', 'test/a')))
    assert data.spec.class_names == ('A', 'a')


def test_earlier_runs_keep_their_rules(tree):
    """The folders `training` and `testing` are their labels, in alphabetical order."""
    data = folder.load(str(tree('training', 'testing', 'dev')), splits='exact', classes='declared')
    assert data.spec.num_classes == 3 and data.spec.class_names == ()
    root = tree('2', '10')
    data = folder.load(str(root), splits='exact', classes='declared')
    label = {
        int(x[0, 0, 0]): y
        for x, y in zip(data.splits['train']['x'], data.splits['train']['label'], strict=True)
    }
    assert label[20] < label[0]  # 10 before 2


def test_classes_are_in_natural_order(tree):
    names = [f'{i}' for i in range(12)]
    config = common.common_config()
    config.data.update(name='folder', path=str(tree(*names, count=20)))
    data = dataset.load(config)
    assert data.spec.class_names == tuple(names)
    for part in data.splits.values():
        assert (part['x'][:, 0, 0, 0] // 20 == part['label']).all()


@pytest.mark.parametrize(
    ('names', 'is_told'),
    [
        (('split_0', 'split_1'), True),
        (('fold1', 'Fold 2', 'fold10'), True),
        (('fold1', 'cat'), False),
        (('split', 'splitter'), False),
    ],
)
def test_classes_that_may_be_parts_of_the_data_are_told(tree, caplog, names, is_told):
    """They stay classes: the line says which setting makes splits of them."""
    data = folder.load(str(tree(*names)))
    assert {*data.spec.class_names} == {*names}
    told = [note for note in data.notes if 'taken as classes' in note]
    assert len(told) == is_told == ('If they are parts of the data' in caplog.text)
    assert all(names[0] in note and 'config.data.splits=train=' in note for note in told)
