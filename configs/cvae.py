"""Conditional VAE (Sohn et al. 2015): a VAE of p(x | label).

    python main.py --config=configs/cvae.py
    python main.py --mode=sample --workdir=runs/cvae-digits --labels=all

Encoder and decoder get the label as input. Results on the test split of the digits (17 grey
levels), mean and standard deviation over 3 seeds: -ELBO 89.3 +- 0.6 nats, NLL 85.8 +- 0.4 nats
(importance-weighted, k = 500), both of p(x | label). Without the label (configs/vae.py) they are
92.0 and 88.3 nats. Takes about 20 seconds on two CPU cores.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import vae as plain
from configs.shared import needs
from models.autoencoders.vae_objectives import evidence_bound


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source with labels."""
    return plain.get_config(argument)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the conditional VAE of `config` for data described by `spec`."""
    needs.condition(config, spec, 'use configs/vae.py')
    objective = evidence_bound()
    return plain.assemble(config, spec, objective, **plain.bodies(config), is_conditional=True)
