"""beta-TC-VAE (Chen et al. 2018): a VAE that penalizes dependence of latent dimensions.

    python main.py --config=configs/beta_tc_vae.py

Test split of the digits, 17 grey levels as they are, mean and standard deviation over 3 seeds:
-ELBO 94.1 +- 0.1 nats, NLL 91.0 +- 0.1 nats (importance-weighted, k = 500), with 4 of 16 latent
dimensions in use. About 20 seconds on two CPU cores.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import vae as plain
from models.autoencoders.vae_objectives import total_correlation_bound


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/beta_tc_vae.py:DATA[,debug]`, DATA any source."""
    config = plain.get_config(argument)
    with config.unlocked():
        for name in ('kl_warmup_steps', 'free_nats'):
            del config.hypers[name]
    config.hypers.beta = 6.0  # weight of the total correlation; 1 is the evidence lower bound
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """The beta-TC-VAE that `config` describes, for data as `spec` says."""
    return plain.assemble(config, spec, total_correlation_bound(), **plain.bodies(config))
