"""One arm of a comparison in a process of its own, which `benchmarks.workers` starts.

    python -m MODULE FUNCTION SETTINGS

runs a module that ends in `worker.main(FUNCTION, ...)`. When it is imported, it says that it is
ready. FUNCTION(**SETTINGS), where SETTINGS is a JSON object, makes the arm at the first line 'go'
on standard input; this line and each further one are answered by a line of JSON on standard output
with the seconds of the call and its losses. What libraries print goes to standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import IO, NamedTuple

import numpy as np


class Arm(NamedTuple):
    """What FUNCTION returns.

    call: does one repeat and waits for it; returns its losses, an array of any shape, or None.
    facts: what the parent prints or computes with, as JSON.
    """

    call: Callable[[], np.ndarray | None]
    facts: dict = {}


def serve(make: Callable[..., Arm], settings: str, orders: IO[str], answers: IO[str]) -> None:
    """Answers every order until there are no more."""
    _say(answers, ready=True)
    arm = None
    for _ in orders:
        start = time.perf_counter()
        if arm is None:  # the first call makes the arm, so that making two arms never overlaps
            arm = make(**json.loads(settings))
            facts = arm.facts
        losses = arm.call()
        seconds = time.perf_counter() - start
        losses = None if losses is None else np.asarray(losses, np.float64).tolist()
        _say(answers, seconds=seconds, losses=losses, facts=facts)


def _say(answers: IO[str], **answer) -> None:
    answers.write(json.dumps(answer) + '\n')
    answers.flush()


def main(*functions: Callable[..., Arm]) -> None:
    """Serves the function that the first argument names, on the standard streams."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    name, settings = sys.argv[1:]
    serve({each.__name__: each for each in functions}[name], settings, sys.stdin, answers)
