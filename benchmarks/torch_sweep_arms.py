"""PyTorch's arm of `benchmarks.sweep_speed`: members of a sweep of `configs/vae.py`, one by one."""

import itertools
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import torch_training
from benchmarks.sweep_arms import members
from benchmarks.torch_training import Training, as_flax
from benchmarks.worker import Arm, main


def make(config: str, axes: list[str], count: int, length: int, arguments: list[str]) -> Arm:
    """Returns an arm that trains the first `count` members of a sweep for `length` more steps.

    Its losses are [count, length].
    """
    torch_training.set_precision('float32')
    (run, *_) = runs = members(config, axes, arguments, pathlib.Path('unused'))[:count]
    images = np.asarray(run.data.splits['train']['x'])
    size, levels = run.config.train.batch_size, run.data.spec.levels
    trains = []
    for each in runs:
        torch.manual_seed(each.config.seed)
        training = training_of(each.config, images.shape[1:], levels)
        trains.append(torch_training.trainer(training, images, size))

    def train() -> np.ndarray:
        return np.stack([train(length) for train in trains])

    return Arm(train, torch_training.described())


def training_of(config, event_shape: tuple[int, ...], levels: int) -> Training:
    """Returns the training of one member on levels [batch, channels, height, width]."""
    model, hypers, dims = config.model, config.hypers, int(np.prod(event_shape))
    sizes, components = tuple(model.hidden_sizes), model.mixture_components
    encoder, decoder = as_flax(
        nn.Sequential(nn.Flatten(), *layers((dims, *sizes, 2 * model.latent_dim))),
        nn.Sequential(
            *layers((model.latent_dim, *sizes[::-1], dims * 3 * components)),
            nn.Unflatten(1, (dims, 3 * components)),
        ),
    )
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, hypers.learning_rate, weight_decay=hypers.weight_decay, fused=True
    )

    count = 0

    def step(x: torch.Tensor) -> torch.Tensor:
        nonlocal count
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(hypers, count)
        count += 1
        optimizer.zero_grad(set_to_none=True)
        mean, log_var = encoder(x / (levels - 1)).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        log_prob = logistic_mixture_log_prob(x.flatten(1), decoder(z), levels)
        kl = 0.5 * torch.sum(mean**2 + torch.exp(log_var) - 1 - log_var)
        loss = (hypers.beta * kl - log_prob.sum()) / len(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Training(step, (encoder, decoder), (optimizer,))


def learning_rate(hypers, step: int) -> float:
    """Returns the rate of a step: a cosine from the peak, or the peak if nothing decays."""
    peak, end, decay = hypers.learning_rate, hypers.learning_rate_end, hypers.decay_steps
    if not decay:
        return peak
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / decay)))


def layers(sizes: tuple[int, ...]) -> list[nn.Module]:
    """Returns dense layers of these sizes, with ReLU between them."""
    pairs = itertools.pairwise(sizes)
    return [layer for pair in pairs for layer in (nn.Linear(*pair), nn.ReLU())][:-1]


def logistic_mixture_log_prob(
    x: torch.Tensor, parameters: torch.Tensor, levels: int
) -> torch.Tensor:
    """Returns log p [batch, dims] of levels x under mixtures of discretized logistics.

    `parameters` [batch, dims, 3 * components] are the logits, means and log scales of
    `losses.elbo.discretized_logistic_mixture_log_prob`.
    """
    logits, means, log_scales = parameters.chunk(3, -1)
    x, top, scale = x[..., None], levels - 1, torch.exp(-log_scales)
    upper = ((2 * x + 1 - top) / top - means) * scale
    lower = ((2 * x - 1 - top) / top - means) * scale
    below = functional.logsigmoid(upper).masked_fill(x >= top, 0.0)
    above = functional.logsigmoid(-lower).masked_fill(x <= 0, 0.0)
    inside = torch.log(-torch.expm1(-(2 / top) * scale))
    inside = inside.masked_fill((x <= 0) | (x >= top), 0.0)
    return torch.logsumexp(functional.log_softmax(logits, -1) + below + above + inside, -1)


if __name__ == '__main__':
    main(make)
