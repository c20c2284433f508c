"""How many steps make a dispatch."""

import math


def dispatch_length(config, start: int = 0, most: float = math.inf) -> int:
    """Steps per dispatch: the largest number that divides the steps left and every cadence.

    `train.steps_per_dispatch` is its ceiling, and `most`.
    """
    common = math.gcd(config.steps, config.evaluate_every, config.checkpoint_every, start)
    ceiling = min(config.steps_per_dispatch, max(1, most))
    return max(d for d in range(1, int(ceiling) + 1) if common % d == 0)


def suggest_cadences(config, start: int = 0) -> str | None:
    """In words, nearby cadences that make dispatches longer; None where they are long enough."""
    names = ('steps', 'evaluate_every', 'checkpoint_every')
    length, ceiling = dispatch_length(config, start), config.steps_per_dispatch
    best = min(ceiling, *(config[name] for name in names))
    if 2 * length > best:
        return None
    near = {name: best * max(1, round(config[name] / best)) for name in names}
    changes = [f'train.{name}={near[name]}' for name in names if near[name] != config[name]]
    short = f'a dispatch has only {length} of at most {best} steps'
    if start % best:
        return f'{short}, because the run continues from step {start}'
    return f'{short}; {", ".join(changes)} would give it all'
