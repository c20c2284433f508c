"""The initial State: what it is computed from, and when."""

import jax
import numpy as np
import pytest

from atelier.data import items
from atelier.run import initialization
from tests.support import assembled


@pytest.mark.slow
def test_the_first_examples_are_an_argument_of_the_compiled_function(tmp_path):
    """The counts of n-grams are computed by the program, not by its compiler."""
    run = assembled(tmp_path, 'markov', 'lines,debug')
    init = initialization.initializer(run, run.data.preprocess)
    examples = initialization.first_examples(run)
    traced = jax.make_jaxpr(init)(*initialization.arguments(run), examples)
    largest = max((np.size(each) for each in traced.consts), default=0)
    assert largest < len(examples['x']) < examples['x'].size

    counts = initialization.initial_state(run).params['model']['0']['counts']
    assert counts.sum() == items.is_scored(examples['x']).sum()
