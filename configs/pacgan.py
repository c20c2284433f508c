"""PacGAN (Lin et al. 2018): the discriminator judges packs of points.

    python main.py --config=configs/pacgan.py

The data are the 5 x 5 grid of Gaussians. The paper reports (mean and standard error over 10 seeds)
23.8 +- 0.7 modes of 25 and a reverse KL of 0.13 +- 0.04 nats. A run of this config takes hours on
two CPU cores and is not measured yet. A reduced setting (docs/results.md), also over 10 seeds,
takes a minute per run on two CPU cores. It gives 22.7 +- 0.7 modes and 0.52 +- 0.05 nats, and
without packs 18.6 +- 0.8 modes and 0.95 +- 0.06 nats.
"""

from ml_collections import ConfigDict

from configs import gan
from configs.shared import common

build = gan.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is a mixture (grid, ring) or any other source."""
    name, debug = common.parse_argument(argument, default='grid')
    config = gan.get_config(f'{name},debug' if debug else name)
    config.model.packing = 2  # examples per pack, 1 (no packs) to 4 in the paper
    config.hypers.update(
        learning_rate=1e-4, learning_rate_generator=1e-4, adam_beta1=0.8, ema_half_life=0.0
    )
    if not debug:
        config.model.update(
            latent_dim=2,
            hidden_sizes=(400, 400, 400, 400),
            discriminator_hidden_sizes=(200, 200, 200),
            maxout_pieces=5,
            init_std=0.02,
        )
        config.train.update(
            steps=400_000,
            # examples in 104 packs (paper: 100), a whole number on each of 8 devices
            batch_size=208,
            steps_per_dispatch=1000,
            log_every=100,
            evaluate_every=20_000,
            checkpoint_every=20_000,
        )
    return config
