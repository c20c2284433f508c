"""Modes of models of items, texts that end: what they write, draw, and refuse."""

import csv
import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from support import assembled, replaced, with_abilities

import train_lib
from atelier.applications import (
    animate,
    anomaly,
    concept,
    denoise,
    embed,
    inpaint,
    interpolate,
    latent_map,
    perform,
    reconstruct,
    sample,
    score,
    text,
    traverse,
)
from atelier.core.abilities import Codes, Denoise, Inpaint, reconstruct_by_codes
from atelier.data import items
from atelier.errors import UserError
from atelier.evaluation import evaluate

pytestmark = pytest.mark.usefixtures('one_device')

SYLLABLES = ['ka', 'lo', 'mi', 'ne', 'ru', 'tas']
NAMES = [''.join(parts) for parts in itertools.product(SYLLABLES, repeat=3)]
KINDS = ['k' if name.startswith('ka') else 'other' for name in NAMES]
DEBUG = 'lines,debug'


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A trained n-gram model of names."""
    folder = tmp_path_factory.mktemp('names')
    (folder / 'names.txt').write_text('\n'.join(NAMES) + '\n')
    fields = dict(data__path=str(folder / 'names.txt'), model__order=3)
    run = assembled(folder / 'run', 'markov', DEBUG, **fields)
    train_lib.train(run)
    return run


@pytest.fixture(scope='module')
def coded(tmp_path_factory):
    """A run whose codes are the first two symbols of a name, as numbers; it has classes."""
    folder = tmp_path_factory.mktemp('coded')
    with open(folder / 'names.csv', 'w', newline='') as file:
        csv.writer(file).writerows([('name', 'kind'), *zip(NAMES, KINDS, strict=True)])
    fields = dict(data__path=str(folder / 'names.csv'), data__column='name')
    fields |= dict(data__label_column='kind', data__is_packed=False)
    run = assembled(folder, 'char_gru', DEBUG, **fields)
    length, largest = run.data.spec.num_dims, run.data.spec.levels - 1

    def encode(weights, batch, rng):
        return batch['x'][:, :2].astype(jnp.float32)

    def decode(weights, codes):
        tokens = jnp.clip(jnp.round(codes), 1, largest)  # no end
        return jnp.pad(tokens, ((0, 0), (0, length - 2)))

    return with_abilities(run, Codes(encode, decode), reconstruct_by_codes(encode, decode))


def stored(run, name):
    return np.load(run.folder / 'applications' / f'{name}.npz')


def test_samples_are_items_one_a_line(run, capsys):
    x = sample.apply(run, num_samples=7)
    path = run.folder / 'samples' / 'seed-0.txt'
    lines = path.read_text().splitlines()
    assert lines == np.load(path.with_suffix('.npz'))['text'].tolist()
    assert x.shape == (7, *run.data.spec.event_shape)
    assert all(0 < len(line) < x.shape[1] for line in lines)
    assert capsys.readouterr().out.split() == lines[: sample.MAX_PRINTED]
    assert Image.open(path.with_suffix('.png')).size[0] <= 1200


def test_training_writes_items_and_their_picture(run):
    (path,) = (run.folder / 'samples').glob('samples-*.txt')
    assert len(path.read_text().splitlines()) == run.config.eval.num_pictures
    assert path.with_suffix('.png').exists()
    assert {*np.load(run.folder / 'samples' / 'samples.npz')} == {'x', 'data'}


@pytest.mark.slow
def test_items_of_several_lines_stand_between_separators(tmp_path, capsys):
    tunes = [f'{a}{b}\n{b}{a}' for a, b in itertools.product('abcdefghij', repeat=2)]
    (tmp_path / 'tunes.txt').write_text('\n%\n'.join(tunes))
    fields = dict(data__path=str(tmp_path / 'tunes.txt'), data__separator='%')
    run = assembled(tmp_path / 'run', 'markov', DEBUG, **fields)
    train_lib.train(run)
    sample.apply(run, num_samples=3)
    path = run.folder / 'samples' / 'seed-0.txt'
    parts = [part.strip('\n') for part in path.read_text().split('\n%\n')]
    assert parts == np.load(path.with_suffix('.npz'))['text'].tolist()
    assert '\n' in parts[0] and '-' * 72 in capsys.readouterr().out


def test_a_prompt_is_completed_to_its_end(run, capsys):
    longest = run.data.spec.num_dims - 1
    texts = text.apply(run, prompt='kal', num_samples=4)
    assert all(each.startswith('kal') and len(each) <= longest for each in texts)
    path = run.folder / 'applications' / 'text-seed-0-prompt-kal.txt'
    assert path.read_text().splitlines() == texts == capsys.readouterr().out.split()
    assert stored(run, 'text-seed-0-prompt-kal')['text'].tolist() == texts
    assert text.apply(run, prompt='k' * longest, num_samples=1) == ['k' * longest]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_characters=30), '--num_characters=30: the texts of this model end by themselves'),
        (dict(prompt='k' * 10), "--prompt='k{10}' has 10 characters, .* have at most 9"),
        (dict(prompt='kaX'), "--prompt='kaX': 'X' is outside the vocabulary: [^\\\\]+$"),
        (dict(prompt='ka\0'), 'a zero byte ends a text'),
    ],
)
def test_what_is_no_beginning_of_an_item_is_refused(run, options, message):
    with pytest.raises(UserError, match=message) as error:
        text.apply(run, **options)
    assert '\n' not in str(error.value) and '\0' not in str(error.value)


@pytest.mark.slow
def test_scores_are_of_items_and_of_their_symbols(run):
    arrays = perform(score.APPLICATION, run)
    x, nats = run.data.splits['test']['x'], arrays['character_nats']
    np.testing.assert_allclose(nats.sum(1), -arrays['log_prob_nats'], rtol=1e-5)
    assert (nats[~items.is_scored(x)] == 0).all()
    per_symbol = -arrays['log_prob_nats'] / [len(each) + 1 for each in arrays['text']]
    np.testing.assert_allclose(arrays['nats_per_character'], per_symbol, rtol=1e-5)
    with open(run.folder / 'applications' / 'score.csv') as file:
        rows = [*csv.DictReader(file)]
    assert [row['text'] for row in rows] == arrays['text'].tolist()
    assert [*rows[0]][:4] == ['file', 'row', 'text', 'log_prob_nats']
    assert (run.folder / 'applications' / 'score.png').exists()


@pytest.mark.slow
def test_the_mean_score_is_that_of_an_evaluation(run):
    perform(score.APPLICATION, run)
    means = json.loads((run.folder / 'applications' / 'score.json').read_text())['means']
    values = evaluate.evaluate(run)['values']
    for name, of_evaluation in (
        ('nats_per_character', values['nats_per_character']),
        ('log_prob_nats', {'mean': -values['nll_nats']['mean']}),
    ):
        assert means[name]['mean'] == pytest.approx(of_evaluation['mean'], rel=1e-5)


@pytest.mark.slow
def test_the_figure_lists_the_least_and_the_most_likely_items(run, monkeypatch):
    shown = []
    draw = score._text_figure.figure
    record = lambda passages, *rest: shown.extend(passages) or draw(passages, *rest)
    monkeypatch.setattr(score._text_figure, 'figure', record)
    arrays = perform(score.APPLICATION, run)
    least, most = shown
    assert least.title.startswith('Least likely') and most.title.startswith('Most likely')
    order = np.argsort(arrays['log_prob_nats'], kind='stable')
    first = score._text_figure.lines_of(least)[0]
    written = ''.join(character for character, _ in first)
    assert written.split() == [
        f'{-arrays["log_prob_nats"][order[0]]:.1f}',
        f'{arrays["text"][order[0]]}■',
    ]
    assert np.nansum([value for _, value in first]) == pytest.approx(
        -arrays['log_prob_nats'][order[0]], rel=1e-5
    )


@pytest.mark.slow
def test_the_most_anomalous_items_are_listed(run, caplog):
    caplog.set_level('INFO')
    arrays = perform(anomaly.APPLICATION, run, num_images=3)
    worst = arrays['text'][arrays['index'][0]]
    assert any(line.endswith(f'  {worst}') for line in caplog.text.splitlines())
    folder = run.folder / 'applications'
    assert 'text' in (folder / 'anomaly-nll.csv').read_text().split('\n')[0]
    assert (folder / 'anomaly-nll-most.png').exists() and (folder / 'anomaly-nll.png').exists()
    with pytest.raises(UserError, match='has no reconstruction: choose --score=nll'):
        perform(anomaly.APPLICATION, run, score='reconstruction')


@pytest.mark.slow
@pytest.mark.usefixtures('untrained')
def test_paths_lead_from_item_to_item(coded):
    arrays = perform(interpolate.APPLICATION, coded, num_pairs=2, num_points=3)
    assert arrays['decoded_text'].shape == (2, 2, 3) and arrays['text'].shape == (2, 2)
    for pair, ends in zip(arrays['text'], arrays['decoded_text'], strict=True):
        assert ends[0, [0, -1]].tolist() == [each[:2] for each in pair.tolist()]
    path = coded.folder / 'applications' / 'interpolate-seed-0-num_points-3.txt'
    blocks = path.read_text().split('\n\n')
    assert len(blocks) == 4
    first, *lines = blocks[0].splitlines()
    assert first == 'linear' and [line.split()[0] for line in lines] == [
        *('item', '0', '0.5', '1', 'item')
    ]
    assert lines[0].split()[1] == arrays['text'][0, 0]
    assert path.with_suffix('.png').exists()


@pytest.mark.usefixtures('untrained')
def test_items_of_a_file_are_joined_in_their_order(coded, tmp_path):
    (tmp_path / 'two.txt').write_text('lomine\nkatas\n')
    arrays = perform(interpolate.APPLICATION, coded, data=str(tmp_path / 'two.txt'))
    assert arrays['text'].tolist() == [['lomine', 'katas']]
    assert arrays['decoded_text'][0, 0, [0, -1]].tolist() == ['lo', 'ka']
    (tmp_path / 'one.txt').write_text('lomine\n')
    with pytest.raises(UserError, match='fewer than 2: a path joins two'):
        perform(interpolate.APPLICATION, coded, data=str(tmp_path / 'one.txt'))


@pytest.mark.usefixtures('untrained')
def test_directions_lead_from_class_to_class(coded):
    """The mean code of the class k begins with k and a."""
    options = dict(source='other', target='k', low=0.0, high=1.0, num_steps=2, num_images=2)
    arrays = perform(concept.APPLICATION, coded, **options)
    train = coded.data.splits['train']
    codes = train['x'][:, :2].astype(float)
    means = [codes[train['label'] == label].mean(0) for label in (1, 0)]
    assert coded.data.spec.class_names == ('k', 'other')
    np.testing.assert_allclose(arrays['direction'], means[1] - means[0], rtol=1e-5)
    assert arrays['decoded_text'].shape == (2, 2)


@pytest.mark.slow
@pytest.mark.usefixtures('untrained')
def test_directions_follow_a_number(coded, tmp_path):
    (tmp_path / 'mine.py').write_text("def vowels(item):\n    return item.count('a') or None\n")
    arrays = perform(concept.APPLICATION, coded, attribute='length', num_images=2, num_steps=2)
    np.testing.assert_array_equal(arrays['value'], 2)  # the decoder writes two symbols
    path = f'{tmp_path}/mine.py:vowels'
    arrays = perform(concept.APPLICATION, coded, attribute=path, num_images=2, num_steps=2)
    expected = [[each.count('a') or np.nan for each in row] for row in arrays['decoded_text']]
    np.testing.assert_array_equal(arrays['value'], expected)
    (file,) = (coded.folder / 'applications').glob('concept-vowels-low-to-high*.png')
    assert file.stat().st_size > 1000
    with pytest.raises(UserError, match='--attribute=intensity: symbols have none, choose length'):
        perform(concept.APPLICATION, coded, attribute='intensity')


@pytest.mark.slow
@pytest.mark.usefixtures('untrained')
def test_a_plane_has_texts_and_the_colours_of_a_number(coded, tmp_path):
    (tmp_path / 'mine.py').write_text("def vowels(item):\n    return item.count('a') or None\n")
    arrays = perform(latent_map.APPLICATION, coded, num_points=3, by=f'{tmp_path}/mine.py:vowels')
    expected = [each.count('a') or np.nan for each in arrays['text'].tolist()]
    np.testing.assert_array_equal(arrays['value'], expected)
    of_grid = [[each.count('a') or np.nan for each in row] for row in arrays['decoded_text']]
    np.testing.assert_array_equal(arrays['grid_value'], of_grid)
    arrays = perform(latent_map.APPLICATION, coded, num_points=3, by='length')
    np.testing.assert_array_equal(arrays['value'], [len(each) for each in arrays['text']])
    folder = coded.folder / 'applications'
    name = 'latent_map-num_points-3-by-length'
    assert {path.name for path in folder.glob(f'{name}*')} == {
        *(f'{name}.npz', f'{name}.png', f'{name}.txt', f'{name}-grid.png')
    }
    assert arrays['decoded_text'][0, 0] in (folder / f'{name}.txt').read_text()
    assert 'value' not in perform(latent_map.APPLICATION, coded, num_points=2)


@pytest.mark.slow
@pytest.mark.usefixtures('untrained')
def test_other_modes_of_codes(coded):
    arrays = perform(reconstruct.APPLICATION, coded, num_images=3)
    assert arrays['reconstructed_text'].tolist() == [each[:2] for each in arrays['text'].tolist()]
    np.testing.assert_array_equal(arrays['edits'], [len(each) - 2 for each in arrays['text']])
    header = (coded.folder / 'applications' / 'reconstruct-seed-0.csv').read_text().split('\n')[0]
    assert header.endswith('text,reconstructed_text,edits,is_equal')
    arrays = perform(traverse.APPLICATION, coded, num_points=3)
    assert arrays['decoded_text'].shape == (2, 3)
    arrays = perform(embed.APPLICATION, coded, num_codes=60)
    assert arrays['test_text'].tolist() == [
        each for each in arrays['test_text'].tolist() if each in NAMES
    ]
    assert {'probe_of_codes', 'neighbours_of_x'} <= {*arrays}


@pytest.mark.usefixtures('untrained')
def test_the_counts_of_symbols_are_what_classifiers_read_beside_codes(coded):
    x = coded.data.splits['test']['x'][:4]
    symbols = coded.data.spec.symbols
    counts = embed._features_of_x(x, coded.data.spec)
    for row, name in zip(counts, items.unpacked(x, symbols), strict=True):
        assert row.tolist() == [1, *(name.count(symbol) for symbol in symbols[1:])]


def test_what_means_nothing_for_texts_is_refused(coded):
    fill = Inpaint(lambda weights, batch, rng: batch['x'])
    clean = Denoise(lambda weights, batch, rng: batch['x'], 1.0)
    able = coded._replace(family=replaced(coded.family, fill, clean))
    for mode, message in (
        (inpaint, 'cannot fill in parts of texts: --mode=text completes one'),
        (denoise, 'cannot denoise: texts have symbols'),
        (animate, 'cannot be animated: its samples are texts'),
    ):
        with pytest.raises(UserError, match=message):
            perform(mode.APPLICATION, able)
