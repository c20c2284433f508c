"""Lossless coding of an endless text: round trips, the size of the file, wrong files."""

import json

import numpy as np
import pytest
from marks import exhaustive_but
from support import assembled, error_line

import train_lib
from atelier.applications import _lossless, compress, decompress, perform
from atelier.data.text import decode, symbols_of
from atelier.evaluation import evaluate
from atelier.evaluation.compression import file_format
from atelier.run import restore

TEXT = 'The quick brown fox jumps over the lazy dog.\n"Why?" asked 7 cats — naïve ones.\n'


def text_run(folder, name, text=TEXT * 40, **changes):
    """A run on a text whose last tenth is the test split."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'mine.txt').write_text(text)
    fields = dict(data__path=str(folder / 'mine.txt'), data__split_by='order')
    fields |= dict(data__context=8, model__order=2) if name == 'markov' else {}
    return assembled(folder / 'run', name, 'debug', **(fields | changes))


def in_python(run):
    """The run as if it were built in Python: this process decodes."""
    return run._replace(config_file=run.config_file._replace(path=''))


@pytest.fixture(scope='module')
def markov(tmp_path_factory):
    """A trained Markov model."""
    run = in_python(text_run(tmp_path_factory.mktemp('markov'), 'markov'))
    train_lib.train(run)
    return run


@pytest.mark.slow
def test_the_text_comes_back(markov, one_device):
    """The test split, its first characters, and a file of the user's, as text."""
    text = decode(symbols_of(markov.data.splits['test'])[None], markov.data.spec.symbols)[0]
    assert text == (TEXT * 40)[-len(text) :]
    folder = markov.folder / 'applications'
    arrays = perform(compress.APPLICATION, markov)
    assert (folder / 'decompress.txt').read_text() == text
    assert arrays['x'].shape == arrays['bits'].shape == (len(text),)
    np.testing.assert_array_equal(np.load(folder / 'decompress.npz')['x'], arrays['x'])
    assert (folder / 'compress.png').stat().st_size > 5000
    perform(compress.APPLICATION, markov, num_characters=50)
    assert (folder / 'decompress-num_characters-50.txt').read_text() == text[:50]
    mine = markov.folder.parent / 'other.txt'
    mine.write_text(TEXT.swapcase().lower().replace('quick', 'dog—') * 30)
    perform(compress.APPLICATION, markov, data=str(mine))
    (decoded,) = folder.glob('decompress-data-*.txt')
    assert decoded.read_text() == mine.read_text()


@pytest.mark.slow
def test_the_results_are_those_of_the_coder_and_of_evaluation(markov, one_device):
    compress.apply(markov)
    results = json.loads((markov.folder / 'applications' / 'compress.json').read_text())
    nats = evaluate.evaluate(markov)['values']['nats_per_character']['mean']
    assert results['nats_per_character'] == pytest.approx(nats, rel=1e-5)
    assert results['log_prob_bits_per_character'] == pytest.approx(nats / np.log(2), rel=1e-5)
    n, bits = results['num_characters'], np.load(markov.folder / 'applications' / 'compress.npz')
    assert 8 * results['file_bytes'] / n == pytest.approx(results['file_bits_per_character'])
    words = results['words_bits_per_character']
    assert 0 <= n * words - bits['bits'].sum(dtype=float) < 65
    assert results['num_streams'] == 1
    for name in ('gzip', 'bzip2', 'xz'):
        alone, given = (
            results[f'{name}{end}_bits_per_character'] for end in ('', '_given_training')
        )
        assert 0 <= given < alone


@pytest.mark.slow
def test_a_long_file_is_within_a_hundredth_of_the_likelihood(tmp_path, one_device):
    """On the last tenth of the help topics of Python, in several streams."""
    run = in_python(assembled(tmp_path / 'run', 'markov', 'text'))
    train_lib.train(run)
    compress.apply(run)
    results = json.loads((run.folder / 'applications' / 'compress.json').read_text())
    assert results['num_streams'] > 10
    ratio = results['file_bits_per_character'] / results['log_prob_bits_per_character']
    assert 1 < ratio < 1.01
    assert results['file_bits_per_character'] < results['gzip_given_training_bits_per_character']


def coded(run):
    """Returns the path of a file of a run's test text."""
    x = symbols_of(run.data.splits['test']).astype(np.int64)
    content, _ = _lossless.packed(run, restore.load(run).state, x, None)
    path = run.folder.parent / 'file.bin'
    path.write_bytes(content)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures('scattered_weights')
def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path, complaint):
    run = text_run(tmp_path / 'a', 'char_gru')
    path = coded(run)
    content = path.read_bytes()
    assert content.startswith(b'atelier7')
    start = content.index(b'\n') + 3
    flipped = bytearray(content)
    flipped[(start + len(content)) // 2] ^= 4
    for broken in (flipped, content + b'\0\1\2\3' * 4, content[:-4]):
        path.write_bytes(broken)
        assert 'does not decode to the original data' in complaint(decompress.apply, run, str(path))
    path.write_bytes(content[: start + 4])
    assert 'windows, and it holds fewer bits, 32' in complaint(decompress.apply, run, str(path))
    path.write_bytes(content)
    other = text_run(tmp_path / 'b', 'char_gru', seed=1)
    assert 'was coded with other weights' in complaint(decompress.apply, other, str(path))
    other = text_run(tmp_path / 'c', 'char_gru', TEXT.replace('q', 'Q') * 40)
    assert 'text of other symbols than' in complaint(decompress.apply, other, str(path))
    other = text_run(tmp_path / 'd', 'char_gru', data__context=32)
    assert 'holds other data than' in complaint(decompress.apply, other, str(path))
    header, words = file_format.read(path)
    many = header._replace(num_examples=2**38, batch_size=2**10)
    path.write_bytes(file_format.packed(many, words))
    assert 'windows, and it holds fewer bits' in complaint(decompress.apply, run, str(path))


@pytest.mark.usefixtures('untrained')
def test_bad_options_raise_one_line(tmp_path, complaint, vae):
    run = text_run(tmp_path, 'markov')
    for options, message in {
        ('num_characters', 3): '--num_characters=3: give at least a window of 8',
        ('num_characters', -1): '--num_characters=-1',
        ('num_images', 3): '--num_images=3: .* has other data: give --num_characters',
        ('num_items', 3): '--num_items=3: .* has other data: give --num_characters',
    }.items():
        name, value = options
        with pytest.raises(Exception, match=message):
            compress.apply(run, **{name: value})
    line = complaint(compress.apply, vae, by='likelihood', num_characters=3)
    assert '--num_characters=3' in line and 'give --num_images' in line


@pytest.mark.parametrize('name', exhaustive_but(('char_lm',), ['markov', 'char_gru', 'char_lm']))
def test_another_process_decodes_with_the_weights_and_the_file_alone(main, tmp_path, name):
    """The text may be gone."""
    path, folder = tmp_path / 'mine.txt', tmp_path / 'run'
    path.write_text(TEXT * 40)
    arguments = [f'--config=configs/{name}.py:debug', f'--config.data.path={path}']
    arguments += ['--config.data.split_by=order', f'--workdir={folder}']
    training = main(*arguments)
    assert training.returncode == 0, training.stderr
    coding = main('--mode=compress', f'--workdir={folder}')
    assert coding.returncode == 0, coding.stderr
    assert 'decoded without loss' in coding.stdout + coding.stderr
    path.unlink()
    decoded = folder / 'applications' / 'decompress.txt'
    decoded.unlink()
    decoding = main('--mode=decompress', f'--workdir={folder}', num_devices=8)
    assert decoding.returncode == 0, decoding.stderr
    assert (TEXT * 40).endswith(decoded.read_text()) and len(decoded.read_text()) > 300
    assert 'mine.txt' in error_line(main('--mode=compress', f'--workdir={folder}'))
