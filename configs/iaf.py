"""Inverse autoregressive flow (Kingma et al. 2016): samples in one pass.

    python main.py --config=configs/iaf.py

On the test split of the dequantised digits, the NLL is 104.18 +- 0.68 nats (one seed; +- is the
standard error over examples). It is exact for the density and an upper bound for the grey levels.
Takes 45 seconds on two CPU cores, because log p(x) takes 64 passes per layer. Half of the time is
compilation. MNIST (`:mnist`) is not measured.
"""

from ml_collections import ConfigDict

from configs import maf
from configs.shared import common

build = maf.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config: `configs/maf.py` with inverted layers."""
    config = maf.get_config(argument).unlock()
    config.model.direction = 'samples'
    _, debug = common.parse_argument(argument, default='digits')
    if config.data.name == 'digits' and not debug:  # log p(x) takes 64 passes per layer
        config.model.update(hidden_sizes=(64,), steps=2)
    return config.lock()
