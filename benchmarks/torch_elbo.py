"""A VAE of static MNIST in idiomatic PyTorch: its ELBO on the test split, beside that of ours.

    python -m benchmarks.torch_elbo --path=binarized_mnist.npz

The networks are those of `configs/vae.py:static_mnist`, 784-400-40-400-784 with ReLU, with the
initial weights of Flax. Adam has the learning rate 1e-3. The weights of the last step are tested,
with one z for each image.
"""

import numpy as np
import torch
from absl import flags
from torch.nn import functional

from atelier.data import static_mnist
from benchmarks import outcome, torch_training, torch_vae

flags.DEFINE_string('path', '', 'static binarised MNIST, as config.data.path')
flags.DEFINE_integer('steps', 25_000, 'training steps')
flags.DEFINE_integer('batch_size', 100, 'images of a step')
flags.DEFINE_integer('latent_dim', 40, 'dimensions of z')

LENGTH = 250  # steps between two looks at the clock
PART = 1000  # test images at a time


def trained(
    images: np.ndarray, steps: int, batch_size: int, latent_dim: int, result: outcome.Outcome
) -> tuple[torch_training.Training, int]:
    """Trains on binary images [n, 28, 28, 1] while there is time; returns the steps that it did."""
    adam, unchanged = torch.optim.Adam, lambda loss: loss
    training = torch_vae.training_of(torch_vae.mlp, latent_dim, adam, unchanged, 'float32')
    train, done = torch_training.trainer(training, images, batch_size), 0
    while done < steps and result.left():
        length = min(LENGTH, steps - done)
        loss, done = train(length).mean(), done + length
        if done % (20 * LENGTH) == 0 or done == steps:
            print(f'  step {done:,}: training loss {loss:.2f}', flush=True)
    return training, done


@torch.no_grad()
def tested(training: torch_training.Training, images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns '-ELBO' and 'KL' of each of the images [n, 28, 28, 1], in nats."""
    encoder, decoder = training.networks
    parts = []
    for start in range(0, len(images), PART):
        part = images[start : start + PART].transpose(0, 3, 1, 2).astype(np.float32)
        x = torch.from_numpy(part).to(torch_training.device())
        mean, log_var = encoder(x).chunk(2, 1)
        logits = decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean))
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction='none')
        kl = 0.5 * (mean**2 + torch.exp(log_var) - 1 - log_var).sum(1)
        parts.append((reconstruction.flatten(1).sum(1) + kl, kl))
    columns = [torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)]
    return dict(zip(('-ELBO', 'KL'), columns, strict=True))


def main(_):
    """Prints both values with their standard errors over test images."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('torch_elbo')
    settings = values.steps, values.batch_size, values.latent_dim
    training, done = None, 0
    if result.left():
        splits = static_mnist.load(values.path).splits
        training, done = trained(splits['train']['x'], *settings, result)
    if done < values.steps:
        print(f'time was up after {done:,} of {values.steps:,} steps')
        result.add_arm('test split', [])
    else:
        for name, nats in tested(training, splits['test']['x']).items():
            error = nats.std(ddof=1) / len(nats) ** 0.5
            print(f'{name} of {len(nats):,} test images: {nats.mean():.2f} +- {error:.2f} nats')
            result.add_arm('test split', [float(nats.mean())], name)
    result.write()


if __name__ == '__main__':
    outcome.run(main)
