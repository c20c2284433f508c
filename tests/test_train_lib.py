"""Warnings of the training loop before its first step."""

import pytest

import train_lib


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({}, ''),
        (dict(hypers__warmup_steps=15.0), ''),
        (dict(hypers__warmup_steps=30.0, hypers__decay_steps=0.0), 'warmup_steps=30'),
        (dict(hypers__kl_warmup_steps=21.0), 'config.hypers.kl_warmup_steps=21'),
        (dict(train__log_every=40), 'no step of training is logged'),
        (dict(hypers__decay_steps=10.0, hypers__learning_rate_end=0.0), 'rate is 0 from step 10'),
    ],
)
def test_a_schedule_that_does_not_fit_the_steps_is_said_once(tiny_run, caplog, changes, words):
    config = tiny_run(**changes).config  # of 20 steps
    train_lib.warn_of_settings([config, config], step=0)
    messages = [message for message in caplog.messages if 'steps_per_dispatch' not in message]
    assert len(messages) == bool(words)
    assert words in ''.join(messages)
