"""Probabilistic PCA (Tipping and Bishop 1999): a linear VAE in closed form.

    python main.py --config=configs/ppca.py

On the test split of the dequantised digits, the NLL with 16 latent dimensions is 157.0 +- 0.7 nats
(+- is the standard error over examples). It is exact for the density and an upper bound for the
grey levels. Takes twenty seconds on two CPU cores, mostly for the diagnostics of the codes.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from configs.shared import common, fitted, needs
from models.classical.ppca import PPCAParts, ppca


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, ..."""
    config, debug = fitted.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=16,  # dimensions of z
            variance_floor=1e-6,  # smallest noise variance, for normalized x
            # exponent of the decay of a minibatch's weight; 1: mean of all; 0: the last one only
            forgetting=1.0,
        )
    )
    fitted.fit_once(config)
    config.train.best_metric = 'log_prob_nats'
    if config.data.name in ('digits', 'mnist'):
        config.data.dequantize = 'uniform'
    if config.data.name in POINTS:
        config.model.latent_dim = 1
    if debug:
        common.shrink(config)
        config.model.latent_dim = min(config.model.latent_dim, 2)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    needs.real_values(config, spec)
    model = config.model
    return ppca(PPCAParts(model.latent_dim, spec, model.variance_floor, model.forgetting))
