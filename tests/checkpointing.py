"""A small State, and checkpoints of it without a run."""

import contextlib

import numpy as np

from atelier.core.game import State
from atelier.run.checkpoint import Checkpoints, Memory


def state_of(step, size=4):
    """A State of few leaves, whose values depend on the step."""
    weights = {'model': {'kernel': np.full((size, 2), step, np.float32)}}
    return State(
        step=np.int32(step),
        key=np.zeros(2, np.uint32),
        params=weights,
        extra={'model': {}},
        opt={'model': (np.int32(0), ())},
        ema=weights,
        hypers={'beta': np.float32(1)},
    )


def saved(folder, *steps, run_id=None, size=4):
    """Saves these steps in `folder`, with the best step 0, as one process."""
    with contextlib.closing(Checkpoints(folder, run_id=run_id)) as checkpoints:
        for step in steps:
            checkpoints.save(state_of(step, size), Memory())
    return folder
