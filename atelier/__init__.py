"""Atelier from Python and from notebooks.

    import atelier
    from atelier.core.abilities import Codes

    run = atelier.load('runs/vae-digits')        # run.config, run.family, run.data, run.state
    x = atelier.sample(run, 16)                  # [16, 8, 8, 1]
    evaluation = atelier.evaluate(run)           # the contents of evaluation.json
    atelier.score(run, x)['log_prob_nats']       # of examples of your own; also embed, classify
    codes = atelier.over_split(run, run.family.ability(Codes).encode, 'test')

    run = atelier.train(config, build, 'runs/mine')   # your own family

The functions load on first use: `import atelier` alone does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.door import (
        TrainedRun,
        classify,
        common_config,
        embed,
        evaluate,
        load,
        over_split,
        reconstruct,
        sample,
        score,
        train,
    )

__version__ = '0.1.0'
__all__ = [
    'TrainedRun',
    'classify',
    'common_config',
    'embed',
    'evaluate',
    'load',
    'over_split',
    'reconstruct',
    'sample',
    'score',
    'train',
]


def __getattr__(name: str):
    """Loads the functions of `atelier.door` on first use."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('atelier.door'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
