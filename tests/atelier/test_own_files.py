"""A family, a new ability and its application in a user's own files, without changes here."""

import json

import pytest

from atelier import applications
from atelier.errors import UserError

CONFIG = '''
"""Pixels that are independent of each other.

    python main.py --config=pixels.py
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from atelier.core.abilities import LogProb
from atelier.core.family import Family
from atelier.core.game import Turn
from atelier.core.types import Weights
from configs.shared import common


class Entropy(NamedTuple):
    """Of p(x): nats(weights) -> a scalar. Atelier has never heard of this ability."""

    nats: Callable


def get_config(argument=None):
    config, debug = common.begin(argument)
    config.hypers.learning_rate = 0.1
    config.train.update(steps=20, evaluate_every=20, checkpoint_every=20)
    return config.lock()


def build(config, spec):
    def table(weights):
        return jax.nn.log_softmax(weights.params['model'])

    def log_prob(weights, batch, rng):
        levels = batch['x'].astype(jnp.int32)[..., None]
        return jnp.take_along_axis(table(weights)[None], levels, -1).sum((1, 2, 3, 4))

    def loss(weights, batch, rng, step, hypers):
        return {'model': -jnp.mean(log_prob(weights, batch, rng))}, (weights.extra, {})

    def entropy(weights):
        return -jnp.sum(jnp.exp(table(weights)) * table(weights))

    return Family(
        init=lambda key, batch: Weights(
            {'model': jnp.zeros((*spec.event_shape, spec.levels))}, {'model': {}}
        ),
        turns=(Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': log_prob(*arguments)},
        abilities=(LogProb(log_prob, 'exact'), Entropy(entropy)),
    )
'''

APPLICATION = '''
"""The entropy of a model."""

import json

from pixels import Entropy

from atelier.applications import Application, needs
from atelier.run import restore


def apply(run, times: float = 1.0):
    """Writes the entropy, in nats, to entropy.json.

    Args:
      run: of a family with the ability.
      times: a factor.
    """
    state = restore.load(run).state
    nats = times * float(run.family.ability(Entropy).nats(state.averaged_weights))
    (run.folder / 'entropy.json').write_text(json.dumps(nats))


APPLICATION = Application(apply, (needs(Entropy, 'entropy'),))
'''


@pytest.fixture(scope='module')
def own_files(tmp_path_factory):
    """One folder for all tests here: within a process, a module name belongs to one file."""
    folder = tmp_path_factory.mktemp('own_files')
    files = {'pixels': CONFIG, 'entropy': APPLICATION}
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text.lstrip())
    return folder


def test_a_user_application_is_loaded_with_its_options(own_files):
    own = applications.load(str(own_files / 'entropy.py'))
    assert list(applications.options(own)) == ['times', 'split', 'data']
    assert [need.description for need in own.needs] == ['entropy']
    assert own.mode == 'entropy.py'


def test_a_file_without_an_application_is_refused(own_files):
    with pytest.raises(UserError, match='has no APPLICATION'):
        applications.load(str(own_files / 'pixels.py'))
    with pytest.raises(UserError, match='there is no such file'):
        applications.load(str(own_files / 'nothing.py'))


@pytest.mark.slow
def test_a_user_family_with_its_own_ability_and_application(main, own_files):
    result = main('--config=pixels.py', '--workdir=run', cwd=own_files)
    assert result.returncode == 0, result.stderr
    record = json.loads((own_files / 'run' / 'config.json').read_text())
    assert record['path'] == str(own_files / 'pixels.py')

    help_text = main('--mode=entropy.py', '--help', cwd=own_files).stdout
    assert 'The entropy of a model.' in help_text and '--times=1.0' in help_text

    result = main(
        '--mode=entropy.py', '--workdir=run', '--trust=pixels.py', '--times=2', cwd=own_files
    )
    assert result.returncode == 0, result.stderr
    nats = json.loads((own_files / 'run' / 'entropy.json').read_text()) / 2
    assert 64 * 0.1 < nats < 64 * 2.84  # below log 17 a pixel, the initial value

    other = main('--config=configs/vae.py:debug', '--workdir=vae', cwd=own_files)
    assert other.returncode == 0, other.stderr
    refused = main('--mode=entropy.py', '--workdir=vae', cwd=own_files)
    assert refused.returncode == 1
    assert '--mode=entropy.py does not fit the model of ' in refused.stderr
