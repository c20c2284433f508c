"""n-gram model with interpolated counts (Witten and Bell 1991).

    python main.py --config=configs/markov.py
    python main.py --config=configs/markov.py --config.data.path=tinyshakespeare.txt \\
        --config.data.split_by=order --config.model.order=4

On the last tenth of tiny Shakespeare, the exact NLL given four characters of context is 1.669 +-
0.009 nats per character (+- is the standard error over windows; the fit is deterministic). On the
help topics of Python 3.11 (the language reference that `help()` shows) it is 1.320 +- 0.020. Takes
twenty seconds on two CPU cores shared with other work.

    python main.py --config=configs/markov.py:lines

On names of characters, items that end, it is 19.02 +- 0.31 nats per name, given six characters
(20.50 +- 0.30 given four), and 0.681 per symbol. Takes less than a minute of CPU time. The counts
are of the training names alone; `--config.data.train_on_valid=True` counts those of validation,
which chose the six characters, too.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError
from configs.shared import common, fitted, needs, text_models
from models.autoregressive.ngram import markov


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is text, lines, molecules or tunes."""
    config, debug = fitted.begin(argument, default='text')
    config.train.batch_size = 1000
    text_models.add_data(config)
    if debug:
        common.shrink(config)
    config.model = ConfigDict(
        dict(
            # number of characters of context; of names of characters, 6 is better than 4 and 8 on
            # validation
            order=6 if config.data.name == 'lines' else 4,
        )
    )
    fitted.fit_once(config)
    # number of pieces of the training text, or of rows of items, one per row of the batch
    config.data.num_pieces = config.train.batch_size
    if config.data.name == 'text':
        # fraction of the training part for validation; 0: training has the validation text too
        config.data.valid_share = 0.0
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`.

    Raises:
      UserError: the batch does not hold all pieces of the training text.
    """
    needs.text(config, spec)
    pieces = config.data.num_pieces
    if pieces != config.train.batch_size:
        raise UserError(
            f'config.data.num_pieces={pieces} and config.train.batch_size='
            f'{config.train.batch_size}: set both to the same number, because all pieces are '
            'counted at once'
        )
    return markov(spec, config.model.order, text_models.sampling_options(config))
