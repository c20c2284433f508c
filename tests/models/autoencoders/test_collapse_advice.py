"""A collapsed posterior is reported, with advice that names an existing config field."""

import re

import pytest

import train_lib
from atelier import checkout
from atelier.core import game
from atelier.data import dataset
from models.autoencoders.collapse_advice import PATIENCE, adviser

QUIET = [{'kl_nats': 0.01}]


def test_a_collapse_needs_several_validations_in_a_row():
    advise = adviser('do this')
    assert advise(QUIET * (PATIENCE - 1)) == {}
    assert advise([*QUIET, {'kl_nats': 0.2}, *QUIET]) == {}
    (advice,) = advise([{'kl_nats': 5.0}, *QUIET * PATIENCE]).values()
    assert 'KL to the prior is 0.01 nats' in advice
    assert advice.endswith('in a new --workdir, do this')


def test_the_advice_names_the_collapsed_layer():
    """A lower layer's bottom-up term uses one sample; it may be negative if informative."""
    terms = {'kl_nats': 20.0, 'kl_z1_nats': 19.99, 'kl_z2_nats': 0.01}
    advice = adviser('do this', 2)([terms] * PATIENCE)
    assert list(advice) == ['z2 has collapsed']
    assert 'so z2 carries no information about x; in a new' in advice['z2 has collapsed']
    assert adviser('do this', 2)([{**terms, 'kl_z2_nats': 1.0}] * PATIENCE) == {}


@pytest.mark.slow
def test_training_reports_a_collapse(tiny_run, caplog):
    """With the KL weighted a thousandfold."""
    run = tiny_run(hypers__beta=1000.0, train__steps=40)
    train_lib.train(run)
    assert 'the posterior has collapsed' in caplog.text


@pytest.mark.parametrize('name', ['vae', 'conv_vae', 'cvae', 'iwae', 'beta_tc_vae', 'ladder_vae'])
def test_advised_settings_are_fields_of_the_config(name):
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/{name}.py:debug')
    config = config_file.config()
    family = config_file.module().build(config, dataset.load(config).spec)
    (advice,) = game.advice(family.turns, QUIET * PATIENCE).values()
    field_paths = re.findall(r'--config\.([\w.]+)', advice)
    assert field_paths
    for path in field_paths:
        group, field = path.split('.')
        assert field in config[group]
