"""Every mode works on every kind of run of codes; the models are untrained, for speed."""

import json

import jax
import numpy as np
import pytest
from support import assembled, few_examples, recipe_and_config

from atelier import applications, checkout
from atelier.applications import compress, latent_map, sample
from atelier.core.abilities import LogProb, Sample
from atelier.core.code_space import code_space
from atelier.core.family import is_class_conditional
from atelier.data.dataset import Spec
from atelier.evaluation import evaluate
from atelier.run import restore, two_stage
from atelier.run.experiment import Parent

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('one_device')]

FLAT = dict(model__latent_dim=2, model__hidden_sizes=(4,))
PARENTS = {
    'vq_vae': {},
    'vqgan': dict(model__discriminator_channels=(4,)),
    'vae': FLAT,
    'autoencoder': FLAT,
    'map_vae': {},
}
OF_MAPS = dict(model__network='mlp', model__width=8, eval__sampler__guidance=1.5)
CHILDREN = {  # name: the config of the parent, the shape of its codes, the child, its settings
    'tokens': ('vq_vae', (2, 2, 1), 'pixel_transformer', {}),
    'by class': ('vq_vae', (2, 2, 1), 'pixel_transformer', dict(model__is_conditional=True)),
    'of a game': ('vqgan', (2, 2, 1), 'pixel_transformer', {}),
    'draws': ('vae', (2,), 'vae', FLAT),
    'means': ('autoencoder', (2,), 'mixture', dict(model__num_components=2)),
    'flow': ('autoencoder', (2,), 'maf', {}),
    'diffusion': ('map_vae', None, 'diffusion', OF_MAPS),
}
OPTIONS = {  # as small as possible, for speed
    'anomaly': dict(num_images=2),
    'bound': {},
    'classify': {},
    'inpaint': dict(num_images=2, num_completions=2, num_examples=4),
    'interpolate': dict(num_pairs=1, num_points=3),
    'latent_map': dict(num_points=2),
    'reconstruct': dict(num_images=4),
    'score': {},
    'trajectory': dict(num_samples=2, num_points=2),
}
OF_ALL = {'anomaly', 'inpaint', 'interpolate', 'latent_map', 'reconstruct'}
MORE = {  # the other modes that fit
    'tokens': {'bound', 'score'},
    'by class': {'bound', 'classify', 'score'},
    'of a game': {'score'},
    'draws': {'score'},
    'means': {'score'},
    'flow': {'score'},
    'diffusion': {'bound', 'classify', 'score', 'trajectory'},
}


@pytest.fixture(scope='module')
def run_of(tmp_path_factory):
    """Returns a run of codes as it is used, with its initial weights, by its name."""
    parents, runs = {}, {}

    def parent_of(name):
        if name not in parents:
            folder = tmp_path_factory.mktemp('parents') / name
            parents[name] = few_examples(assembled(folder, name, **PARENTS[name]), 20)
        return parents[name]

    def made(name):
        config, shape, of_codes, changes = CHILDREN[name]
        parent, path = parent_of(config), f'{checkout.ROOT}/configs/{of_codes}.py'
        changes = dict(changes, eval__batch_size=20)
        file, config = recipe_and_config('codes,debug', path, **changes)
        space = code_space(parent.family, 'auto', 'RUN')
        shape = shape or space.shape
        space = space._replace(shape=shape)
        spec = Spec(shape, space.levels, parent.data.spec.num_classes)
        run = parent._replace(
            folder=tmp_path_factory.mktemp(name.replace(' ', '-')),
            config_file=file,
            config=config,
            family=file.build(config, spec),
            data=parent.data._replace(spec=spec),
            parent=Parent(parent, '0' * 64, 0, space),
        )
        return two_stage.used(run)

    def run_of(name):
        if name not in runs:
            run = made(name)
            # the hypers of a parent, which has an optimizer
            state = restore.initial_state(run._replace(config=run.parent.run.config))
            runs[name] = restore.TrainedRun(run, state, 'first weights')
        return runs[name]

    return run_of


@pytest.fixture
def opened(run_of, monkeypatch):
    """Returns the Run by its name, whose weights `restore.load` returns."""

    def run_of_name(name):
        trained = run_of(name)
        monkeypatch.setattr(restore, 'load', lambda run: trained._replace(run=run))
        return trained.run

    return run_of_name


@pytest.mark.parametrize('name', CHILDREN)
def test_every_mode_works(name, opened, monkeypatch):
    """Each mode that fits, and no other; results are of the parent's data."""
    monkeypatch.setattr(latent_map, 'NUM_PRIOR_CODES', 100)
    run, results = opened(name), {}
    for mode, options in OPTIONS.items():
        application = applications.load(mode)
        if application.fits(run.family, run.data.spec):
            results[mode] = applications.perform(application, run, **options)
    assert {*results} == OF_ALL | MORE[name]
    event = run.data.spec.event_shape
    assert event == (8, 8, 1)
    assert results['latent_map']['x'].shape == (2, 2, *event)
    assert results['interpolate']['x'].shape[-3:] == event
    assert results['reconstruct']['reconstruction'].shape == (4, *event)
    labels = '4,7' if is_class_conditional(run.family) else ''
    x = sample.apply(run, num_samples=2, labels=labels)
    assert x.shape == (2, *event)
    assert np.isfinite(x).all()
    if 'bound' in results:
        _check_bound(run, results['bound'])


def _check_bound(run, arrays):
    """Checks that the terms are those of an evaluation, and that the rows have their names."""
    values = evaluate.per_example(run, restore.load(run).state, jax.devices())
    for name in ('code_nats', 'rest_nats'):
        np.testing.assert_allclose(arrays[name], values[name], rtol=1e-5)
    np.testing.assert_allclose(arrays['negative_bound_nats'], values['nll_nats'], rtol=1e-5)
    stored = json.loads((run.folder / 'applications' / 'bound.json').read_text())
    (results,) = stored['runs'].values()
    assert [*results['nats']] == ['rest', 'code', 'sum']


def test_codes_of_a_class_conditional_child_have_no_class(opened, complaint):
    line = complaint(latent_map.apply, opened('by class'), label=3)
    assert 'the codes of this model hold no class' in line


@pytest.mark.parametrize('name', ['flow', 'diffusion'])
def test_an_evaluation_has_the_cost_of_the_codes_and_the_distance_of_samples(name, opened):
    """Samples are those of the parent's data; means of a plain autoencoder give no bound."""
    run, shapes = opened(name), set()

    def features(x):
        shapes.add(x.shape[1:])
        return x.reshape(len(x), -1)[:, ::9]

    result = evaluate.evaluate(run, jax.devices(), features=features, trained=restore.load(run))
    assert shapes == {(8, 8, 1)}
    assert np.isfinite(result['values']['code_nats']['mean'])
    assert ('nll_nats' in result['values']) == (name == 'diffusion')
    assert np.isfinite(result['samples']['values']['frechet_distance']['samples'])


def test_a_prior_of_a_vqgan_reports_no_bound(opened, complaint):
    """Minus an absolute error is no log p(x given codes): samples are the decoder's means."""
    run = opened('of a game')
    values = evaluate.per_example(run, restore.load(run).state, jax.devices())
    assert 'code_nats' in values
    assert not {'nll_nats', 'elbo_nats', 'rest_nats', 'bits_per_dim'} & {*values}
    assert run.family.ability(LogProb) is run.family.ability(Sample).mean is None
    line = complaint(compress.apply, run, by='likelihood')
    assert 'has no likelihood of x given them' in line
