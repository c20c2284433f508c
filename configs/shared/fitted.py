"""Shared by configs of models fitted without gradients: no optimizer, all data at once."""

from ml_collections import ConfigDict

from configs.shared import common


def begin(argument: str | None, default: str = 'digits') -> tuple[ConfigDict, bool]:
    """Returns `common.begin` without an optimizer; the minibatch is the whole training split.

    For smaller minibatches, `config.model.forgetting` sets how their statistics are averaged.
    """
    config, debug = common.begin(argument, default)
    config.hypers = ConfigDict(dict(ema_half_life=0.0))
    del config.train['optimizer'], config.train['precision']
    config.train.batch_size = 0
    return config, debug


def fit_once(config: ConfigDict) -> None:
    """Sets `config` to one step on all examples, as a closed-form solution needs."""
    cadences = ('steps', 'steps_per_dispatch', 'evaluate_every', 'checkpoint_every')
    config.train.update(dict.fromkeys(cadences, 1))
