"""Marks of parameters: which proofs the plain line leaves out, and which also `.ci/run`."""

from collections.abc import Container, Iterable

import pytest

# a proof that is made for others of its kind, and repeated for one config or program more
EXHAUSTIVE = (pytest.mark.slow, pytest.mark.exhaustive)


def exhaustive_but(kept: Container[str], names: Iterable[str], quick: Container[str] = ()) -> list:
    """Names as parameters: the quick ones without a mark, the kept ones slow, others exhaustive."""
    rare = {name: pytest.mark.slow if name in kept else EXHAUSTIVE for name in names}
    return [pytest.param(name, marks=() if name in quick else rare[name]) for name in rare]
