"""The PyTorch U-Net of `benchmarks.diffusion_speed` computes the same function as ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import samplers, schedules, time_grids
from models.diffusion.process.predictions import V
from models.diffusion.unet import UNet

torch = pytest.importorskip('torch')
from benchmarks import torch_diffusion, torch_unet  # noqa: E402

SHAPES = [((8, 8), 1, (1,)), ((8, 16, 8), 2, (0,)), ((8,), 1, ())]
LEVELS = jnp.asarray([-2.0, 0.0, 3.0])
X = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)


def both(shape):
    """(our network, random weights without zero layers, PyTorch's network with those weights)."""
    ours, theirs = UNet(*shape), torch_unet.UNet(*shape)
    like = jax.eval_shape(ours.init, jax.random.PRNGKey(0), X, LEVELS)['params']
    draws = np.random.default_rng(1)
    params = jax.tree.map(lambda a: np.float32(0.2 * draws.normal(size=a.shape)), like)
    torch_unet.load(theirs, params)
    return ours, params, theirs


def as_torch(x):
    return torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    'shape', [SHAPES[0], *(pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES[1:])]
)
def test_both_have_the_same_parameters_and_outputs(shape):
    ours, params, theirs = both(shape)
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    assert sum(sizes) == sum(leaf.numel() for leaf in theirs.parameters())
    expected = jax.jit(ours.apply)({'params': params}, X, LEVELS)
    outputs = theirs(as_torch(X), torch.from_numpy(np.array(LEVELS))).permute(0, 2, 3, 1)
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(outputs.detach(), expected, rtol=1e-3, atol=1e-4 * scale)


def test_weights_of_another_shape_are_refused():
    _, params, _ = both(SHAPES[2])
    with pytest.raises(ValueError, match=r'\(64, 64\) cannot be \(32, 32\)'):
        torch_unet.load(torch_unet.UNet((16,), 1, ()), params)


def test_both_have_the_same_process_and_draw_the_same_samples():
    """Uses a linear network, so that only schedules and samplers can differ."""
    schedule = schedules.cosine()
    t = jnp.linspace(schedule.first, schedule.last, 9)
    alpha, sigma = torch_diffusion.alpha_and_sigma(torch.from_numpy(np.array(t)))
    np.testing.assert_allclose(alpha, schedule.alpha(t), rtol=1e-4)
    np.testing.assert_allclose(sigma, schedule.sigma(t), rtol=1e-4)
    scale = lambda level: 0.1 * level + 0.3

    def mean(x_t, t):
        a, s = (f(t)[:, None, None, None] for f in (schedule.alpha, schedule.sigma))
        size = jnp.sqrt((a * 0.5) ** 2 + s**2)
        output = x_t / size * scale(jnp.log(a / s))
        return jnp.clip(V.to_x(x_t, output, a, s), -1.0, 1.0)

    times, keys = (
        time_grids.uniform_time(schedule, 5),
        jax.random.split(jax.random.PRNGKey(0), len(X)),
    )
    x, _ = jax.jit(lambda x: samplers.ddim(mean, x, times, schedule, keys))(X)
    expected = mean(x, jnp.full(len(x), times[-1]))
    network = lambda x, level: x * scale(level)[:, None, None, None]
    samples = torch_diffusion.sample(network, as_torch(X), 6).permute(0, 2, 3, 1)
    assert float(jnp.abs(expected).min()) < 0.5
    np.testing.assert_allclose(samples, expected, rtol=1e-3, atol=1e-3)


def test_a_step_of_pytorch_descends_the_error_of_v():
    """For bits of -1 and 1 a network that outputs 0 has the loss E |v|^2 = 1 per pixel."""
    weight = torch.nn.Parameter(torch.zeros(()))
    network = torch.nn.Module()
    network.register_parameter('weight', weight)
    network.forward = lambda x, level: weight * x
    torch.manual_seed(0)
    step = torch_diffusion.training_of(network, torch.optim.Adam).step
    bits = torch.randint(0, 2, (4096, 1, 8, 8)).float()
    assert float(step(bits)) == pytest.approx(1, rel=0.01)
    assert abs(float(weight.detach())) == pytest.approx(1e-3, rel=1e-3)  # Adam's first step


class Linear(torch.nn.Module):
    """One dense matrix over all pixels."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.nn.Linear(64, 64, bias=False)

    def forward(self, x, level):
        return self.matrix(x.flatten(1)).reshape(x.shape)


def test_the_operations_of_a_step_are_counted():
    """One product forward and one backward, to the weights: x needs no gradient."""
    training = torch_diffusion.training_of(Linear(), torch.optim.SGD)
    flop = torch_diffusion.flop_of(training, torch.zeros(5, 1, 8, 8))
    assert flop == 2 * 2 * 5 * 64 * 64


def test_bfloat16_products_are_close_and_returned_in_float32():
    exact, x, level = Linear(), as_torch(X), torch.zeros(3)
    rounded, reference = torch_diffusion.InPrecision(exact, 'bfloat16')(x, level), exact(x, level)
    assert rounded.dtype == torch.float32
    far = float((rounded - reference).detach().abs().max() / reference.detach().abs().max())
    assert 1e-5 < far < 0.05
