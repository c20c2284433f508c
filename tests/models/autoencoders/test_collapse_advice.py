"""A collapsed posterior is reported, with advice that names an existing config field."""

import re

import pytest

import train_lib
from atelier import checkout
from atelier.core import game
from atelier.data import dataset
from models.autoencoders.collapse_advice import PATIENCE, adviser

QUIET = [{'kl_nats': 0.01}]


def test_it_takes_several_validations_in_a_row():
    advise = adviser('do this')
    assert advise(QUIET * (PATIENCE - 1)) == {}
    assert advise([*QUIET, {'kl_nats': 0.2}, *QUIET]) == {}
    (said,) = advise([{'kl_nats': 5.0}, *QUIET * PATIENCE]).values()
    assert 'KL to the prior is 0.01 nats' in said
    assert said.endswith('in a new --workdir, do this')


def test_a_layer_that_says_nothing_is_told_by_its_name():
    """A lower layer's bottom-up term uses one sample; it may be negative if informative."""
    terms = {'kl_nats': 20.0, 'kl_z1_nats': 19.99, 'kl_z2_nats': 0.01}
    told = adviser('do this', 2)([terms] * PATIENCE)
    assert list(told) == ['z2 has collapsed']
    assert 'so z2 carries no information about x; in a new' in told['z2 has collapsed']
    assert adviser('do this', 2)([{**terms, 'kl_z2_nats': 1.0}] * PATIENCE) == {}


@pytest.mark.slow
def test_a_training_that_collapses_says_so(tiny_run, caplog):
    """With the KL weighted a thousandfold."""
    run = tiny_run(hypers__beta=1000.0, train__steps=40)
    train_lib.train(run)
    assert 'the posterior has collapsed' in caplog.text


@pytest.mark.parametrize('name', ['vae', 'conv_vae', 'cvae', 'iwae', 'beta_tc_vae', 'ladder_vae'])
def test_its_cures_are_fields_of_the_config(name):
    which = checkout.config_file(f'{checkout.ROOT}/configs/{name}.py:debug')
    config = which.config()
    family = which.module().build(config, dataset.load(config).spec)
    (said,) = game.advice(family.turns, QUIET * PATIENCE).values()
    named = re.findall(r'--config\.([\w.]+)', said)
    assert named
    for path in named:
        group, field = path.split('.')
        assert field in config[group]
