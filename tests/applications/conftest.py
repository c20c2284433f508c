"""What the modes need of a run without training it: one device, and its first weights."""

import jax
import pytest

import states


@pytest.fixture
def untrained(monkeypatch):
    """Every run has the weights that it would begin with, or none, on one device."""
    one = jax.devices()[:1]
    monkeypatch.setattr(jax, 'devices', lambda *arguments: one)
    monkeypatch.setattr(
        states, 'load_state', lambda run: (states.initial_state(run), 'first weights')
    )
