"""Helpers that stop and resume runs, for tests of any family."""

import contextlib
import json

import jax
import numpy as np
import pytest

import train_lib
from atelier.run import restore
from atelier.run.checkpoint import Checkpoints
from atelier.training.stop_signals import Stopped

STEPS = 40
SETTINGS = dict(
    train__steps=STEPS,
    train__evaluate_every=10,
    train__checkpoint_every=5,
    hypers__decay_steps=0.0,
)


def train(run, stop_after=None):
    """Trains to the end, or to the first checkpoint at or after step `stop_after`."""
    with contextlib.ExitStack() as stack:
        if stop_after is not None:
            stack.enter_context(interrupted_after(stop_after))
            stack.enter_context(pytest.raises(Stopped))
        train_lib.train(run, jax.devices()[:1])


@contextlib.contextmanager
def interrupted_after(step):
    """Raises `Stopped`, as a signal would, after the first checkpoint at or after `step`."""
    plain = Checkpoints.save

    def save(self, state, memory, *rest):
        plain(self, state, memory, *rest)
        if int(state.step) >= step:
            self.wait()
            raise Stopped(143)

    Checkpoints.save = save
    try:
        yield
    finally:
        Checkpoints.save = plain


def outcome(run):
    """What must agree: last and best State, the checkpoint's memory, and metrics without times."""
    checkpoints = Checkpoints(run.folder / 'checkpoints')
    with contextlib.closing(checkpoints):
        like = restore.initial_state(run)
        last, memory = checkpoints.restore_newest(like)
        best, _ = checkpoints.restore(memory.best_step, like)
    lines = []
    for line in (run.folder / 'metrics.jsonl').read_text().splitlines():
        row = json.loads(line)
        lines.append({name: v for name, v in row.items() if not name.startswith('time/')})
    return last, best, memory, lines


def assert_same(one, other):
    for a, b in zip(one[:2], other[:2], strict=True):
        jax.tree.map(np.testing.assert_array_equal, a, b)
    assert one[2:] == other[2:]
