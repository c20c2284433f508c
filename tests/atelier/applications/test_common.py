"""Options of the modes that count things: refused if no memory holds as many."""

import pytest

from atelier.applications import _common, load
from atelier.errors import UserError


@pytest.mark.parametrize(
    ('mode', 'options'),
    [
        ('sample', dict(num_samples=10**12)),
        ('sample', dict(num_samples=2**31 - 1)),
        ('samplers', dict(num_samples=2**31 - 1)),
        ('trajectory', dict(num_samples=2**20, num_points=2**20)),
        ('interpolate', dict(num_pairs=2**64)),
        ('interpolate', dict(num_points=2**31 - 1)),
        ('latent_map', dict(num_points=2**30)),
        ('inpaint', dict(num_completions=2**31 - 1)),
        ('inpaint', dict(num_images=2**64)),
        ('reconstruct', dict(num_images=2**64)),
        ('super_resolve', dict(num_samples=2**31 - 1)),
    ],
)
def test_as_many_as_memory_does_not_hold(vae, mode, options):
    """The line names the option and its value, before a checkpoint is read."""
    with pytest.raises(UserError, match='|'.join(f'--{name}={n}' for name, n in options.items())):
        load(mode).apply(vae, **options)


def test_small_options_pass(vae):
    """The limit is the memory of the device."""
    _common.at_least(1, num_samples=1)
    _common.check_outputs(vae, num_samples=1000, num_points=100)
