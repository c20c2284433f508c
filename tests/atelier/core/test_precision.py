"""Precision: each name requests its products on a card, and changes nothing on a CPU."""

import re

import jax
import pytest
from support import assembled

from atelier.core import devices as device_lib
from atelier.core import precision
from atelier.errors import UserError
from atelier.run import initialization
from atelier.training.dispatch import compile_dispatch

REQUESTED = {'float32': '', 'tf32': 'HIGH', 'full_float32': 'HIGHEST', 'bfloat16': ''}
PRODUCT = re.compile(r'stablehlo\.(dot_general|convolution)\W.*')


def program(folder, name, optimizer='adam'):
    """The training program of a small VAE with convolutions, before compilation."""
    changes = {'train__precision': name, 'train__optimizer': optimizer}
    run = assembled(folder, 'conv_vae', **changes)
    devices = jax.devices()[:1]
    arrays = run.data.splits['train'], device_lib.local_indices(devices)
    dispatch = compile_dispatch(run, 2, devices)
    return dispatch.lower(initialization.abstract_state(run), *arrays).as_text()


def requested(text):
    """The precision of each product and convolution in a program's text; '' by default."""
    lines = [match.group() for match in PRODUCT.finditer(text)]
    found = [
        re.search(r'precision = \[(\w+), (\w+)\]|precision_config = \[[^]]*', x) for x in lines
    ]
    return {
        '' if m is None else max(re.findall('HIGHEST|HIGH', m.group()), default='') for m in found
    }


@pytest.mark.parametrize(
    'name',
    [name if name == 'tf32' else pytest.param(name, marks=pytest.mark.slow) for name in REQUESTED],
)
def test_every_product_of_a_step_has_the_precision_on_a_card(tmp_path, monkeypatch, name):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    text = program(tmp_path, name, 'muon')
    assert 'stablehlo.convolution' in text and 'stablehlo.dot_general' in text
    assert requested(text) == {REQUESTED[name]}


@pytest.mark.slow
def test_a_cpu_has_one_float32(tmp_path):
    texts = {name: program(tmp_path, name) for name in REQUESTED}
    assert texts['float32'] == texts['tf32'] == texts['full_float32'] != texts['bfloat16']


@pytest.mark.parametrize(
    ('backend', 'names'),
    [
        ('cpu', ['full float32'] * 3),
        ('gpu', ['TF32 where the card has it', 'full float32', 'TF32 where the card has it']),
        ('tpu', ['bfloat16', 'full float32', 'three bfloat16 products']),
    ],
)
def test_results_say_what_was_computed(monkeypatch, backend, names):
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    described = [
        precision.described(precision.PRECISIONS[name])
        for name in ('float32', 'full_float32', 'tf32')
    ]
    assert described == names
    assert precision.described(precision.PRECISIONS['bfloat16']) == 'bfloat16'


def test_the_precision_of_the_process_is_that_of_float32(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    with jax.default_matmul_precision('float32'):
        assert precision.described(precision.PRECISIONS['float32']) == 'full float32'


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="config.train.precision is 'float16'"):
        precision.of_config({'precision': 'float16'})
    assert precision.of_config({}) == precision.PRECISIONS['float32']
