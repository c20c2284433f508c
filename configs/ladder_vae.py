"""Ladder VAE (Sonderby et al. 2016): top-down inference, warm-up, free bits.

    python main.py --config=configs/ladder_vae.py

Results on the test split of the digits (17 grey levels), mean and standard deviation over 3 seeds:
-ELBO 92.1 +- 0.6 nats, NLL 89.2 +- 0.5 nats (importance-weighted, k = 500), 2.01 bits per
dimension. The KL is 6.8 +- 0.6 nats for z_1 and 2.2 +- 0.1 nats for z_2. This is no better than
bottom-up inference with the same two layers (configs/hierarchical_vae.py). Takes about 25 seconds
of CPU time. MNIST (`:mnist`) is not measured yet. It uses the paper's five layers without the
paper's batch norm; the paper reports 81.74 nats.
"""

from ml_collections import ConfigDict

from configs import hierarchical_vae
from configs.shared import common

build = hierarchical_vae.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, folder, ..."""
    name, debug = common.parse_argument(argument, default='digits')
    config = hierarchical_vae.get_config(argument)
    config.model.inference = 'top_down'
    config.hypers.free_nats = 1.0
    config.hypers.kl_warmup_steps = 5.0 if debug else config.train.steps / 5
    if name != 'digits' and not debug:
        config.model.update(
            latent_dims=(64, 32, 16, 8, 4),
            hidden_sizes=(512, 256, 128, 64, 32),
            activation='leaky_relu',
        )
    return config
