"""Lossless coding: round trips, damaged files, and the number of bits."""

import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from marks import exhaustive_but
from support import assembled, error_line, few_of_test

import train_lib
from atelier.applications import _lossless, compress, decompress, perform
from atelier.data.items import lengths
from atelier.data.text import decode
from atelier.evaluation.compression import file_format
from atelier.run import restore, run_folder


@pytest.fixture(scope='module')
def digits():
    """Returns 32 digits."""
    from sklearn.datasets import load_digits

    return load_digits().images[:32]


def coded(run, num_images=20):
    """Returns the file with a run's coded test examples, and these examples."""
    x, labels = (run.data.splits['test'][name][:num_images] for name in ('x', 'label'))
    x, labels = _lossless.as_levels({'x': x, 'label': labels})
    state = restore.load(run).state
    content, _ = _lossless.packed(run, state, x, labels)
    path = run.folder / 'file.bin'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, x


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize(
    'name',
    [
        'naive_bayes',
        pytest.param('chow_liu', marks=pytest.mark.slow),
        pytest.param('cvae', marks=pytest.mark.slow),
    ],
)
def test_the_file_is_decoded_and_damage_is_detected(tmp_path, complaint, name):
    run = assembled(tmp_path / 'run', name)
    path, x = coded(run)
    arrays = decompress.apply(run, str(path))
    np.testing.assert_array_equal(arrays['x'].reshape(x.shape), x)
    assert arrays['x'].dtype == np.uint8 and ('label' in arrays) == (name != 'chow_liu')
    if 'label' in arrays:
        np.testing.assert_array_equal(arrays['label'], run.data.splits['test']['label'][:20])
    content = path.read_bytes()
    start = content.index(b'\n') + 3
    flipped = bytearray(content)
    flipped[(start + len(content)) // 2] ^= 4
    more, other_coder = content + b'\0\1\2\3' * 4, bytearray(content)
    other_coder[7] ^= ord('5') ^ ord('6')
    for broken in (flipped, content[: start + 40], more, content[:-1], other_coder):
        path.write_bytes(broken)
        assert 'does not decode to the original data' in complaint(decompress.apply, run, str(path))


def of_classes(folder, name, classes, rule):
    """A run on pictures of these classes of 0 to 4, whose test split has class 4 too."""
    rng, arrays = np.random.default_rng(0), {}
    for split, known in (('train', classes), ('valid', classes), ('test', (*classes, 4))):
        arrays[f'x_{split}'] = rng.integers(0, 2, (12, 4, 4, 1), np.uint8)
        arrays[f'label_{split}'] = np.resize(known, 12)
    np.savez(folder / 'data.npz', **arrays)
    changes = dict(data__path=str(folder / 'data.npz'), data__classes=rule)
    return assembled(folder / f'run-{rule}', name, 'arrays,debug', **changes)


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize('name', ['naive_bayes', pytest.param('cvae', marks=pytest.mark.slow)])
@pytest.mark.parametrize('classes', [(1, 3), (2,)])
def test_labels_are_coded_over_the_classes_of_training(tmp_path, complaint, name, classes):
    """A bit for two classes, nothing for one; a class that was never trained has no code."""
    run = of_classes(tmp_path, name, classes, 'trained')
    state, x = restore.load(run).state, np.zeros((5, 16), np.int64)
    labels = np.resize(classes, 5)
    content, bitstream = _lossless.packed(run, state, x, labels)
    assert bitstream.label_bits == pytest.approx(np.log2(len(classes)), abs=1e-5)
    path = run.folder / 'file.bin'
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    np.testing.assert_array_equal(decompress.apply(run, str(path))['label'], labels)
    line = complaint(_lossless.packed, run, state, x, np.append(labels[:4], 4))
    assert 'without training examples (4): give examples of' in line
    header, words = file_format.read(path)
    path.write_bytes(file_format.packed(header._replace(left_out=(0, 1, 2, 3, 4)), words))
    assert 'does not decode' in complaint(decompress.apply, run, str(path))


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize('name', ['naive_bayes', pytest.param('cvae', marks=pytest.mark.slow)])
def test_files_that_code_all_declared_classes_are_read(tmp_path, name):
    """The format of earlier files, which runs with `data.classes=declared` still write."""
    run = of_classes(tmp_path, name, (1, 3), 'declared')
    state, x = restore.load(run).state, np.zeros((5, 16), np.int64)
    labels = np.array([1, 3, 4, 0, 2])
    content, bitstream = _lossless.packed(run, state, x, labels)
    assert content.startswith((b'atelier3', b'atelier4'))
    assert bitstream.label_bits == pytest.approx(np.log2(5), rel=1e-5)
    path = run.folder / 'file.bin'
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    config = run.config.copy_and_resolve_references()
    config.data.classes = 'trained'
    spec = run.data.spec._replace(left_out=(0, 2, 4))
    trained = run._replace(config=config, data=run.data._replace(spec=spec))
    for reader in (run, trained):
        np.testing.assert_array_equal(decompress.apply(reader, str(path))['label'], labels)


@pytest.mark.usefixtures('scattered_weights')
def test_other_weights_and_another_jax_are_refused(tmp_path, complaint, monkeypatch):
    run = assembled(tmp_path / 'run', 'fvsbn')
    path, _ = coded(run)
    other = assembled(tmp_path / 'other', 'fvsbn', seed=1)
    assert 'other weights' in complaint(decompress.apply, other, str(path))
    monkeypatch.setattr(file_format, 'software_version', lambda: 'jax 99 abacus')
    assert 'this is jax 99 abacus' in complaint(decompress.apply, run, str(path))
    monkeypatch.setattr(file_format, 'software_version', lambda: 'jax' * 100_000)
    huge, _ = coded(run)
    monkeypatch.setattr(file_format, 'software_version', lambda: 'jax 99 abacus')
    assert len(complaint(decompress.apply, run, str(huge))) < 1000
    density = assembled(tmp_path / 'density', 'glow')
    line = complaint(decompress.apply, density, str(path))
    assert 'a density cannot code examples' in line


@pytest.mark.usefixtures('untrained')
def test_bad_options_raise_one_line(tmp_path, complaint):
    run = assembled(tmp_path, 'chow_liu')
    assert '--num_images=0' in complaint(compress.apply, run, num_images=0)
    assert '--seed=-1' in complaint(compress.apply, run, seed=-1)
    assert 'nowhere.bin does not exist' in complaint(decompress.apply, run, 'nowhere.bin')
    gan = assembled(tmp_path, 'gan')
    assert 'no conditional distributions or bits-back coding' in complaint(
        perform, decompress.APPLICATION, gan
    )
    assert '--by=chance: choose one of auto, codes, likelihood' in complaint(
        compress.apply, run, by='chance'
    )
    line = complaint(compress.apply, run, by='codes')
    assert 'it has no encoder and no decoder; choose --by=likelihood' in line
    reasons = {
        ('gan', 'digits'): 'no likelihood to code by',
        ('autoencoder', 'digits'): 'no likelihood to code by',
        ('vae', 'ring'): 'the model has a density of real values',
        ('hierarchical_vae', 'digits'): 'with a posterior of one layer',
        ('ppca', 'digits'): 'the model has a density of real values',
    }
    for (name, data), message in reasons.items():
        other = assembled(tmp_path, name, f'{data},debug')
        line = complaint(compress.apply, other, by='likelihood')
        assert 'cannot compress by likelihood' in line and message in line


@pytest.mark.slow
def test_a_run_built_in_python_decodes_in_the_same_process(tmp_path, one_device):
    """The measured number of bits equals the reported one."""
    run = few_of_test(assembled(tmp_path, 'naive_bayes'), 100)
    run = run._replace(config_file=run.config_file._replace(path=''))
    train_lib.train(run)
    arrays = compress.apply(run, num_images=80)
    assert arrays['bits'].shape == arrays['x'].shape == (80, 8, 8, 1)
    totals = arrays['bits'].reshape(80, -1).sum(1) + np.log2(10)
    np.testing.assert_allclose(totals, arrays['reported_bits'], rtol=1e-3)
    results = json.loads((tmp_path / 'applications' / 'compress-num_images-80.json').read_text())
    assert results['reported_bits'] == pytest.approx(arrays['reported_bits'].mean())
    assert results['label_bits'] == pytest.approx(np.log2(10), rel=1e-5)
    stream = results['measured_bits_without_header']
    assert abs(stream / results['reported_bits'] - 1) < 0.01
    assert stream < results['measured_bits'] < stream + 8 * 120 / 80
    assert results['webp_bits'] < results['png_bits'] < results['png_bits_apart']
    for name in ('compress', 'decompress'):
        assert (tmp_path / 'applications' / f'{name}-num_images-80.png').stat().st_size > 1000


@pytest.mark.parametrize('name', exhaustive_but(('cvae',), ['vae', 'cvae']))
def test_bits_back_coding_reaches_the_elbo(tmp_path, one_device, name):
    """The measured bits equal -ELBO, up to the noise of two draws of z."""
    run = few_of_test(assembled(tmp_path, name, train__steps=100), 300)
    run = run._replace(config_file=run.config_file._replace(path=''))
    train_lib.train(run)
    arrays = compress.apply(run, num_images=300, by='likelihood')
    totals = arrays['bits'].reshape(300, -1).sum(1) + arrays['code_bits']
    label_bits = np.log2(10) if name == 'cvae' else 0.0
    difference = totals + label_bits - arrays['reported_bits']
    assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(300) < 0.02 * totals.mean()
    assert arrays['reported_bits'].mean() > arrays['log_prob_bits'].mean()
    folder = tmp_path / 'applications'
    results = json.loads((folder / 'compress-likelihood-num_images-300.json').read_text())
    assert results['coder'] == 'bits back' and 'upper bound' in results['reported']
    assert results['label_bits'] == pytest.approx(label_bits)
    stream = 300 * results['measured_bits_without_header']
    assert results['first_bits'] == pytest.approx(stream - (totals + label_bits).sum(), abs=0.5)
    assert 0 < results['first_bits'] < 2 * 22 + 64  # two latent dimensions
    assert (folder / 'compress-likelihood-num_images-300.png').stat().st_size > 1000
    np.testing.assert_array_equal(
        np.load(folder / 'decompress-num_images-300.npz')['x'], arrays['x']
    )


def items_file(path, n=400):
    """Words of two to nine letters, some of them several times."""
    random = np.random.RandomState(0)
    parts = ['ba', 'na', 'ko', 'li', 'tu', 'r']
    words = [''.join(random.choice(parts, random.randint(1, 5))) for _ in range(n)]
    path.write_text('\n'.join(f'{word}{random.choice(["", "s"])}' for word in words) + '\n')
    return str(path)


def items_run(folder, name, **changes):
    (folder / 'run').mkdir(parents=True)
    fields = dict(data__path=items_file(folder / 'words.txt'), data__split_by='order') | changes
    return assembled(folder / 'run', name, 'lines,debug', **fields)


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.slow
@pytest.mark.parametrize('name', ['markov', 'char_gru', 'char_lm'])
def test_items_come_back_at_their_likelihood(tmp_path, complaint, name):
    run = items_run(tmp_path / 'a', name)
    run = run._replace(config_file=run.config_file._replace(path=''))
    arrays = compress.apply(run)
    folder, test = run.folder / 'applications', run.data.splits['test']['x']
    n = len(test)
    assert arrays['x'].shape == test.shape and n == 40
    np.testing.assert_array_equal(arrays['x'], test[arrays['index']])
    np.testing.assert_allclose(arrays['bits'].sum(1), arrays['reported_bits'], rtol=1e-3, atol=1e-3)
    sizes = lengths(arrays['x'])
    assert (arrays['bits'][np.arange(test.shape[1]) >= sizes[:, None]] == 0).all()
    decoded = (folder / 'decompress.txt').read_text().split('\n')
    assert decoded == [*decode(arrays['x'], run.data.spec.symbols), '']
    results = json.loads((folder / 'compress.json').read_text())
    assert results['num_dims'] == pytest.approx(sizes.mean())
    assert 0 < results['gzip_given_training_bits'] < results['gzip_bits']
    words = results['measured_bits_without_header'] * n
    assert 0 <= words - arrays['bits'].sum(dtype=float) < 65
    assert '--num_items=0' in complaint(compress.apply, run, num_items=0)
    assert 'give --num_items' in complaint(compress.apply, run, num_images=3)
    path = folder / 'compress.bin'
    content = bytearray(path.read_bytes())
    content[-6] ^= 4
    path.write_bytes(content)
    assert 'does not decode' in complaint(decompress.apply, run)
    words = items_file(tmp_path / 'words.txt', 400)
    pathlib.Path(words).write_text(pathlib.Path(words).read_text().replace('k', 'K'))
    other = items_run(tmp_path / 'b', name, data__path=words)
    line = complaint(decompress.apply, other, str(path))
    assert 'text of other symbols than' in line


@pytest.mark.slow
def test_items_of_yours_are_decoded_by_another_process(main, tmp_path):
    """More than the test split has; the file holds their text alone."""
    words, folder = items_file(tmp_path / 'words.txt'), tmp_path / 'run'
    arguments = ['--config=configs/markov.py:lines,debug', f'--config.data.path={words}']
    arguments += ['--config.data.split_by=order', '--config.data.max_length=12']
    assert main(*arguments, f'--workdir={folder}').returncode == 0
    coding = main('--mode=compress', f'--workdir={folder}', f'--data={words}')
    assert coding.returncode == 0, coding.stderr
    assert '400 items coded' in coding.stdout + coding.stderr
    (decoded,) = (folder / 'applications').glob('decompress-data-*.txt')
    written = decoded.read_text().split('\n')
    assert sorted(written) == sorted(pathlib.Path(words).read_text().split('\n'))


@pytest.mark.parametrize('name', exhaustive_but(('vae',), ['chow_liu', 'vae']))
def test_decoding_needs_only_the_weights_and_the_file(main, tmp_path, digits, name):
    """Decoding still works after the data are deleted and the file has moved."""
    data = tmp_path / 'mine.npz'
    np.savez(data, x=np.tile(digits > 7, (80, 1, 1)).astype(np.uint8))
    folder, small = tmp_path / 'run', ('--config.train.steps=1' if name == 'chow_liu' else '')
    arguments = [f'--config=configs/{name}.py:arrays,debug', f'--config.data.path={data}']
    arguments += ['--config.data.split_by=order']  # by content, copies share a split
    assert main(*arguments, *filter(None, [small]), f'--workdir={folder}').returncode == 0
    process = main('--mode=compress', f'--workdir={folder}', '--by=likelihood')
    assert process.returncode == 0, process.stderr
    assert 'decoded without loss' in process.stdout + process.stderr
    name_of_file = 'compress-likelihood' if name == 'vae' else 'compress'
    results = json.loads((folder / 'applications' / f'{name_of_file}.json').read_text())
    assert abs(results['measured_bits_without_header'] / results['reported_bits'] - 1) < 0.01
    with np.load(folder / 'applications' / f'{name_of_file}.npz') as arrays:
        x = arrays['x']
    file = tmp_path / 'alone.bin'
    shutil.move(folder / 'applications' / 'compress.bin', file)
    shutil.rmtree(folder / 'applications')
    data.unlink()
    decoding = main('--mode=decompress', f'--workdir={folder}', f'--file={file}')
    assert decoding.returncode == 0, decoding.stderr
    (path,) = (folder / 'applications').glob('decompress-file-????????.npz')
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays['x'], x)
    assert 'compress.bin does not exist' in error_line(
        main('--mode=decompress', f'--workdir={folder}')
    )


@pytest.mark.usefixtures('untrained')
@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(event_shape=(2**20, 2**20)), 'holds other data than those of'),
        (dict(levels=2**24), 'holds other data than those of'),
        (dict(num_classes=2**30), 'holds other data than those of'),
        (dict(num_examples=2**30), r'declares 1,073,741,824 examples, and .* has \d+ to test'),
        (dict(batch_size=2**30), 'does not decode to the original data'),
        (dict(left_out=('a',)), 'does not decode to the original data'),
    ],
)
def test_a_header_is_compared_with_the_run_before_anything_is_built(
    tmp_path, complaint, changes, message
):
    """The checksum of a stranger's file is right, and its sizes are not those of the run."""
    run = assembled(tmp_path / 'run', 'naive_bayes')
    path, _ = coded(run, 2)
    run_folder.write_config(run, 1)
    header, words = file_format.read(path)
    path.write_bytes(file_format.packed(header._replace(**changes), words))
    assert re.search(message, complaint(decompress.apply, run, str(path)))


@pytest.mark.usefixtures('untrained')
@pytest.mark.parametrize('name', ['naive_bayes', 'vae'])
def test_more_examples_than_bits_are_refused_at_once(tmp_path, complaint, monkeypatch, name):
    """The stranger's record declares as many examples as the header."""
    run = assembled(tmp_path / 'run', name)
    path, _ = coded(run, 8)
    run_folder.write_config(run, 1, {'test': '300000000 examples, checksum 00000000'})
    header, words = file_format.read(path)
    header = header._replace(num_examples=2**22, batch_size=1)
    path.write_bytes(file_format.packed(header, words))
    monkeypatch.setattr(restore, 'load', None)
    line = complaint(decompress.apply, run, str(path))
    assert f'declares 4,194,304 examples, and it holds fewer bits, {32 * len(words):,}' in line


@pytest.mark.parametrize('line', [b'[' * 10_000, b'{}', b'3', b'[1,1,1,1,"",[[1]],2,null,[]]'])
def test_a_header_of_other_values_is_damaged(tmp_path, complaint, line):
    """For any JSON in the header."""
    line = file_format.MAGIC['range', 'trained'] + line + b'\n'
    path = tmp_path / 'file.bin'
    path.write_bytes(line + file_format._checksum_of(line) + b'\0' * 8)
    assert 'does not decode' in complaint(file_format.read, path)
