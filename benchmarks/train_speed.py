"""One training step of two VAEs against PyTorch, one call a step, and the matrix products alone.

    pip install -r requirements-bench.txt
    python -m benchmarks.train_speed --data_dir=TFDS_FOLDER

Every arm: batch 128, Adam, all cores, pictures of bits in memory before the clock starts,
the losses read at the end of each repeat. Ours is what a run does, shuffle and report included.
Without a folder the pictures are random. The limit is every matrix product of a step, forward and
for both gradients, and a division of each gradient that keeps the numbers finite.
"""

import collections
import contextlib
import functools
import math
import os
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

import devices as device_lib
import experiment
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer
from datasets import dataset, tfds_images

LATENT, BATCH, IMAGES = 20, 128, 60_000
MODELS = {
    'mlp': ('configs/vae.py', dict(hidden_sizes=(400,))),
    'conv': ('configs/conv_vae.py', dict(hidden_sizes=(), channels=(32, 64), kernel_size=4)),
}
# [M, K] by [K, N] of each layer for one batch, convolutions as products of windows; the first layer
# of all needs no gradient of its input.
PRODUCTS = {
    'mlp': [(BATCH, 784, 400), (BATCH, 400, 40), (BATCH, 20, 400), (BATCH, 400, 784)],
    'conv': [
        (BATCH * 196, 16, 32),
        (BATCH * 49, 512, 64),
        (BATCH, 3136, 40),
        (BATCH, 20, 3136),
        (BATCH * 49, 64, 512),
        (BATCH * 196, 32, 16),
    ],
}

flags.DEFINE_multi_enum('models', list(MODELS), list(MODELS), 'which')
flags.DEFINE_integer('steps', 400, 'of one repeat of an MLP, and four times those of a conv')
flags.DEFINE_integer('repeats', 7, 'of each arm')
flags.DEFINE_string('data_dir', '', 'where TFDS sets lie')


def pictures(data_dir: str) -> tuple[np.ndarray, str]:
    """60,000 pictures of bits [n, 28, 28, 1], and in words what they are."""
    if not data_dir and not os.environ.get('TFDS_DATA_DIR'):
        return np.random.default_rng(0).integers(0, 2, (IMAGES, 28, 28, 1), np.uint8), 'random'
    x = np.asarray(tfds_images.load('mnist', data_dir).splits['train']['x'])
    return (x > 127).astype(np.uint8), 'MNIST, thresholded'


def run_of(model: str, images: np.ndarray, precision: str) -> experiment.Run:
    """The config of a run that is never written."""
    path, settings = MODELS[model]
    which = experiment.recipe(path)
    config = which.config()
    with config.unlocked():
        config.model.update(latent_dim=LATENT, activation='relu', **settings)
        config.train.update(batch_size=BATCH, precision=precision)
        config.hypers.update(decay_steps=0.0, weight_decay=0.0)
    spec = dataset.Spec(images.shape[1:], 2, None)
    data = dataset.Dataset('bits', spec, {'train': {'x': images}}, 'bits')
    family = which.module().build(config, spec)
    return experiment.Run(pathlib.Path('unused'), which, config, family, data)


def limit(model: str, steps: int):
    """The matrix products of a step alone: of each layer forward, and both gradients."""
    layers = PRODUCTS[model]
    keys = jax.random.split(jax.random.PRNGKey(0), len(layers))
    inputs = [jax.random.normal(key, (m, k)) for key, (m, k, n) in zip(keys, layers, strict=True)]
    weights = [jax.random.normal(key, (k, n)) for key, (m, k, n) in zip(keys, layers, strict=True)]

    @jax.jit
    def multiply(weights):
        def step(weights, _):
            after = []
            for i, (x, w) in enumerate(zip(inputs, weights, strict=True)):
                y = x @ w
                z = y @ w.T if i else x  # its own product, so that nothing is left out of the loop
                gradient = z.T @ y
                after.append(gradient / (1 + jnp.max(jnp.abs(gradient))))
            return after, None

        return jax.lax.scan(step, weights, length=steps)[0]

    return lambda: jax.block_until_ready(multiply(weights))


def arms_of(stack: contextlib.ExitStack, model: str, images: np.ndarray, steps: int) -> dict:
    """Every way of training this model, by name; each returns its losses [steps]."""
    arms, many, one = {}, math.gcd(100, steps), jax.devices()[:1]
    for name, length, precision in (
        ('scanned', many, 'float32'),
        ('one call a step', 1, 'float32'),
        ('scanned, bfloat16', many, 'bfloat16'),
    ):
        run = run_of(model, images, precision)
        arms[name] = trainer(stack, run, length, steps, one, wait=False)
    for name, options in _torch_options().items():
        from benchmarks import torch_vae  # only where there is PyTorch

        train = torch_vae.trainer(model, images, LATENT, BATCH, **options)
        arms[name] = functools.partial(train, steps)
    return arms


def keeping(arm: Callable[[], np.ndarray], losses: list) -> Callable[[], None]:
    """`arm`, the mean of whose losses is appended to a list at every call."""
    return lambda: losses.append(float(np.mean(arm())))


def _torch_options() -> dict[str, dict]:
    try:
        import torch
    except ImportError:
        print('PyTorch is not installed (requirements-bench.txt): its arms are left out')
        return {}
    on_gpu = torch.cuda.is_available()
    print(
        f'PyTorch {torch.__version__}, {"CUDA" if on_gpu else f"{torch.get_num_threads()} threads"}'
    )
    options = {'PyTorch eager': {}, 'PyTorch eager, fused Adam': {'fused': True}}
    if on_gpu:
        options['PyTorch, CUDA graph'] = {'graphed': True}
    return options


def show(model: str, seconds: dict[str, np.ndarray], losses: dict, steps: int) -> None:
    """A table, and the mean losses of each repeat."""
    reference = seconds.get('PyTorch eager')
    print(f'\n{model}: milliseconds a step of {BATCH}, median (range) of {len(seconds["limit"])}')
    for name, taken in seconds.items():
        epoch = np.median(taken) / steps * IMAGES / BATCH
        ratio = '' if reference is None else f'{np.median(reference / taken):5.2f} x PyTorch eager'
        share = f'{100 * np.median(seconds["limit"] / taken):4.0f} % of the limit'
        timing = f'{spread(1e3 * taken / steps):24} {epoch:6.2f} s an epoch'
        print(f'  {name:26} {timing}  {ratio}  {share}')
    print(f'  mean loss (nats) of every {steps} steps, the first to warm up:')
    for name, curve in losses.items():
        print(f'  {name:26} ' + ' '.join(f'{loss:6.1f}' for loss in curve))


def main(_):
    """Prints a table for each model."""
    device_lib.enable_compilation_cache()
    images, words = pictures(flags.FLAGS.data_dir)
    print(f'JAX {jax.__version__}, {jax.devices()[0].device_kind}; {words}, {len(images)} pictures')
    for model in flags.FLAGS.models:
        steps = flags.FLAGS.steps if model == 'mlp' else flags.FLAGS.steps // 4
        losses = collections.defaultdict(list)
        with contextlib.ExitStack() as stack:
            arms = arms_of(stack, model, images, steps)
            arms = {name: keeping(arm, losses[name]) for name, arm in arms.items()}
            arms['limit'] = limit(model, steps)
            seconds = alternate(arms, flags.FLAGS.repeats)
        show(model, seconds, losses, steps)


if __name__ == '__main__':
    app.run(main)
