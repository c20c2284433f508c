"""A run as data: its codes are those of the run itself, and the folder of their model suffices."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from resuming import assert_same, outcome, train
from support import assembled, recipe_and_config, steps_on

import atelier
import train_lib
from atelier import checkout
from atelier.applications import sample
from atelier.core.abilities import Codes, LogProb, Sample
from atelier.core.code_likelihood import TwoPartCode
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.evaluation.samples.saved_samples import read_samples
from atelier.run import restore, run_folder
from atelier.run.parent_copy import FOLDER
from atelier.sweep import plan, sweep
from atelier.training import refit

ONCE = {
    f'train__{name}': 2
    for name in ('steps', 'evaluate_every', 'checkpoint_every', 'steps_per_dispatch')
}
PARENTS = {
    'vq_vae': dict(model__channels=(), model__num_positions=4, **ONCE),
    'ppca': dict(data__dequantize='uniform', model__latent_dim=3, **ONCE),
}
CHILDREN = {  # by kind of codes: the config of the parent, that of the child, its settings
    'tokens': ('vq_vae', 'chow_liu', {}),
    'draws': ('ppca', 'ppca', dict(model__latent_dim=1, **ONCE)),
    'means': ('ppca', 'ppca', dict(data__codes='means', model__latent_dim=1, **ONCE)),
}


@pytest.fixture(scope='module')
def parents(tmp_path_factory):
    """{name of a config: the folder of its run}. Tests must not modify them."""
    folders = {}
    for name, changes in PARENTS.items():
        run = assembled(tmp_path_factory.mktemp('parents') / name, name, 'digits,debug', **changes)
        train_lib.train(run, jax.devices()[:1])
        folders[name] = run.folder
    return folders


@pytest.fixture(scope='module')
def children(parents, tmp_path_factory):
    """{kind of codes: the folder of a run of them}, trained; their parents are removed."""
    folders, copies = {}, tmp_path_factory.mktemp('copies')
    for kind in ('tokens', 'draws'):
        name, config, changes = CHILDREN[kind]
        source = shutil.copytree(parents[name], copies / kind)
        run = child_of(source, tmp_path_factory.mktemp('children') / kind, config, **changes)
        train_lib.train(run, jax.devices()[:1])
        shutil.rmtree(source)  # nothing below may need it
        folders[kind] = run.folder
    return folders


def child_of(parent, folder, config='mixture', **changes):
    return assembled(folder, config, 'codes,debug', data__run=str(parent), **changes)


# The source


@pytest.mark.parametrize('kind', ['tokens', 'draws', pytest.param('means', marks=pytest.mark.slow)])
def test_the_data_are_the_codes_of_the_run(kind, parents, tmp_path):
    """Bit for bit what the run's own encoder gives, with the labels and the splits of its data."""
    name, config, changes = CHILDREN[kind]
    run, parent = child_of(parents[name], tmp_path, config, **changes), atelier.load(parents[name])
    codes = parent.family.ability(Codes)
    own = codes.tokens.indices if kind == 'tokens' else codes.encode
    for split in ('train', 'valid', 'test'):
        arrays, given = run.data.splits[split], parent.data.splits[split]
        x = arrays['x'].reshape(len(arrays['x']), -1)
        np.testing.assert_array_equal(x, atelier.over_split(parent, own, split))
        np.testing.assert_array_equal(arrays['label'], given['label'])
    spec = run.data.spec
    assert (spec.levels, spec.num_classes) == (8 if kind == 'tokens' else None, 10)
    assert run.parent.space.kind == kind


def test_draws_are_fresh_at_each_showing_and_have_the_posterior(parents, tmp_path):
    """x = mean + deviation noise; the Spec has the moments of x, not those of the means."""
    run, parent = child_of(parents['ppca'], tmp_path / 'run'), atelier.load(parents['ppca'])
    raw = jax.tree.map(jnp.asarray, run.data.splits['train'])
    log_var = atelier.over_split(
        parent, lambda *given: parent.family.ability(Codes).posterior(*given)[1], 'train'
    )
    np.testing.assert_allclose(raw['posterior_std'], np.exp(log_var / 2), rtol=1e-5)
    keys = [rng_for(jax.random.PRNGKey(seed), jnp.arange(1000), 1000).keys for seed in (0, 1)]
    first, again = (run.data.preprocess(raw, each) for each in keys)
    assert {*first} == {'x', 'label'}
    noise = (np.stack([first['x'], again['x']]) - raw['x']) / raw['posterior_std']
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05
    np.testing.assert_allclose(np.std(first['x'], 0), run.data.spec.std, rtol=0.1)
    few = {name: array[3:5] for name, array in raw.items()}
    np.testing.assert_array_equal(run.data.preprocess(few, keys[0][3:5])['x'], first['x'][3:5])


@pytest.mark.slow
def test_draws_do_not_depend_on_the_number_of_devices(parents, tmp_path):
    """By address: the same losses on 1 and on 8 devices."""
    run = child_of(parents['ppca'], tmp_path / 'run', 'vae')
    losses = [[report['loss'] for _, report in steps_on(run, devices, 3)] for devices in (1, 8)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


# Use: the run and its data are gone


def test_the_folder_alone_samples(children):
    """Samples are images, though neither the parent nor its data are there."""
    for folder in children.values():
        run = run_folder.reopen(folder, reads=None)
        assert sample.apply(run, num_samples=3).shape == (3, 8, 8, 1)
        assert run.family.ability(LogProb) is not None


def test_an_evaluation_adds_up_the_likelihood(children):
    """The values of evaluation.json, of the reopened folder."""
    run = run_folder.reopen(children['tokens'])
    values = {name: v['mean'] for name, v in evaluate.evaluate(run)['values'].items()}
    assert values['nll_nats'] == pytest.approx(-values['elbo_nats'], rel=1e-6)
    assert values['nll_nats'] == pytest.approx(values['code_nats'] + values['rest_nats'], rel=1e-6)
    assert values['rest_nats'] == pytest.approx(values['parent_reconstruction_nats'], rel=1e-5)
    assert values['code_nats'] < values['parent_code_nats']  # which are independent positions
    assert values['bits_per_dim'] == pytest.approx(values['nll_nats'] / (64 * np.log(2)), rel=1e-6)
    stored = json.loads((run.folder / 'evaluation.json').read_text())
    assert stored['log_prob'] == 'lower bound'
    assert stored['data']['name'] == 'digits'
    assert '; of the parent, ' in stored['weights']


@pytest.mark.parametrize('kind', ['tokens', 'draws'])
def test_the_reported_likelihood_is_that_of_the_ability(kind, children):
    """It is the sum of two metrics, so that an evaluation computes nothing twice."""
    trained = atelier.load(children[kind])
    log_prob = trained.family.ability(LogProb)
    values = evaluate.per_example(trained.run, trained.state, jax.devices())
    np.testing.assert_allclose(
        values['nll_nats'], -atelier.over_split(trained, log_prob), rtol=1e-5
    )
    once = log_prob._replace(nats=None)  # fails if it is computed
    others = [each for each in trained.family.abilities if type(each) is not LogProb]
    family = dataclasses.replace(trained.family, abilities=(*others, once))
    again = evaluate.per_example(trained.run._replace(family=family), trained.state, jax.devices())
    np.testing.assert_array_equal(values['nll_nats'], again['nll_nats'])


def test_samples_are_compared_by_the_data_of_the_parent(children, caplog, tmp_path):
    """They are images. Without the record of the copy they are left out, which the log says."""
    folder = shutil.copytree(children['tokens'], tmp_path / 'run')
    sample.apply(run_folder.reopen(folder, reads=None), num_samples=3)
    record = run_folder.load(folder)
    read = read_samples(folder, record)
    assert read.x.shape[1:] == read.spec.event_shape == (8, 8, 1)
    assert read.data_name == 'digits'
    assert read.fingerprint == run_folder.load(folder / FOLDER)['data']['test']
    (folder / FOLDER / 'config.json').unlink()
    assert read_samples(folder, record) is None
    assert f'the samples of {folder} are left out' in caplog.text


def test_weights_for_the_tokens_of_another_codebook_are_refused(
    parents, children, tmp_path, complaint
):
    """They would fit. Those of a run on the same tokens are taken."""
    other = shutil.copytree(parents['vq_vae'], tmp_path / 'other')
    (other / 'data.json').write_text('{}')  # so that the digest is another one
    run = child_of(other, tmp_path / 'run', 'chow_liu')
    line = complaint(restore.fitting_weights, run, children['tokens'])
    assert 'are for other tokens than' in line
    same = child_of(parents['vq_vae'], tmp_path / 'same', 'chow_liu')
    assert restore.fitting_weights(same, children['tokens'])


@pytest.mark.slow
def test_the_two_parts_of_a_trained_model_have_its_length(children):
    """The tokens by the tree's chain rule, then the pixels given them."""
    trained = atelier.load(children['tokens'])
    weights, code = trained.state.averaged_weights, trained.family.ability(TwoPartCode)
    raw = {name: jnp.asarray(array[:5]) for name, array in trained.data.splits['test'].items()}
    rng = rng_for(key_for(trained.state.key, Stream.EVALUATE), jnp.arange(5), 5)
    batch = trained.data.read().preprocess(raw, rng.keys)
    tokens = code.tokens(weights, batch, rng)
    memory, previous, nats = code.conditionals.begin(weights, batch), jnp.zeros(5), 0.0
    for i, position in enumerate(code.conditionals.order(weights)):
        memory, log_probs = code.conditionals.step(weights, memory, jnp.int32(i), previous)
        previous = tokens[:, position].astype(jnp.float32)
        nats += log_probs[jnp.arange(5), tokens[:, position]]
    pixels = code.level_log_probs(weights, tokens, batch)
    levels = jax.nn.one_hot(batch['x'].reshape(5, -1).astype(int), pixels.shape[-1])
    nats += jnp.sum(pixels * levels, (1, 2))
    expected = trained.family.ability(LogProb).nats(weights, batch, rng)
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


# Resuming


SETTINGS = dict(
    train__steps=4,
    train__evaluate_every=2,
    train__checkpoint_every=1,
    train__steps_per_dispatch=1,
)


@pytest.mark.slow
def test_a_killed_run_continues_bit_for_bit_with_its_copy(parents, tmp_path):
    """Also if the run that it was begun with has been trained further, or is gone."""
    source = shutil.copytree(parents['ppca'], tmp_path / 'parent')
    whole = child_of(source, tmp_path / 'whole', **SETTINGS)
    train(whole)
    train(child_of(source, tmp_path / 'run', **SETTINGS), stop_after=2)
    (source / 'config.json').unlink()
    run = child_of(source, tmp_path / 'run', **SETTINGS)
    assert run.parent.run.folder == run.folder / FOLDER
    train(run)
    assert_same(outcome(run), outcome(whole))
    assert_same(outcome(run_folder.reopen(run.folder, to_train=True)), outcome(whole))


@pytest.mark.slow
def test_a_refit_has_the_parent_of_its_choosing_run(parents, tmp_path):
    """Though the parent that both name is gone."""
    source = shutil.copytree(parents['ppca'], tmp_path / 'parent')
    choosing = child_of(source, tmp_path / 'run', **SETTINGS)
    train(choosing)
    shutil.rmtree(source)
    run = refit.refit_of(choosing)
    train(run)
    assert run.parent.digest == choosing.parent.digest
    assert run_folder.reopen(run.folder, reads=None).parent.run.folder == run.folder / FOLDER


@pytest.mark.slow
def test_each_member_of_a_sweep_has_a_copy(parents, tmp_path):
    """Members are runs of codes of their own, which their folders alone open."""
    source, folder = shutil.copytree(parents['ppca'], tmp_path / 'parent'), tmp_path / 'sweep'
    changes = dict(data__run=str(source), model__latent_dim=1, **ONCE)
    recipe = recipe_and_config('codes,debug', f'{checkout.ROOT}/configs/ppca.py', **changes)
    prepared = sweep.prepare(folder, *recipe, ['seed=0:2'])
    sweep.train(prepared, plan.shard_of(''), jax.devices()[:1])
    shutil.rmtree(source)
    for name in ('seed-0', 'seed-1'):
        run = run_folder.reopen(folder / name, reads=None)
        assert run.parent.run.folder == folder / name / FOLDER
        assert sample.apply(run, num_samples=2).shape == (2, 8, 8, 1)


def test_a_run_of_codes_is_no_parent(children, tmp_path):
    with pytest.raises(UserError, match='is itself a run of codes'):
        child_of(children['draws'], tmp_path / 'run')
    with pytest.raises(UserError, match='set config.data.run'):
        child_of('', tmp_path / 'run')


def test_restored_weights_are_those_of_both(children):
    """The composition takes one State; the child's functions find their players in it."""
    trained = restore.load(run_folder.reopen(children['draws'], reads=None))
    assert {*trained.state.params} == {'model', 'parent.model'}
    assert trained.family.ability(Sample) is not None
