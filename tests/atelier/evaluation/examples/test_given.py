"""--data and --split put other examples in place of the test split, in every application."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image
from support import assembled

from atelier import applications
from atelier.applications import interpolate, perform, score
from atelier.data.origins import named
from atelier.errors import UserError
from atelier.evaluation.examples import given
from atelier.evaluation.samples.sampling import preprocessed
from atelier.run import restore

ERROR = {'half_squared_error', 'label'}
pytestmark = pytest.mark.usefixtures('untrained')


def table_of(run, name):
    (path,) = (run.folder / 'applications').glob(name)
    return list(csv.DictReader(path.open()))


@pytest.fixture
def mine(tmp_path):
    x = np.random.RandomState(0).randint(0, 17, (6, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / 'mine.npz', x=x, label=np.arange(6))
    return tmp_path / 'mine.npz', x


def test_every_application_that_reads_examples_has_the_options():
    for name in applications.names():
        application = applications.load(name)
        takes = bool(application.reads) and application.takes_examples
        assert ({'split', 'data'} <= set(applications.options(application))) == takes, name


def test_scores_carry_the_file_and_the_row(vae, mine):
    path, x = mine
    application = applications.load('score')
    arrays = perform(application, vae, data=str(path))
    assert arrays['file'].tolist() == ['mine.npz'] * 6 and arrays['row'].tolist() == [*range(6)]
    assert {'log_prob_nats', 'bits_per_dim', 'half_squared_error'} < set(arrays)
    rows = table_of(vae, 'score-data-????????.csv')
    assert [row['label'] for row in rows] == [str(i) for i in range(6)]
    values = [float(row['log_prob_nats']) for row in rows]
    np.testing.assert_allclose(values, arrays['log_prob_nats'], rtol=1e-6)
    by_python = given.with_given(vae, given.from_arrays(vae, x))
    again = perform(application, by_python)
    np.testing.assert_array_equal(again['log_prob_nats'], arrays['log_prob_nats'])


@pytest.mark.parametrize(
    'options',
    [
        {'split': 'train'},
        pytest.param({'split': 'valid'}, marks=pytest.mark.slow),
        {'data': 'mine'},
    ],
)
def test_codes_are_not_fitted_on_what_they_classify(vae, mine, tmp_path, options):
    """Random labels are not predicted from the very examples that have them."""
    few = {
        split: {n: a[:20] for n, a in arrays.items()} for split, arrays in vae.data.splits.items()
    }
    origins = named(['a.npz', 'b.npz'], [50, 50])
    rows = {'train': np.arange(20)[::-1] + 40, 'valid': np.arange(20), 'test': np.arange(20) + 70}
    data = vae.data._replace(splits=few, origins=origins._replace(rows=rows))
    options = {name: str(mine[0]) if name == 'data' else each for name, each in options.items()}
    (tmp_path / 'run').mkdir()
    run = vae._replace(data=data, folder=tmp_path / 'run')
    arrays = perform(applications.load('embed'), run, **options)
    assert arrays['train_file'].tolist() == ['b.npz'] * 10 + ['a.npz'] * 10
    assert arrays['train_row'].tolist() == [*range(9, -1, -1), *range(49, 39, -1)]
    test_file = {'train': 'b.npz', 'valid': 'a.npz'}.get(options.get('split'), 'mine.npz')
    assert arrays['test_file'][0] == test_file
    assert ('neighbours_of_codes' in arrays) == (options != {'split': 'train'})


def test_messages_say_which_examples_they_are_about(vae, mine, tmp_path, complaint):
    np.savez(tmp_path / 'one.npz', x=mine[1][:1])
    line = complaint(perform, interpolate.APPLICATION, vae, data=str(tmp_path / 'one.npz'))
    assert line.startswith('one.npz has 1 example, fewer than 2')
    few = vae.data.splits | {'valid': {n: a[:6] for n, a in vae.data.splits['valid'].items()}}
    run = vae._replace(data=vae.data._replace(splits=few))
    line = complaint(perform, interpolate.APPLICATION, run, num_pairs=4, split='valid')
    assert line.startswith('the valid split of digits has 6 examples')


@pytest.mark.slow
def test_the_table_of_a_classifier_names_its_split_and_its_classes(tmp_path, caplog):
    run = assembled(tmp_path, 'classifier')
    names = tuple(f'class {i}' for i in range(10))
    run = run._replace(data=run.data._replace(spec=run.data.spec._replace(class_names=names)))
    with caplog.at_level('INFO', logger='atelier'):
        arrays = perform(applications.load('classify'), run, split='valid')
    assert any(line.startswith('the valid split of digits ') for line in caplog.messages)
    assert 'the temperature is fitted on these very examples' in caplog.text
    row = table_of(run, 'classify-split-valid.csv')[0]
    for column in ('label', 'predicted'):
        assert row[f'{column}_name'] == f'class {arrays[column][0]}' == f'class {row[column]}'


def test_scores_are_described_as_what_they_are(tmp_path, mine, vae):
    """The density of dequantised data bounds log P of the levels from below (Theis et al. 2016)."""
    values = dict.fromkeys(['log_prob_nats', 'half_squared_error'], np.zeros(6))
    spec = vae.data.spec._replace(levels=None, dequantized_levels=17)
    dequantised = vae._replace(data=vae.data._replace(spec=spec))
    kind = 'estimate, k = 10 for the density, a lower bound for the levels'
    assert score._kinds(dequantised, values)['log_prob_nats'] == kind
    cvae = assembled(tmp_path, 'cvae')
    labelled = score._kinds(cvae, values)
    unlabelled = score._kinds(given.with_given(cvae, given.from_arrays(cvae, mine[1])), values)
    for kinds, words in ((labelled, 'given the label'), (unlabelled, 'best class')):
        assert kinds['half_squared_error'].endswith(words)
    assert labelled['log_prob_nats'].endswith('given the label')
    assert unlabelled['log_prob_nats'].endswith('averaged over 10 classes')


def test_densities_have_no_bits_per_dim(tmp_path):
    """Their value would depend on the units of x."""
    run = assembled(tmp_path, 'ppca', 'moons,debug')
    assert {'log_prob_nats'} == {*perform(applications.load('score'), run)} - {
        'file',
        'row',
        *ERROR,
    }


def named_classes(run, *names):
    return run._replace(data=run.data._replace(spec=run.data.spec._replace(class_names=names)))


@pytest.mark.parametrize(
    ('named_arrays', 'words'),
    [
        ({'y': np.arange(6)}, 'known are x or x_train'),
        ({'labels': np.arange(6)}, 'known are x or x_train'),
        ({'x_test': np.zeros((6, 8, 8, 1), np.uint8), 'label': np.arange(6)}, 'for none'),
        ({'levels': 256}, 'it has 256 levels, and digits has 17'),
        ({'label': np.arange(6), 'class_names': np.array([*'bacdefghij'])}, 'its class_names'),
        ({'label': np.arange(6), 'class_names': np.array([*'abcdef'])}, 'its class_names'),
    ],
)
def test_an_npz_that_would_be_read_differently_is_refused(vae, mine, tmp_path, named_arrays, words):
    """As in training: no key is ignored, and no label is another class than its name says."""
    np.savez(tmp_path / 'a.npz', x=mine[1], **named_arrays)
    with pytest.raises(UserError, match=words):
        given.read(named_classes(vae, *'abcdefghij'), str(tmp_path / 'a.npz'))


def test_an_npz_may_repeat_the_levels_and_the_names_of_the_run(vae, mine, tmp_path):
    label, names = np.arange(6), np.array([*'abcdefghij'])
    np.savez(tmp_path / 'a.npz', x=mine[1], label=label, levels=17, class_names=names)
    data = given.read(named_classes(vae, *names.tolist()), str(tmp_path / 'a.npz'))
    np.testing.assert_array_equal(data.splits['test']['label'], label)


@pytest.mark.parametrize(('scale', 'is_told'), [(1, False), (3, False), (255, True), (1e-3, True)])
def test_real_values_in_other_units_are_told(tmp_path, caplog, scale, is_told):
    run = assembled(tmp_path / 'run', 'ppca', 'moons,debug')
    x = run.data.splits['test']['x'] + 3  # far from 0, where no unit changes a value
    spec = run.data.spec._replace(mean=(3.0, 3.0), std=(1.0, 1.0))
    given.from_arrays(run._replace(data=run.data._replace(spec=spec)), scale * x)
    assert ('in the same units' in caplog.text) == is_told


def test_any_split_can_be_asked_for(vae):
    arrays = perform(applications.load('score'), vae, split='valid')
    assert len(arrays['row']) == vae.data.size('valid')
    assert set(arrays['file']) == {'digits valid'}
    assert (vae.folder / 'applications' / 'score-split-valid.npz').exists()
    with pytest.raises(UserError, match='split'):
        perform(applications.load('score'), vae, split='tset')
    with pytest.raises(UserError, match='give one of them'):
        perform(applications.load('score'), vae, split='valid', data='x.npz')


@pytest.mark.parametrize(
    ('mode', 'options'),
    [
        ('reconstruct', {}),
        ('interpolate', {'num_pairs': 2, 'num_points': 2}),
        pytest.param('denoise', {'levels': '0.1'}, marks=pytest.mark.slow),
        pytest.param('anomaly', {}, marks=pytest.mark.slow),
        pytest.param('embed', {'num_codes': 50}, marks=pytest.mark.slow),
        pytest.param('latent_map', {'num_points': 2}, marks=pytest.mark.slow),
        pytest.param('traverse', {'num_points': 2}, marks=pytest.mark.slow),
        pytest.param('bound', {}, marks=pytest.mark.slow),
        pytest.param(
            'concept', {'num_images': 2, 'num_codes': 60, 'num_steps': 2}, marks=pytest.mark.slow
        ),
        pytest.param('inpaint', {'num_completions': 1}, marks=pytest.mark.slow),
    ],
)
def test_applications_use_the_given_examples(vae, mine, mode, options):
    path, x = mine
    arrays = perform(applications.load(mode), vae, data=str(path), **options)
    if mode == 'reconstruct':
        np.testing.assert_array_equal(arrays['x'], x[arrays['index']])
        assert arrays['row'].tolist() == arrays['index'].tolist()
    if mode == 'anomaly':
        assert len(arrays['score']) == 6 == len(table_of(vae, 'anomaly-*-data-????????.csv'))
    if mode == 'embed':
        assert len(arrays['test_codes']) == 6
        assert table_of(vae, 'embed*-data-????????.csv')[5]['test_row'] == '5'


def test_pictures_are_scaled_and_keep_their_names(vae, tmp_path):
    for name in ('b.png', '3/a.png'):
        file = tmp_path / 'pictures' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30), 200, np.uint8)).save(file)
    (tmp_path / 'pictures' / 'notes.txt').write_text('none')
    data = given.read(vae, str(tmp_path / 'pictures'))
    assert data.origin_of('test')['file'].tolist() == ['3/a.png', 'b.png']
    assert data.splits['test']['x'].shape == (2, 8, 8, 1)
    one = given.read(vae, str(tmp_path / 'pictures' / 'b.png'))
    np.testing.assert_array_equal(one.splits['test']['x'], data.splits['test']['x'][1:])
    labelled = given.read(vae, str(tmp_path / 'pictures' / '3'))
    assert 'label' not in labelled.splits['test']


def pictures_in(root, folders):
    """Writes a grey picture into each folder."""
    for name in folders:
        (root / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 200, np.uint8)).save(root / name / '1.png')
    return root


def folder_run(vae, rule, names=(), num_classes=3):
    """The run as if its data were a folder whose classes have these names."""
    config = vae.config.copy_and_resolve_references()
    with config.unlocked():
        config.data.update(name='folder', classes=rule)
    spec = vae.data.spec._replace(num_classes=num_classes, class_names=names)
    return vae._replace(config=config, data=vae.data._replace(spec=spec))


@pytest.mark.parametrize(
    ('rule', 'names', 'labels'),
    [
        ('declared', (), [0, 1, 2]),  # alphabetical, as the run was trained: 0, 10, 2
        ('trained', ('0', '2', '10'), [0, 2, 1]),
        ('trained', ('10', '2', '0'), [2, 0, 1]),
    ],
)
def test_labels_of_a_folder_are_those_of_training(vae, tmp_path, rule, names, labels):
    root = pictures_in(tmp_path / 'mine', ('0', '2', '10'))
    data = given.read(folder_run(vae, rule, names), str(root))
    assert data.origin_of('test')['file'].tolist() == ['0/1.png', '10/1.png', '2/1.png']
    assert data.splits['test']['label'].tolist() == labels


def test_a_folder_without_known_classes_has_no_labels_and_a_line_says_why(vae, tmp_path, caplog):
    root = pictures_in(tmp_path / 'mine', ('cat', 'horse'))
    for run, words in (
        (folder_run(vae, 'declared'), 'of its 3 folders there are 2'),
        (
            folder_run(vae, 'trained', ('cat', 'dog'), 2),
            f'horse (1 picture) is no class of {vae.folder}, which has cat, dog',
        ),
    ):
        caplog.clear()
        assert 'label' not in given.read(run, str(root)).splits['test']
        (line,) = [record.getMessage() for record in caplog.records]
        assert words in line and 'have no labels' in line


def test_given_folders_are_read_as_those_of_training(vae, tmp_path, caplog):
    """By content, through links, with a line about conversions; all damaged files are named."""
    root = pictures_in(tmp_path / 'mine', ('3',))
    (root / '3' / '1.png').rename(root / '3' / 'nameless')
    Image.new('RGB', (9, 9), 'red').save(root / '3' / 'red.png')
    pictures_in(tmp_path / 'elsewhere', ('x',))
    (root / '4').symlink_to(tmp_path / 'elsewhere' / 'x')
    (root / '3' / 'notes.txt').write_text('none')
    caplog.set_level('INFO')
    data = given.read(vae, str(root))
    assert data.origin_of('test')['file'].tolist() == ['3/nameless', '3/red.png', '4/1.png']
    assert data.splits['test']['label'].tolist() == [3, 3, 4]
    assert 'passed over 1 file' in caplog.text
    assert 'mine: pictures were converted: 1 colour (made grey)' in caplog.text
    config = vae.config.copy_and_resolve_references()
    with config.unlocked():
        config.data.strict = True
    for word in ('notes.txt', 'red.png'):
        with pytest.raises(UserError, match=word):
            given.read(vae._replace(config=config), str(root))
        (root / '3' / 'notes.txt').unlink(missing_ok=True)
    for name in ('bad.png', 'worse.jpg'):
        (root / '3' / name).write_bytes(b'none')
    with pytest.raises(UserError, match=r'bad\.png.*worse\.jpg'):
        given.read(vae, str(root))


@pytest.mark.slow
def test_classes_are_predicted_without_labels(tmp_path, mine):
    run = assembled(tmp_path, 'classifier')
    np.savez(tmp_path / 'unlabelled.npz', x=mine[1])
    for mode in ('classify', 'saliency', 'score'):
        arrays = perform(applications.load(mode), run, data=str(tmp_path / 'unlabelled.npz'))
        assert 'label' not in arrays
    rows = table_of(run, 'classify-data-????????.csv')
    assert len(rows) == 6 and 'logits_9' in rows[0] and 0 < float(rows[0]['confidence']) <= 1


def test_a_conditional_model_needs_labels_where_it_reads_them(tmp_path, mine):
    run = assembled(tmp_path, 'cvae')
    np.savez(tmp_path / 'unlabelled.npz', x=mine[1])
    options = {'data': str(tmp_path / 'unlabelled.npz')}
    with pytest.raises(UserError, match='needs the class of each example'):
        perform(applications.load('reconstruct'), run, **options)
    scores = perform(applications.load('score'), run, **options)
    assert np.isfinite(scores['log_prob_nats']).all()


@pytest.mark.slow
def test_a_text_is_scored_window_by_window(tmp_path):
    (tmp_path / 'mine.txt').write_text('the same line\n' * 200)
    (tmp_path / 'train.txt').write_text('the same line\n' * 400)
    data = dict(data__path=str(tmp_path / 'train.txt'), data__split_by='order')
    run = assembled(tmp_path, 'markov', 'text,debug', **data)
    arrays = perform(applications.load('score'), run, data=str(tmp_path / 'mine.txt'))
    assert {'nats_per_character', 'bits_per_character'} < set(arrays)
    assert arrays['file'][0] == 'mine.txt'
    half = run.config.data.context // 2
    assert arrays['row'].tolist()[:3] == [0, half, 2 * half]
    assert arrays['row'][-1] == 2800 - 2 * half
    (tmp_path / 'short.txt').write_text('x')
    with pytest.raises(UserError, match='fewer than a window'):
        perform(applications.load('score'), run, data=str(tmp_path / 'short.txt'))


@pytest.mark.parametrize(
    ('x', 'words'),
    [
        (np.zeros((3, 9, 9, 1), np.uint8), 'x is uint8'),
        (np.full((3, 8, 8, 1), 300), 'x goes from 300 to 300'),
        (np.full((3, 8, 8, 1), 0.5), 'as integers'),
        (np.zeros((0, 8, 8, 1)), 'give numbers'),
    ],
)
def test_examples_of_another_kind_are_refused_in_one_line(vae, tmp_path, x, words):
    np.savez(tmp_path / 'other.npz', x=x)
    with pytest.raises(UserError, match=words) as error:
        perform(applications.load('score'), vae, data=str(tmp_path / 'other.npz'))
    assert '--data=' in str(error.value) and '\n' not in str(error.value)


def test_modes_that_read_no_examples_refuse_them(gan, mine):
    with pytest.raises(UserError, match='reads no examples'):
        perform(applications.load('interpolate'), gan, data=str(mine[0]))


def test_levels_are_those_before_binarisation(tmp_path, mine):
    """The preprocessing of the run binarizes them: 17 levels are halved at 8, not at 127."""
    run = assembled(tmp_path, 'vae', data__binarize='threshold')
    assert given.unbinarised_levels(run) == 17
    run = given.with_given(run, given.read(run, str(mine[0])))
    state = restore.initial_state(run)
    x = preprocessed(run, state, jax.devices(), run.data.splits['test']['x'])
    np.testing.assert_array_equal(x, mine[1] > 8)
