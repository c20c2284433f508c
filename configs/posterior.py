"""Posterior of a simulator's parameters given its data: a conditional MAF of splines.

    python main.py --config=configs/posterior.py
    python main.py --config=configs/posterior.py:two_moons_posterior
    python main.py --mode=calibrate --workdir=runs/posterior-gaussian_linear

This is neural posterior estimation (Papamakarios and Murray 2016; Greenberg et al. 2019) with one
round of simulations: x are parameters drawn from the prior, and the condition is the data that the
simulator drew from them. Results on the test split, seed 0 (+- is the standard error over
examples), beside the NLL of the known posterior for the same examples: 1.250 +- 0.013 nats for
`gaussian_linear` (known: 1.229) and -3.615 +- 0.008 nats for `:two_moons_posterior` (known:
-3.796). Takes two to four minutes on two CPU cores shared with other work.
"""

from ml_collections import ConfigDict

from configs import maf
from configs.shared import common

build = maf.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of real values with a condition."""
    name, debug = common.parse_argument(argument, default='gaussian_linear')
    config = maf.get_config(f'{name},debug' if debug else name).unlock()
    config.model.update(is_conditional=True, transform='spline')
    if not debug:
        config.model.update(hidden_sizes=(64, 64), steps=5, bins=8)
        config.hypers.decay_steps = 3000.0
        config.train.steps = 3000
    return config.lock()
