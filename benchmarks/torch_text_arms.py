"""A character transformer in idiomatic PyTorch, only for `benchmarks.text_speed`.

It is the model of `models.nets.transformer` with a table of positions: GPT-2's layout, a learned
start vector in place of the first input, and dropout of embedded characters and branches.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import text_arms, torch_training
from benchmarks.text_arms import SIZES, Size
from benchmarks.torch_training import TRUNCATED_STD, Training, in_precision
from benchmarks.worker import Arm, main

EMBEDDING_STD, EPSILON = 0.02, 1e-6


class Block(nn.Module):
    """An attention branch, then an MLP branch, each added to the residual stream."""

    def __init__(self, size: Size):
        super().__init__()
        self.heads, self.rate, width = size.heads, size.dropout, size.width
        self.norms = nn.ModuleList(nn.LayerNorm(width, EPSILON) for _ in range(2))
        self.attention = nn.Linear(width, 3 * width)
        self.widen = nn.Linear(width, 4 * width)
        self.add = nn.ModuleList([nn.Linear(width, width), nn.Linear(4 * width, width)])
        for layer, gain in (
            (self.attention, 1.0),
            (self.widen, 1.0),
            *((layer, 0.5 / size.blocks) for layer in self.add),
        ):
            std = math.sqrt(gain / layer.in_features) / TRUNCATED_STD
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(layer.bias)

    def forward(self, units: torch.Tensor) -> torch.Tensor:
        """Maps [batch, tokens, width] to the same shape."""
        drop = functools.partial(functional.dropout, p=self.rate, training=self.rate > 0)
        qkv = self.attention(self.norms[0](units)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        units = units + drop(self.add[0](mixed.transpose(1, 2).flatten(2)))
        inner = functional.gelu(self.widen(self.norms[1](units)), approximate='tanh')
        return units + drop(self.add[1](inner))


class Transformer(nn.Module):
    """Maps characters [batch, context] to the logits of each given the earlier ones."""

    def __init__(self, size: Size, vocabulary: int):
        super().__init__()
        normal = lambda *shape: nn.Parameter(EMBEDDING_STD * torch.randn(*shape, size.width))
        self.rate, self.tokens, self.start = size.dropout, normal(vocabulary), normal()
        self.places, self.head = normal(size.context), normal(vocabulary)
        self.blocks = nn.Sequential(*(Block(size) for _ in range(size.blocks)))
        self.norm = nn.LayerNorm(size.width, EPSILON)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Returns [batch, context, vocabulary]."""
        start = self.start.expand(len(tokens), 1, -1)
        units = torch.cat([start, functional.embedding(tokens[:, :-1], self.tokens)], 1)
        units = functional.dropout(units + self.places, self.rate, self.rate > 0)
        return functional.linear(self.norm(self.blocks(units)), self.head)


def learning_rate(step: int) -> float:
    """Returns the rate of a step: linear warm-up, then a cosine."""
    if step < text_arms.WARM_UP:
        return text_arms.RATE * (step + 1) / text_arms.WARM_UP
    progress = min(1.0, (step - text_arms.WARM_UP) / (text_arms.DECAY - text_arms.WARM_UP))
    last = text_arms.LAST_RATE
    return last + (text_arms.RATE - last) * 0.5 * (1 + math.cos(math.pi * progress))


def training_of(
    size: Size, vocabulary: int, precision: str, transform: Callable = lambda loss: loss
) -> Training:
    """Returns a training on characters [batch, context], whose step returns nats per character.

    transform: applied to the loss as a function of the characters, for example `torch.compile`.
    """
    network = Transformer(size, vocabulary).to(torch_training.device())
    optimizer = torch.optim.AdamW(
        network.parameters(),
        betas=(0.9, text_arms.BETA2),
        weight_decay=text_arms.WEIGHT_DECAY,
        fused=True,
    )

    @transform
    def loss_of(tokens: torch.Tensor) -> torch.Tensor:
        with in_precision(precision):
            logits = network(tokens)
        return functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())

    count = 0

    def step(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal count
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(count)
        count += 1
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(tokens)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), text_arms.CLIP)
        optimizer.step()
        return loss.detach()

    return Training(step, (network,), (optimizer,))


def make(size: str, precision: str, path: str, steps: int, compiled: bool) -> Arm:
    """Returns an arm that trains on random windows, `steps` steps a call."""
    torch_training.set_precision(precision)
    torch.manual_seed(0)
    run = text_arms.run_of(SIZES[size], path, 'float32')
    text = torch.from_numpy(text_arms.text_of(run).astype(np.int64)).to(torch_training.device())
    transform = torch.compile if compiled else lambda loss: loss
    training = training_of(SIZES[size], run.data.spec.levels, precision, transform)
    context, batch = SIZES[size].context, SIZES[size].batch
    offsets = torch.arange(context, device=text.device)

    def train() -> np.ndarray:
        losses = []
        for _ in range(steps):
            first = torch.randint(len(text) - context + 1, (batch, 1), device=text.device)
            losses.append(training.step(text[first + offsets]))
        return torch.stack(losses).cpu().numpy()  # waits for all of them

    parameters = sum(p.numel() for p in training.networks[0].parameters())
    return Arm(train, dict(torch_training.described(), parameters=parameters))


if __name__ == '__main__':
    main(make)
