"""Tokens of another run have no order: the defaults of configs treat them as categories."""

import jax
import jax.numpy as jnp
import pytest
from support import recipe_and_config

from atelier import checkout
from atelier.data.dataset import Spec
from configs.shared import tokens
from models.autoregressive.raster_scan import check_one_hot

TOKENS = Spec((2, 2, 1), 13, 10)


def config_of(name, argument, **changes):
    return recipe_and_config(argument, f'{checkout.ROOT}/configs/{name}.py', **changes)


@pytest.mark.parametrize(
    ('argument', 'spec', 'observation', 'size'),
    [
        ('codes,debug', TOKENS, 'auto', 13),
        ('codes,debug', TOKENS, 'binomial', 1),
        ('codes,debug', Spec((2, 2, 4), None, 10), 'auto', 2),  # a Gaussian of draws
        ('digits,debug', TOKENS, 'auto', 6),  # two logistic distributions
    ],
)
def test_auto_is_categorical_for_tokens_alone(argument, spec, observation, size):
    _, config = config_of('vae', argument)
    with config.unlocked():
        config.model.observation = observation
        config.data.codes = 'tokens'
    assert tokens.observation_of(config, spec).size == size
    assert tokens.are_tokens(config, spec) == (spec is TOKENS and argument == 'codes,debug')


@pytest.mark.parametrize('name', ['pixelcnn', 'gated_pixelcnn'])
@pytest.mark.parametrize(('argument', 'features'), [('codes,debug', 13), ('digits,debug', 1)])
def test_a_pixelcnn_reads_the_indicators_of_tokens(name, argument, features):
    """The first convolution has as many inputs as there are tokens."""
    file, config = config_of(name, argument)
    batch = {'x': jnp.zeros((1, 2, 2, 1))}
    weights = jax.eval_shape(file.build(config, TOKENS).init, jax.random.PRNGKey(0), batch)
    inputs = {leaf.shape[-2] for leaf in jax.tree.leaves(weights.params) if leaf.ndim > 1}
    assert features in inputs
    assert (13 in inputs) == (argument == 'codes,debug')


def test_indicators_need_one_channel():
    with pytest.raises(ValueError, match='one channel'):
        check_one_hot(Spec((2, 2, 3), 8, None), True)
    check_one_hot(Spec((2, 2, 3), 8, None), False)


OF_NUMBERS = {  # settings of models of numbers; each kind has one place that refuses
    'vae': dict(model__observation='gaussian'),
    'made': dict(model__observation='binomial'),
    **dict.fromkeys(
        [
            *('autoencoder', 'classifier', 'diffusion', 'dit', 'gan', 'maf', 'ppca', 'vqgan'),
            'super_resolution',
        ],
        {},
    ),
    'mixture': dict(model__components='gaussian'),
}


@pytest.mark.parametrize('name', OF_NUMBERS)
def test_a_model_of_numbers_refuses_tokens_that_nobody_asked_for(name, complaint):
    """The message names the setting with which it takes the vectors of the codes."""
    argument = 'digits,debug' if name in ('vqgan', 'super_resolution') else 'codes,debug'
    file, config = config_of(name, argument, data__run='PARENT', **OF_NUMBERS[name])
    with config.unlocked():
        config.data.name = 'codes'
    spec = Spec((4, 4, 1), 13, 10)
    line = complaint(file.build, config, spec)
    assert 'codes of PARENT are tokens' in line
    assert 'give --config.data.codes=means' in line


@pytest.mark.parametrize('name', ['vae', 'diffusion', 'gan'])
def test_a_model_of_numbers_takes_tokens_that_were_asked_for(name):
    """And those of a vector, of course."""
    for codes, spec in (('tokens', TOKENS), ('auto', Spec((2, 2, 4), None, 10))):
        file, config = config_of(name, 'codes,debug', data__codes=codes)
        assert file.build(config, spec).turns


def test_a_model_of_categories_takes_tokens():
    for name in ('pixel_transformer', 'chow_liu', 'mixture', 'naive_bayes', 'vae', 'vq_vae'):
        file, config = config_of(name, 'codes,debug')
        assert file.build(config, Spec((4, 4, 1), 13, 10)).turns, name
