"""Shared by configs of models that are fitted outright: no optimizer, all data at once."""

from ml_collections import ConfigDict

from configs.shared import common


def begin(argument: str | None, default: str = 'digits') -> tuple[ConfigDict, bool]:
    """`common.begin` without an optimizer; a minibatch is all of the training split.

    `config.model.forgetting` says how smaller minibatches add up.
    """
    config, debug = common.begin(argument, default)
    config.hypers = ConfigDict(dict(ema_half_life=0.0))
    del config.train['optimizer'], config.train['precision']
    config.train.batch_size = 0
    return config, debug


def fit_once(config: ConfigDict) -> None:
    """Settings of a closed form: one step on all examples."""
    cadences = ('steps', 'steps_per_dispatch', 'evaluate_every', 'checkpoint_every')
    config.train.update(dict.fromkeys(cadences, 1))
