"""The diffusion U-Net in idiomatic PyTorch, only for `benchmarks.diffusion_speed`.

It has the same blocks, channels, norms and attention as `models.diffusion.unet.UNet`; `load` copies
the weights of that network.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

GROUPS, HEADS, LONGEST, SHORTEST = 8, 4, 40.0, 0.1


class Attention(nn.Module):
    """Self-attention over all positions, added to x."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.mixed = nn.MultiheadAttention(channels, HEADS, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [batch, channels, height, width] to the same shape."""
        positions = self.norm(x).flatten(2).transpose(1, 2)
        mixed, _ = self.mixed(positions, positions, positions, need_weights=False)
        return x + mixed.transpose(1, 2).reshape(x.shape)


class Block(nn.Module):
    """A residual block; the condition scales and shifts between its convolutions."""

    def __init__(self, channels: int, features: int, condition: int, has_attention: bool):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, n, eps=1e-6) for n in (channels, features))
        self.convs = nn.ModuleList(
            nn.Conv2d(n, features, 3, padding=1) for n in (channels, features)
        )
        self.across = nn.Linear(condition, 2 * features)
        self.through = nn.Conv2d(channels, features, 1) if channels != features else nn.Identity()
        self.attention = Attention(features) if has_attention else nn.Identity()

    def forward(self, x: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """Maps [batch, channels, height, width] to [batch, features, height, width]."""
        h = self.convs[0](functional.silu(self.norms[0](x)))
        scale, shift = self.across(functional.silu(vector))[:, :, None, None].chunk(2, 1)
        h = self.convs[1](functional.silu(self.norms[1](h) * (1 + scale) + shift))
        return self.attention(self.through(x) + h)


class Level(nn.Module):
    """The blocks of a resolution, down and up, and the convolutions that change resolution."""

    def __init__(self, before: int, features: int, below: int, blocks: int, *shared):
        super().__init__()
        self.smaller = nn.Conv2d(before, features, 3, stride=2) if before else None
        self.down = nn.ModuleList(Block(features, features, *shared) for _ in range(blocks))
        self.larger = nn.Conv2d(below, features, 3, padding=1) if below else None
        self.up = nn.ModuleList(Block(2 * features, features, *shared) for _ in range(blocks))


class UNet(nn.Module):
    """Maps images [batch, 1, height, width] and half log-SNR [batch] to images of that shape."""

    def __init__(self, channels: tuple[int, ...], blocks: int, attention: tuple[int, ...]):
        super().__init__()
        condition, last = 4 * channels[0], len(channels) - 1
        self.waves = condition // 2
        self.vector = nn.Sequential(
            nn.Linear(condition, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.first = nn.Conv2d(1, channels[0], 3, padding=1)
        neighbours = zip((0, *channels), channels, (*channels[1:], 0), strict=False)
        self.levels = nn.ModuleList(
            Level(*sizes, blocks, condition, i in attention) for i, sizes in enumerate(neighbours)
        )
        self.middle = Block(channels[-1], channels[-1], condition, last in attention)
        self.norm = nn.GroupNorm(GROUPS, channels[0], eps=1e-6)
        self.last = nn.Conv2d(channels[0], 1, 3, padding=1)

    def forward(self, x: torch.Tensor, half_log_snr: torch.Tensor) -> torch.Tensor:
        """Returns x's shape."""
        steps = torch.linspace(0, 1, self.waves, device=x.device)
        lengths = LONGEST * (SHORTEST / LONGEST) ** steps
        angles = 2 * math.pi * half_log_snr[:, None] / lengths
        vector = self.vector(torch.cat([angles.sin(), angles.cos()], 1))
        x, kept = self.first(x), []
        for level in self.levels:
            if level.smaller is not None:
                x = level.smaller(functional.pad(x, (0, 1, 0, 1)))
            for block in level.down:
                x = block(x, vector)
                kept.append(x)
        x = self.middle(x, vector)
        for level in reversed(self.levels):
            if level.larger is not None:
                x = level.larger(functional.interpolate(x, scale_factor=2))
            for block in level.up:
                x = block(torch.cat([x, kept.pop()], 1), vector)
        return self.last(functional.silu(self.norm(x)))


def load(network: UNet, params: dict) -> None:
    """Copies the parameters of `models.diffusion.unet.UNet`, numpy arrays, into `network`.

    Raises:
      ValueError: the shapes differ.
    """
    last = len(network.levels) - 1
    _layer(network.vector[0], params['Dense_0'])
    _layer(network.vector[2], params['Dense_1'])
    _layer(network.first, params['Conv_0'])
    _block(network.middle, params['ResidualBlock_0'])
    for i, level in enumerate(network.levels):
        if level.smaller is not None:
            _layer(level.smaller, params[f'Conv_{i}'])
        if level.larger is not None:
            _layer(level.larger, params[f'Conv_{2 * last - i}'])
        for j in range(len(level.down)):
            take = lambda leaf, j=j: leaf[j]
            _block(level.down[j], _each(take, params[f'Scan_Down_{i}']['ResidualBlock_0']))
            _block(
                level.up[j],
                _each(take, params[f'Scan_Up_{last - i}']['ResidualBlock_0']),
            )
    _layer(network.norm, params['GroupNorm_0'])
    _layer(network.last, params[f'Conv_{2 * last + 1}'])


def _each(f, tree: dict) -> dict:
    return {k: _each(f, v) if isinstance(v, dict) else f(v) for k, v in tree.items()}


def _block(block: Block, params: dict) -> None:
    for i, (norm, conv) in enumerate(zip(block.norms, block.convs, strict=True)):
        _layer(norm, params[f'GroupNorm_{i}'])
        _layer(conv, params[f'Conv_{i}'])
    _layer(block.across, params['Dense_0'])
    if 'through' in params:
        _layer(block.through, params['through'])
    if 'Attention_0' not in params:
        return
    attention, params = block.attention, params['Attention_0']
    _layer(attention.norm, params['GroupNorm_0'])
    parts = params['MultiHeadDotProductAttention_0']
    size = parts['out']['bias'].size
    to_heads = [parts[name] for name in ('query', 'key', 'value')]
    kernel = np.concatenate([part['kernel'].reshape(size, size) for part in to_heads], 1)
    _copy(attention.mixed.in_proj_weight, kernel.T)
    _copy(attention.mixed.in_proj_bias, np.concatenate([part['bias'].ravel() for part in to_heads]))
    _copy(attention.mixed.out_proj.weight, parts['out']['kernel'].reshape(size, size).T)
    _copy(attention.mixed.out_proj.bias, parts['out']['bias'])


def _layer(layer: nn.Module, params: dict) -> None:
    """Copies the parameters of a convolution, a linear map or a norm."""
    weight = params['kernel'] if 'kernel' in params else params['scale']
    if weight.ndim > 1:
        weight = np.moveaxis(weight, (-1, -2), (0, 1))  # features, inputs, window
    _copy(layer.weight, weight.reshape(*weight.shape, *[1] * (layer.weight.ndim - weight.ndim)))
    _copy(layer.bias, params['bias'])


def _copy(to: torch.Tensor, values: np.ndarray) -> None:
    if to.shape != values.shape:
        raise ValueError(f'a parameter of shape {tuple(to.shape)} cannot be {values.shape}')
    with torch.no_grad():
        to.copy_(torch.from_numpy(np.array(values)))
