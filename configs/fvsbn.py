"""Fully visible sigmoid belief network (Frey 1998): autoregressive, no hidden layer.

    python main.py --config=configs/fvsbn.py

Each dimension is regressed on those before it. Test split of the digits with its 17 grey levels:
96.96 +- 0.09 nats over 3 seeds, exact; about ten seconds on two CPU cores. On MNIST (`:mnist`,
dynamically binarised) 96.9 +- 0.2 (one seed, +- over the examples), four minutes; published:
96.58.
"""

from ml_collections import ConfigDict

from configs import made
from configs.shared import common

build = made.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config: `configs/made.py` without a hidden layer."""
    config = made.get_config(argument).unlock()
    config.model.hidden_sizes = ()
    _, debug = common.parse_argument(argument, default='digits')
    if config.data.name == 'mnist' and not debug:  # 50 epochs, as for the published number
        config.hypers.update(learning_rate=5e-3, decay_steps=21_600.0)  # logits begin at 0
        config.train.update(
            steps=21_600, batch_size=128, evaluate_every=2400, checkpoint_every=2400
        )
    return config.lock()
