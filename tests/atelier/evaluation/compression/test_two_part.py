"""Coding in two parts: exact round trips, at the negative log-likelihood of both stages."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import EXHAUSTIVE
from support import assembled, few_of_test, recipe_and_config, with_abilities

import train_lib
from atelier import checkout
from atelier.applications import compress, decompress, perform, sample
from atelier.core.abilities import Conditionals
from atelier.core.code_likelihood import TwoPartCode
from atelier.core.code_space import code_space
from atelier.core.stages import Stages
from atelier.core.two_stage import composed
from atelier.data.dataset import Spec
from atelier.evaluation import evaluate
from atelier.evaluation.compression import two_part
from atelier.run import restore, run_folder
from atelier.run.experiment import Parent

# A model whose probabilities are known: four values in two pairs, each pair with a token


SPEC = Spec((4,), 3, None)
OF_TOKENS = np.array([[0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]])  # of each position
OF_VALUES = np.array([[0.8, 0.1, 0.1], [0.25, 0.5, 0.25], [0.1, 0.2, 0.7], [1 / 3] * 3])  # by token


def known_code() -> TwoPartCode:
    """Tokens in the order 1, 0; a pair's token is the number of values above 0, or 3 for (2, 2)."""

    def tokens(weights, batch, rng):
        pairs = batch['x'].reshape(-1, 2, 2)
        return jnp.where((pairs == 2).all(2), 3, (pairs > 0).sum(2)).astype(jnp.int32)

    def begin(weights, given):
        assert given['x'].shape[1:] == (1, 2, 1)
        return jnp.zeros(())

    def step(weights, memory, i, previous):
        log_probs = jnp.log(jnp.asarray(OF_TOKENS, jnp.float32))[1 - i]
        return memory, jnp.broadcast_to(log_probs, (len(previous), 4))

    def level_log_probs(weights, tokens, given):
        log_probs = jnp.log(jnp.asarray(OF_VALUES, jnp.float32))[tokens]
        return jnp.repeat(log_probs, 2, axis=1)

    conditionals = Conditionals(lambda weights: jnp.array([1, 0]), begin, step)
    return TwoPartCode(tokens, 4, (1, 2, 1), conditionals, level_log_probs)


@pytest.fixture
def known(vae, untrained):
    run = with_abilities(vae, known_code())
    return run._replace(data=run.data._replace(spec=SPEC))


def test_both_parts_have_their_bits(known):
    """The last batch is incomplete. Nothing is lost but the end of the stream."""
    state, n = restore.load(known).state, 50
    x = np.random.RandomState(0).randint(0, 3, (n, 4))
    pairs = x.reshape(n, 2, 2)
    tokens = np.where((pairs == 2).all(2), 3, (pairs > 0).sum(2))
    coded = two_part.encoded(known, state, x, None, 7)
    of_tokens = -np.log2(OF_TOKENS[[0, 1], tokens]).sum(1)
    of_values = -np.log2(OF_VALUES[np.repeat(tokens, 2, 1), x])
    np.testing.assert_allclose(coded.code_bits, of_tokens, rtol=1e-5)
    np.testing.assert_allclose(coded.bits, of_values, rtol=1e-5)
    assert coded.label_bits == 0
    assert 0 <= 32 * len(coded.words) - of_tokens.sum() - of_values.sum() < 65
    decoded, labels = two_part.decoded(known, state, coded.words, n, 7)
    np.testing.assert_array_equal(decoded, x)
    assert labels is None


def test_tokens_are_computed_in_batches_with_a_progress_bar(known, monkeypatch):
    """Whole batches, so that one program is compiled; fewer examples of many values."""
    state, x, seen, bars = restore.load(known).state, np.zeros((50, 4), np.int64), [], []
    model = two_part.model_of(known, state)
    tokens = lambda x: seen.append(len(x)) or model.tokens(x)
    monkeypatch.setattr(two_part, 'model_of', lambda *_: model._replace(tokens=tokens))
    monkeypatch.setattr(two_part, 'tqdm', lambda each, **_: bars.append(len(each)) or each)
    two_part.encoded(known, state, x, None, 7)
    assert seen == [7] * 8 and bars == [8, 50], 'bars for the tokens and for the values'
    monkeypatch.setattr(two_part, 'MAX_VALUES', 4 * 3)
    two_part.encoded(known, state, x, None, 7)
    assert seen[8:] == [3] * 17


def test_words_of_no_encoder_are_noticed(known):
    """Missing words, further ones, and another number of examples."""
    state, x = restore.load(known).state, np.random.RandomState(0).randint(0, 3, (50, 4))
    words = two_part.encoded(known, state, x, None, 7).words
    for broken, n in ((words[:-2], 50), (np.append(words, [7, 7]).astype(np.uint32), 50)):
        with pytest.raises(ValueError):
            two_part.decoded(known, state, broken, n, 7)
    with pytest.raises(ValueError, match='end before the last example'):
        two_part.decoded(known, state, words, 32 * len(words), 7)


# A VQ-VAE and a model of its tokens


SMALL = dict(model__channels=(), model__num_positions=4)  # fully connected, with four tokens


def untrained_run(folder, child, **changes):
    """The debug VQ-VAE and configs/CHILD.py on its tokens as one Run that was made in Python."""
    parent = assembled(folder, 'vq_vae', **SMALL, **changes)
    file, config = recipe_and_config('codes,debug', f'{checkout.ROOT}/configs/{child}.py')
    space = code_space(parent.family, 'auto', 'RUN')._replace(shape=(4,))
    spec = Spec((4,), space.levels, parent.data.spec.num_classes)
    family = composed(Stages(file.build(config, spec), parent.family, space, jnp.zeros_like))
    made = parent.config_file._replace(path='')
    return few_of_test(parent._replace(family=family, config_file=made), 30)


CASES = {  # name: the child, and what differs from the defaults of the parent
    'labels': ('naive_bayes', {}),
    'binary': ('chow_liu', dict(data__binarize='threshold', model__observation='bernoulli')),
    'categorical': ('chow_liu', dict(model__observation='categorical')),
}


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize(
    'case', [n if n == 'labels' else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_the_file_has_the_bits_of_the_likelihood(tmp_path, complaint, monkeypatch, case):
    """It decodes to the examples and their labels, and damage is detected."""
    child, changes = CASES[case]
    run = untrained_run(tmp_path, child, **changes)
    trained = restore.load(run)
    monkeypatch.setattr(restore, 'load', lambda run: trained)  # initializes once
    arrays = perform(compress.APPLICATION, run, num_images=25)
    label_bits = np.log2(10) if case == 'labels' else 0.0
    totals = arrays['bits'].reshape(25, -1).sum(1) + arrays['code_bits'] + label_bits
    np.testing.assert_allclose(totals, arrays['reported_bits'], rtol=1e-3)
    folder = tmp_path / 'applications'
    results = json.loads((folder / 'compress-num_images-25.json').read_text())
    assert results['coder'] == 'two part'
    parts = results['code_bits'] + results['rest_bits'] + label_bits
    assert parts == pytest.approx(results['reported_bits'], rel=1e-3)
    stream = 25 * results['measured_bits_without_header']
    assert 0 <= stream - totals.sum(dtype=float) < 65
    assert (folder / 'compress-num_images-25.png').stat().st_size > 1000
    decoded, split = np.load(folder / 'decompress-num_images-25.npz'), run.data.splits['test']
    np.testing.assert_array_equal(decoded['x'], arrays['x'])
    if case == 'labels':
        np.testing.assert_array_equal(decoded['label'], split['label'][arrays['index']])
    path = folder / 'compress-num_images-25.bin'
    content = path.read_bytes()
    flipped, other_coder = bytearray(content), bytearray(content)
    flipped[(content.index(b'\n') + len(content)) // 2] ^= 4
    other_coder[:9] = b'atelier5'
    for broken in (flipped, other_coder):
        path.write_bytes(broken)
        assert 'does not decode to the original data' in complaint(decompress.apply, run, str(path))
    path.write_bytes(content)
    state = trained.state
    for part in ('ema', 'extra'):  # which have the networks and the codebook of the parent
        players = getattr(state, part)
        other = {**players, 'parent.model': jax.tree.map(lambda a: a + 1, players['parent.model'])}
        changed = trained._replace(state=state.replace(**{part: other}))
        monkeypatch.setattr(restore, 'load', lambda run, changed=changed: changed)
        assert 'other weights' in complaint(decompress.apply, run, str(path))


def test_codes_of_real_values_are_refused(vae, complaint):
    """Draws of a VAE, which have a density; and tokens without conditionals."""
    draws = Parent(vae, '', 0, code_space(vae.family, 'auto', 'RUN'))
    run = with_abilities(vae)._replace(parent=draws, child=vae)
    line = complaint(compress.apply, run, by='likelihood')
    assert 'its codes are real values with a density' in line
    assert 'bits-back coding of a run of codes is not built' in line
    run = run._replace(parent=draws._replace(space=draws.space._replace(kind='tokens')))
    assert 'one token at a time' in complaint(compress.apply, run, by='likelihood')


def test_texts_are_refused(known, complaint):
    spec = SPEC._replace(symbols='abc')
    run = known._replace(data=known.data._replace(spec=spec))
    assert 'text is not coded in two parts' in complaint(perform, compress.APPLICATION, run)


# Folders


ONCE = {
    f'train__{name}': 2
    for name in ('steps', 'evaluate_every', 'checkpoint_every', 'steps_per_dispatch')
}


@pytest.fixture(scope='module')
def parent(tmp_path_factory):
    """The folder of a trained VQ-VAE, whose tokens are a map."""
    run = assembled(tmp_path_factory.mktemp('parent'), 'vq_vae', **ONCE)
    train_lib.train(run, jax.devices()[:1])
    return run.folder


@pytest.mark.parametrize(
    ('name', 'in_other_processes'),
    [
        pytest.param('gated_pixelcnn', True, marks=pytest.mark.slow),
        pytest.param('pixel_transformer', False, marks=EXHAUSTIVE),
    ],
)
def test_a_class_conditional_prior_is_used_from_its_folder(
    main, parent, tmp_path, name, in_other_processes
):
    """Training, evaluation, samples of a class, and a file that decodes.

    The parent is gone, and the folder of the run has moved.
    """
    source = shutil.copytree(parent, tmp_path / 'parent')
    changes = dict(data__run=str(source), model__is_conditional=True, **ONCE)
    run = assembled(tmp_path / 'run', name, 'codes,debug', **changes)
    assert run.data.spec.event_shape == (2, 2, 1)
    train_lib.train(run, jax.devices()[:1])
    shutil.rmtree(source)
    folder = (tmp_path / 'run').rename(tmp_path / 'moved')
    run = run_folder.reopen(folder)
    values = {name: each['mean'] for name, each in evaluate.evaluate(run)['values'].items()}
    assert values['nll_nats'] == pytest.approx(values['code_nats'] + values['rest_nats'], rel=1e-6)
    assert sample.apply(run, num_samples=3, labels='4,7').shape == (3, 8, 8, 1)
    labels = np.load(folder / 'samples' / 'seed-0-labels-4-7.npz')['label']
    assert labels.tolist() == [4, 7, 4]
    if in_other_processes:
        process = main('--mode=compress', f'--workdir={folder}', '--num_images=40')
        assert process.returncode == 0, process.stderr
    else:
        made = run._replace(config_file=run.config_file._replace(path=''))
        perform(compress.APPLICATION, made, num_images=40)
    coded, decoded = (
        np.load(folder / 'applications' / f'{name}-num_images-40.npz')
        for name in ('compress', 'decompress')
    )
    split = run.data.splits['test']
    np.testing.assert_array_equal(decoded['x'], split['x'][coded['index']])
    np.testing.assert_array_equal(decoded['label'], split['label'][coded['index']])
    totals = coded['bits'].reshape(40, -1).sum(1) + coded['code_bits'] + np.log2(10)
    np.testing.assert_allclose(totals, coded['reported_bits'], rtol=1e-3)
