"""The PyTorch transformer of `benchmarks.text_speed` computes the same function as ours."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.core import optimizers
from benchmarks import text_arms
from models.nets.transformer import Transformer

torch = pytest.importorskip('torch')
from benchmarks import torch_text_arms  # noqa: E402

SIZE = text_arms.Size(context=6, blocks=2, heads=2, width=8, dropout=0.0, batch=3)
SYMBOLS = 11


def copy(to, values):
    assert to.shape == values.shape
    with torch.no_grad():
        to.copy_(torch.from_numpy(np.array(values)))


def layer(to, params):
    copy(to.weight, params['kernel'].T if 'kernel' in params else params['scale'])
    copy(to.bias, params['bias'])


def load(network, params):
    """Copies our parameters into PyTorch's network."""
    for name in ('tokens', 'start', 'places', 'head'):
        copy(getattr(network, name), params[name])
    layer(network.norm, params['norm'])
    for i, block in enumerate(network.blocks):
        ours = params[f'layers_{i}']
        layer(block.attention, ours['attention'])
        layer(block.widen, ours['widen'])
        for j in range(2):
            layer(block.norms[j], ours[f'LayerNorm_{j}'])
            layer(block.add[j], ours[f'add_{j}'])


def test_both_have_the_same_logits():
    net = Transformer(SYMBOLS, SIZE.context, SIZE.width, SIZE.blocks, SIZE.heads)
    tokens = np.random.default_rng(0).integers(0, SYMBOLS, (SIZE.batch, SIZE.context))
    like = jax.eval_shape(net.init, jax.random.PRNGKey(0), tokens)['params']
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: np.float32(0.5 * rng.normal(size=x.shape)), like)
    network = torch_text_arms.Transformer(SIZE, SYMBOLS)
    load(network, params)
    count = sum(p.numel() for p in network.parameters())
    assert count == sum(leaf.size for leaf in jax.tree.leaves(params))
    expected = jax.jit(net.apply)({'params': params}, tokens)
    logits = network(torch.from_numpy(tokens)).detach()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_both_have_the_same_initial_deviations():
    size = SIZE._replace(width=64, context=32)
    net = Transformer(SYMBOLS, size.context, size.width, size.blocks, size.heads)
    tokens = jnp.zeros((1, size.context), int)
    params = jax.jit(net.init)(jax.random.PRNGKey(0), tokens)['params']
    torch.manual_seed(0)
    network = torch_text_arms.Transformer(size, SYMBOLS)
    block = network.blocks[0]
    for theirs, ours in (
        (network.places, params['places']),
        (network.head, params['head']),
        (block.attention.weight, params['layers_0']['attention']['kernel']),
        (block.widen.weight, params['layers_0']['widen']['kernel']),
        (block.add[1].weight, params['layers_0']['add_1']['kernel']),
    ):
        assert float(theirs.detach().std()) == pytest.approx(float(ours.std()), rel=0.1)


def test_both_have_the_same_learning_rates():
    hypers = dict(
        learning_rate=text_arms.RATE,
        learning_rate_end=text_arms.LAST_RATE,
        warmup_steps=text_arms.WARM_UP,
        decay_steps=text_arms.DECAY,
    )
    for step in (0, 7, 99, 100, 2500, 4999, 6000):
        expected = float(optimizers.learning_rate(hypers, step))
        assert torch_text_arms.learning_rate(step) == pytest.approx(expected, rel=1e-4)


def test_a_step_learns_a_repeated_text():
    torch.manual_seed(0)
    training = torch_text_arms.training_of(SIZE, SYMBOLS, 'float32')
    tokens = (torch.arange(SIZE.context)[None] + torch.arange(SIZE.batch)[:, None]) % SYMBOLS
    losses = [float(training.step(tokens)) for _ in range(150)]
    assert losses[0] == pytest.approx(math.log(SYMBOLS), rel=0.02)
    assert losses[-1] < 0.8 * losses[0]
