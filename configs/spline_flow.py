"""Neural spline flow (Durkan et al. 2019): rational-quadratic couplings.

    python main.py --config=configs/spline_flow.py

Results on the test split, seed 0 (+- is the standard error over examples). On points in the plane,
the NLL is 2.841 +- 0.010 nats for 8 Gaussians (`:eight_gaussians`; entropy: 2.833) and 3.490 +-
0.002 nats for `:checkerboard` (entropy: 3.466), in two to ten minutes on two CPU cores shared with
other work. On dequantised digits it is 91.55 +- 0.48 nats, in less than two minutes. MNIST is not
measured.
"""

from ml_collections import ConfigDict

from atelier.data.dataset import POINTS
from configs import realnvp
from configs.shared import common

build = realnvp.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config: `configs/realnvp.py` with splines."""
    config = realnvp.get_config(argument).unlock()
    config.model.transform = 'spline'
    _, debug = common.parse_argument(argument, default='digits')
    if config.data.name in POINTS and not debug:
        config.model.steps = 3
    if config.data.name == 'digits' and not debug:
        config.model.hidden_sizes = (32,)
        config.hypers.decay_steps = 500.0
        config.train.update(steps=500, checkpoint_every=100)
    return config.lock()
