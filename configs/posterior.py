"""Posterior of a simulator's parameters given its data: a conditional MAF of splines.

    python main.py --config=configs/posterior.py
    python main.py --config=configs/posterior.py:two_moons_posterior
    python main.py --mode=calibrate --workdir=runs/posterior-gaussian_linear

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
