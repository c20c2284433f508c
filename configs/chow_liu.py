"""Chow-Liu tree (1968): the maximum-likelihood tree-structured model.

    python main.py --config=configs/chow_liu.py

Each dimension depends on one other dimension. On the test split of the digits (17 grey levels), the
exact NLL is 97.2 +- 0.5 nats (+- is the standard error over examples; the fit is deterministic).
Takes seven seconds on two CPU cores. On static MNIST (`:static_mnist`) the NLL is 134.99 nats, as
published.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, fitted
from models.classical.chow_liu_tree import ChowLiuParts, chow_liu


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source with levels: digits, mnist, ..."""
    config, debug = fitted.begin(argument)
    config.model = ConfigDict(
        dict(
            # pseudo-examples added to each pair of dimensions, spread evenly over its joint levels
            pseudo_count=1.0,
            # exponent of the decay of a minibatch's weight; 1: mean of all; 0: the last one only
            forgetting=1.0,
        )
    )
    fitted.fit_once(config)
    config.train.best_metric = 'log_prob_nats'
    if config.data.name == 'digits':
        config.model.pseudo_count = 100.0  # a pair has 289 joint levels, for 1,000 examples only
    if config.data.name == 'mnist':
        config.data.binarize = 'threshold'
    if debug:
        common.shrink(config)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the tree of `config` for data described by `spec`."""
    return chow_liu(ChowLiuParts(spec, config.model.pseudo_count, config.model.forgetting))
