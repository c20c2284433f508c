"""Fully visible sigmoid belief network (Frey 1998): autoregressive, no hidden layer.

    python main.py --config=configs/fvsbn.py

Each dimension is regressed on all dimensions before it. On the test split of the digits (17 grey
levels), the exact NLL is 96.96 +- 0.09 nats over 3 seeds, in about ten seconds on two CPU cores. On
dynamically binarised MNIST (`:mnist`) it is 96.9 +- 0.2 nats (one seed; +- is the standard error
over examples), in four minutes; the published value is 96.58.
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
    if config.data.name == 'mnist' and not debug:  # 50 epochs, as for the published value
        config.hypers.update(learning_rate=5e-3, decay_steps=21_600.0)  # rate: 5 times the default
        config.train.update(
            steps=21_600, batch_size=128, evaluate_every=2400, checkpoint_every=2400
        )
    return config.lock()
