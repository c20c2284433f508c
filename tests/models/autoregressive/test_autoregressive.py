"""Every autoregressive family is normalised and causal, and samples follow its probabilities."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import EXHAUSTIVE
from support import assembled, check_same_on_any_devices, few_of_test, scattered, steps_on

import train_lib
from atelier.applications import classify, inpaint, sample
from atelier.core.abilities import Classify, Inpaint, LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.evaluation import evaluate
from atelier.run import restore
from models.autoregressive.autoregressive import autoregressive
from models.autoregressive.causal_conv import CausalConvOptions
from models.autoregressive.causal_transformer import transformer_parts
from models.autoregressive.gated_pixelcnn import (
    GatedPixelCNNSizes,
    Horizontal,
    Vertical,
    gated_pixelcnn,
)
from models.autoregressive.made import MADE, Orders, made_parts
from models.autoregressive.pixelcnn import PixelCNN, pixelcnn
from models.autoregressive.raster_scan import raster_scan_parts
from models.nets.transformer import Transformer
from models.shared.observations import observation_for

BITS, COLOURS = Spec((3, 3), 2, None), Spec((1, 2, 3), 3, None)


def masked_autoencoder_of(hidden, orders, spec):
    observation = observation_for('auto', spec, 2)
    return made_parts(MADE(hidden, observation.size), orders, observation, spec)


def pixelcnn_of(spec, classes=0, dtype=jnp.float32):
    observation, kind = (
        observation_for('auto', spec, 2),
        CausalConvOptions(spec.image_shape[2], dtype=dtype),
    )
    network = PixelCNN(observation.size, 1, 6, 6, 1, 1, kind, classes)
    return raster_scan_parts(pixelcnn(network), observation, spec, classes > 0)


def gated_pixelcnn_of(spec, classes=0, dtype=jnp.float32):
    observation, kind = (
        observation_for('auto', spec, 2),
        CausalConvOptions(spec.image_shape[2], dtype=dtype),
    )
    size = GatedPixelCNNSizes(layers=1, width=6, head_width=6, first_margin=1, margin=1)
    stacks = Vertical(size, kind, classes), Horizontal(observation.size, size, kind, classes)
    return raster_scan_parts(gated_pixelcnn(*stacks), observation, spec, classes > 0)


def transformer_of(spec, classes=0, dtype=jnp.float32):
    """A transformer whose initial output weights are multiplied by 5."""
    sizes = dict(vocab_size=spec.levels, length=spec.num_dims, width=8, blocks=2, heads=2)
    parts = transformer_parts(Transformer(**sizes, num_classes=classes, dtype=dtype), spec)

    def init(key, batch):
        weights = parts.init(key, batch)
        own = weights.params['model']
        return weights._replace(params={'model': {**own, 'head': 5 * own['head']}})

    return parts._replace(init=init)


MADES = {
    'fvsbn': functools.partial(masked_autoencoder_of, (), Orders(1, True)),
    'raster': functools.partial(masked_autoencoder_of, (7, 6), Orders(1, True)),
    'random': functools.partial(masked_autoencoder_of, (8,), Orders(1, False)),
    'mixture': functools.partial(masked_autoencoder_of, (8,), Orders(3, False)),
}
CONVOLUTIONS = {'pixelcnn': pixelcnn_of, 'gated_pixelcnn': gated_pixelcnn_of}
WITH_STEPS = {**CONVOLUTIONS, 'transformer': transformer_of}  # these sample with a cache
ALL = {**MADES, **WITH_STEPS}
SLOW = functools.partial(pytest.param, marks=pytest.mark.slow)
SOME_SLOW = [SLOW('pixelcnn'), 'gated_pixelcnn', SLOW('transformer')]
BLIND = ('pixelcnn',)  # ignores some previous pixels


def weights_of(parts, seed=3):
    batch = {'x': jnp.zeros((1, *parts.spec.event_shape)), 'label': jnp.zeros(1, jnp.int32)}
    weights = jax.jit(parts.init)(jax.random.PRNGKey(seed), batch)
    doubled = jax.tree.map(lambda a: 2 * a, scattered(weights.params, seed=3))
    return weights._replace(params=doubled)  # makes the output depend on x


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def every_event(spec):
    events = [*itertools.product(range(spec.levels), repeat=spec.num_dims)]
    return np.array(events, np.float32).reshape(-1, *spec.event_shape)


def event_probabilities(parts, weights, **more):
    """The probability of every event."""
    x = jnp.asarray(every_event(parts.spec))
    nats = jax.jit(autoregressive(parts).ability(LogProb).nats)
    return np.exp(np.float64(nats(weights, {'x': x, **more}, rng_of(len(x)))))


SUMMED = [
    *((name, BITS) for name in ('fvsbn', 'mixture')),
    *(SLOW(name, BITS) for name in ('raster', 'random', *WITH_STEPS)),
    SLOW('raster', Spec((4,), 5, None)),
    *(SLOW(name, Spec((2, 2), 5, None)) for name in WITH_STEPS),
    SLOW('pixelcnn', COLOURS),
    SLOW('gated_pixelcnn', COLOURS),
    ('transformer', COLOURS),
]


@pytest.mark.parametrize(('name', 'spec'), SUMMED)
def test_probabilities_of_all_events_sum_to_one(name, spec):
    parts = ALL[name](spec)
    probabilities = event_probabilities(parts, weights_of(parts))
    assert len(probabilities) == spec.levels**spec.num_dims
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    assert np.ptp(np.log(probabilities)) > 0.5  # not uniform


def slopes_of(parts, weights, spread=1.0):
    """max |d parameter of x_i / d x_j| over random x and x_i's parameters: [orders, dims, dims]."""
    x = spread * jax.random.normal(jax.random.PRNGKey(1), (8, *parts.spec.event_shape))

    def parameters(x, order_index):
        flat = parts.parameters(weights, {'x': x[None]}, order_index)[0]
        return flat.reshape(parts.spec.num_dims, -1)

    def slopes(order_index):
        each = jax.vmap(jax.jacrev(parameters), (0, None))(x, order_index)
        return jnp.abs(each.reshape(*each.shape[:3], -1)).max((0, 2))

    count = len(parts.positions(weights.extra))
    return np.asarray(jax.jit(lambda: jax.lax.map(slopes, jnp.arange(count)))())


@pytest.mark.parametrize(
    'name',
    [
        'fvsbn',
        'mixture',
        pytest.param('gated_pixelcnn', marks=pytest.mark.slow),
        *map(SLOW, ['raster', 'random', 'pixelcnn']),
    ],
)
def test_a_dimension_depends_on_earlier_ones_alone(name):
    """The Jacobian is zero except for earlier dimensions, and nonzero for all connected ones."""
    parts = ALL[name](BITS)
    weights = weights_of(parts)
    orders = np.asarray(parts.positions(weights.extra))
    for slopes, positions in zip(slopes_of(parts, weights), orders, strict=True):
        is_before = positions[None, :] < positions[:, None]
        assert sorted(positions) == list(range(9))
        assert (slopes[~is_before] == 0).all()
        assert (slopes[is_before] > 0).all() or name in BLIND


def check_shares(drawn, events, probabilities):
    """Checks the share of each event in `drawn` [n, *event] within four standard deviations."""
    shares = [(drawn == event).reshape(len(drawn), -1).all(1).mean() for event in events]
    np.testing.assert_allclose(shares, probabilities, atol=4 * np.sqrt(0.25 / len(drawn)))


@pytest.mark.parametrize('name', ['mixture', *map(SLOW, ['raster', *WITH_STEPS])])
def test_samples_have_their_probabilities(name):
    """On all sixteen binary 2x2 images."""
    parts, n = ALL[name](Spec((2, 2), 2, None)), 20_000
    family, weights = autoregressive(parts), weights_of(parts)
    drawn = np.asarray(jax.jit(lambda w: family.ability(Sample).draw(w, rng_of(n), None))(weights))
    check_shares(drawn, every_event(parts.spec), event_probabilities(parts, weights))


@pytest.mark.parametrize('name', [SLOW('raster'), *SOME_SLOW])
def test_later_dimensions_are_sampled_given_earlier_ones(name):
    parts, n = ALL[name](Spec((2, 2), 2, None)), 20_000
    family, weights = autoregressive(parts), weights_of(parts)
    known = jnp.asarray([[True, True], [False, False]])
    x = jnp.where(known, jnp.asarray([[1.0, 0.0], [0.0, 0.0]]), jnp.nan)
    batch = {'x': x, 'known': known}
    batch = {name: jnp.broadcast_to(a, (n, 2, 2)) for name, a in batch.items()}
    drawn = np.asarray(jax.jit(family.ability(Inpaint).fill)(weights, batch, rng_of(n)))
    assert (drawn[:, 0] == [1, 0]).all()
    events, probabilities = every_event(parts.spec), event_probabilities(parts, weights)
    is_consistent = (events[:, 0] == [1, 0]).all(1)
    check_shares(
        drawn,
        events[is_consistent],
        probabilities[is_consistent] / probabilities[is_consistent].sum(),
    )


# Cached sampling

KEPT = [
    SLOW(Spec((3, 4), 2, 3)),
    Spec((4, 3, 3), 5, 3),  # colours
    SLOW(Spec((3, 3), None, 3, mean=2.0, std=1.5)),
]


def stepwise(parts, weights, batch):
    """The parameters of all dimensions, computed step by step."""
    order_index = 0
    order = jnp.argsort(parts.positions(weights.extra)[order_index])
    flat = batch['x'].reshape(len(batch['x']), -1)[:, order]
    before = jnp.concatenate([jnp.zeros_like(flat[:, :1]), flat[:, :-1]], 1)

    def step(memory, at):
        return parts.steps.step(weights, memory, *at)

    batch_without_x = {**batch, 'x': jnp.full_like(batch['x'], jnp.nan)}  # must not be read
    memory = parts.steps.begin(weights, batch_without_x, order_index)
    _, parameters = jax.lax.scan(step, memory, (jnp.arange(len(order)), before.T))
    parameters = jnp.zeros_like(parameters).at[order].set(parameters)
    return jnp.moveaxis(parameters, 0, 1).reshape(*batch['x'].shape, -1)


@pytest.mark.parametrize('spec', KEPT)
@pytest.mark.parametrize(
    'name',
    [SLOW('pixelcnn'), pytest.param('gated_pixelcnn', marks=pytest.mark.slow), 'transformer'],
)
def test_step_by_step_the_parameters_are_those_of_the_whole(name, spec):
    if name == 'transformer' and spec.levels is None:
        pytest.skip('its tokens are levels')
    parts = WITH_STEPS[name](spec, spec.num_classes)
    weights, keys = weights_of(parts), jax.random.split(jax.random.PRNGKey(2))
    x = jax.random.randint(keys[0], (5, *spec.event_shape), 0, spec.levels or 5)
    label = jax.random.randint(keys[1], (5,), 0, spec.num_classes)
    batch = {'x': x.astype(jnp.float32), 'label': label}
    expected = jax.jit(parts.parameters)(weights, batch, 0)
    actual = jax.jit(functools.partial(stepwise, parts))(weights, batch)
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', WITH_STEPS)
def test_in_float64_samples_are_those_of_the_whole_network(name):
    """In float64, where rounding changes no draw, cached and full sampling agree exactly."""
    with jax.enable_x64(True):
        parts = WITH_STEPS[name](Spec((4, 3, 2), 5, 3), 3, jnp.float64)
        weights = jax.tree.map(lambda a: a.astype(jnp.float64), weights_of(parts))
        drawn = [
            jax.jit(lambda w, draw=draw: draw(w, rng_of(50), None))(weights)
            for p in (parts, parts._replace(steps=None))
            for draw in [autoregressive(p).ability(Sample).draw]
        ]
        np.testing.assert_array_equal(*drawn)
        assert len(np.unique(drawn[0])) == 5


# Conditions

LABELLED = Spec((2, 2), 2, 3)


@pytest.mark.slow
@pytest.mark.parametrize('name', SOME_SLOW)
def test_each_label_has_a_distribution_and_bayes_rule_classifies(name):
    parts = WITH_STEPS[name](LABELLED, 3)
    weights, x = weights_of(parts), jnp.asarray(every_event(LABELLED))
    label = lambda y: jnp.full(16, y, jnp.int32)
    likelihoods = np.stack(
        [event_probabilities(parts, weights, label=label(y)) for y in range(3)], 1
    )
    np.testing.assert_allclose(likelihoods.sum(0), 1.0, rtol=1e-5)
    assert np.abs(likelihoods[:, 0] - likelihoods[:, 1]).max() > 0.01
    family, batch = autoregressive(parts), {'x': x, 'label': label(1)}
    logits = jax.jit(family.ability(Classify).logits)(weights, batch, rng_of(16))
    np.testing.assert_allclose(np.exp(logits), likelihoods, rtol=1e-4)
    metrics = jax.jit(family.metrics)(weights, batch, rng_of(16))
    np.testing.assert_allclose(np.exp(metrics['log_prob_nats']), likelihoods[:, 1], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', SOME_SLOW)
def test_samples_have_the_given_label(name):
    parts, n = WITH_STEPS[name](LABELLED, 3), 20_000
    family, weights = autoregressive(parts), weights_of(parts)
    condition = {'label': jnp.full(n, 2, jnp.int32)}
    drawn = np.asarray(
        jax.jit(lambda w: family.ability(Sample).draw(w, rng_of(n), condition))(weights)
    )
    label = jnp.full(16, 2, jnp.int32)
    check_shares(drawn, every_event(LABELLED), event_probabilities(parts, weights, label=label))


# Runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'change'),
    [
        pytest.param('made', {}, marks=EXHAUSTIVE),
        ('made', dict(model__num_orders=3, model__order='random')),
        pytest.param('pixelcnn', {}, marks=EXHAUSTIVE),
        ('gated_pixelcnn', dict(model__is_conditional=True)),
        ('pixel_transformer', dict(model__is_conditional=True, model__is_tied=True)),
    ],
)
def test_losses_do_not_depend_on_the_devices(tmp_path, name, change):
    run = assembled(tmp_path, name, **change)
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'change'),
    [
        pytest.param('fvsbn', {}, marks=EXHAUSTIVE),
        ('made', {}),
        pytest.param('pixelcnn', {}, marks=EXHAUSTIVE),
        ('gated_pixelcnn', dict(model__is_conditional=True)),
        ('pixel_transformer', dict(model__is_conditional=True)),
    ],
)
def test_trained_evaluated_and_used(tmp_path, one_device, name, change):
    run = few_of_test(assembled(tmp_path, name, **change), 40)
    train_lib.train(run)
    evaluation = evaluate.evaluate(run)
    x = sample.apply(run, num_samples=6)
    if change:
        assert evaluation['log_prob'] == 'exact, given the label'
        assert classify.apply(run)['logits'].shape == (40, 10)
        assert sample.apply(run, num_samples=6, labels='3').shape == x.shape
    else:
        assert evaluation['log_prob'] == 'exact'
    assert x.shape == (6, 8, 8, 1) and set(np.unique(x)) <= set(range(17))
    filled = inpaint.apply(run, mask='bottom', num_images=2, num_completions=2, num_examples=4)
    known = np.broadcast_to(filled['known'][:, None], filled['completions'].shape)
    originals = np.broadcast_to(filled['x'][:, None], known.shape)
    np.testing.assert_array_equal(filled['completions'][known], originals[known])
    types = [
        jax.tree.map(lambda a: a.dtype, state.extra)
        for state in (restore.load(run).state, restore.initial_state(run))
    ]
    assert types[0] == types[1]  # degrees stay integers
