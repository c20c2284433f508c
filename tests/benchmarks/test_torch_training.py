"""PyTorch's arms: initial weights, CUDA graphs (with a stand-in for the card), and precision."""

import contextlib
import gc
import weakref

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from benchmarks import torch_arms, torch_training, torch_vae  # noqa: E402
from benchmarks.torch_training import Replay, Training  # noqa: E402

IMAGES = np.random.default_rng(0).integers(0, 2, (256, 28, 28, 1), np.uint8)


@pytest.fixture
def card(monkeypatch):
    """A stand-in for `torch.cuda`, whose graph runs what it captures at every replay."""
    events = []

    class Stream:
        def wait_stream(self, other):
            events.append('wait')

    class CUDAGraph:
        def replay(self):
            events.append('replay')

    @contextlib.contextmanager
    def recorded(name):
        events.append(name)
        yield

    fakes = dict(
        Stream=Stream,
        CUDAGraph=CUDAGraph,
        current_stream=Stream,
        stream=lambda stream: recorded('side stream'),
        graph=lambda graph: recorded('capture'),
    )
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return events


def training_of(network, events=None):
    optimizer = torch.optim.Adam(network.parameters(), 0.1)

    def step(x):
        gradients_are_none = all(p.grad is None for p in network.parameters())
        if events is not None:
            events.append('step' if not gradients_are_none else 'step without gradients')
        optimizer.zero_grad(set_to_none=True)
        loss = network(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Training(step, (network,), (optimizer,))


def test_a_capture_follows_a_warm_up_and_starts_from_the_initial_weights(card):
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    initial = {name: value.clone() for name, value in network.state_dict().items()}
    addresses = [value.data_ptr() for value in network.state_dict().values()]
    training = training_of(network, card)
    replay = Replay(training, torch.randn(8, 4))
    warm_up = ['step without gradients', 'step', 'step']
    assert card == ['wait', 'side stream', *warm_up, 'wait', 'capture', 'step without gradients']
    for name, value in network.state_dict().items():
        assert torch.equal(value, initial[name]), name
    assert [value.data_ptr() for value in network.state_dict().values()] == addresses
    (optimizer,) = training.optimizers
    moments = [value for state in optimizer.state.values() for value in state.values()]
    assert len(moments) == 3 * 4 and all(not value.any() for value in moments)
    batch = torch.randn(8, 4)
    loss = replay(batch)
    assert card[-1] == 'replay' and torch.equal(replay.x, batch)
    assert loss.data_ptr() != replay.loss.data_ptr()


def test_a_replay_keeps_all_that_its_graph_trains(card):
    """A graph holds addresses only: freed weights would be trained in memory of other tensors."""
    network = torch.nn.Linear(4, 3)
    training = training_of(network)
    kept = [weakref.ref(network), weakref.ref(training.optimizers[0])]
    replay = Replay(training, torch.randn(8, 4))
    del network, training
    gc.collect()
    assert all(each() is not None for each in kept)
    del replay
    gc.collect()
    assert all(each() is None for each in kept)


def test_initial_weights_have_flax_variance():
    """Flax's lecun_normal: variance 1 / inputs, after the truncation."""
    torch.manual_seed(0)
    layer, transposed = torch.nn.Linear(400, 500), torch.nn.ConvTranspose2d(64, 128, 4)
    torch_training.as_flax(layer, transposed)
    assert float(layer.weight.detach().std()) == pytest.approx(400**-0.5, rel=0.01)
    assert float(transposed.weight.detach().std()) == pytest.approx((64 * 16) ** -0.5, rel=0.01)
    assert not layer.bias.any()


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('name', ['mlp', pytest.param('dcgan', marks=pytest.mark.slow)])
def test_an_arm_trains_in_a_precision(name, precision):
    train = torch_arms.trainer(name, 'PyTorch eager, fused Adam', precision, IMAGES)
    losses = np.concatenate([train(3), train(2)])
    assert losses.shape == (5,) and np.isfinite(losses).all()
    if name == 'mlp':
        assert losses[-1] < losses[0] < 28 * 28


def test_bfloat16_rounds_the_products_and_nothing_else():
    x = torch.from_numpy(IMAGES[:8].transpose(0, 3, 1, 2).astype(np.float32))
    losses, gradients = {}, {}
    for precision in ('float32', 'bfloat16'):
        training = torch_vae.training_of(
            torch_vae.mlp, 20, torch.optim.Adam, lambda loss: loss, precision
        )
        torch.manual_seed(1)
        losses[precision] = training.step(x)
        gradients[precision] = training.networks[0][1].weight.grad
    assert losses['bfloat16'].dtype == gradients['bfloat16'].dtype == torch.float32
    apart = float((losses['bfloat16'] / losses['float32'] - 1).abs())
    assert 0 < apart < 0.01


def test_the_precision_of_float32_products_is_set_for_matrices_and_convolutions():
    flags = lambda: (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    before = flags()
    try:
        for name, is_tf32 in (('tf32', True), ('float32', False), ('bfloat16', False)):
            torch_training.set_precision(name)
            assert flags() == (is_tf32, is_tf32)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
