"""Character-level language model: a recurrent network (GRU; Cho et al. 2014).

    python main.py --config=configs/char_gru.py
    python main.py --config=configs/char_gru.py --config.data.path=tinyshakespeare.txt \\
        --config.data.split_by=order

On the last tenth of the help topics of Python 3.11 (the language reference that `help()` shows),
the NLL is 1.252 +- 0.017 nats per character (one seed; +- is the standard error over windows).
This is the exact NLL of a model whose context is at most the 63 characters before. Takes less than
two minutes of CPU time, which is one minute on two cores. On tiny Shakespeare, 2,400 steps give
1.675 +- 0.007 in four minutes of CPU time (`--config.train.steps=2400
--config.hypers.decay_steps=2400 --config.train.evaluate_every=800`).

    python main.py --config=configs/char_gru.py:lines

On names of characters, items that end, the exact NLL is 17.77 +- 0.31 nats per name, 0.636 +- 0.011
per symbol (one seed; +- is the standard error over names). Takes two minutes of CPU time.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import char_lm
from configs.shared import common, needs, text_models
from models.autoregressive.gru import GRU, gru_parts
from models.autoregressive.language_model import language_model


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config: `configs/char_lm.py` with another network."""
    config = char_lm.get_config(argument).unlock()
    config.model = ConfigDict(
        dict(
            width=256,  # units of a layer
            layers=1,  # number of GRU layers
        )
    )
    config.hypers.weight_decay = 0.0
    # optimizer: adam | muon, which is worse by 0.13 nats per character
    config.train.optimizer = 'adam'
    _, debug = common.parse_argument(argument, default='text')
    if debug:
        config.model.width = 16
    else:
        config.hypers.decay_steps = 800.0
        config.train.update(steps=800, evaluate_every=200, checkpoint_every=200)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    needs.text(config, spec)
    model = config.model
    net = GRU(spec.levels, model.width, model.layers, common.precision(config))
    return language_model(gru_parts(net, spec), text_models.sampling_options(config))
