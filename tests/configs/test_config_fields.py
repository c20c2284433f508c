"""Every field of every config is read, and every config follows the rules for configs.

Reads are recorded while the config's debug run is built, trained, evaluated and sampled from.
Iterating over a group or validating a value does not count as a read. A hyper counts as read if
the result of a training step depends on it. Each config also gets fields that nothing reads; the
recording must report them, which shows that it works.
"""

import functools
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import pytest
from jax.interpreters import partial_eval
from ml_collections import ConfigDict

import train_lib
from atelier import checkout
from atelier.applications import sample
from atelier.checkout import ROOT
from atelier.core import optimizers
from atelier.core.abilities import Sample
from atelier.data import dataset
from atelier.evaluation import evaluate
from atelier.run import config_values, restore
from atelier.run.experiment import Run
from atelier.training import dispatch as program

CONFIGS = checkout.configs()
TOP = {'seed', 'data', 'model', 'hypers', 'train', 'eval'}
IN_AUTOENCODERS = {'model.corruption': 'masking', 'model.contraction': 'probes'}
IN_GANS = {
    'model.penalty': 'r1',
    'model.feature_matching': True,
    'model.alternating': True,
    'train.best_metric': 'accuracy_real',
}
# Settings under which otherwise unused fields take effect
ALSO = {
    'autoencoder': IN_AUTOENCODERS,
    'conv_autoencoder': IN_AUTOENCODERS,
    'denoising_autoencoder': IN_AUTOENCODERS,
    'dcgan': IN_GANS,
    'gan': IN_GANS,
    'diffusion': {'model.network': 'unet', 'train.best_metric': 'elbo_nats'},
    'dit': {'train.best_metric': 'elbo_nats'},
    'glow': {'model.network': 'conv'},
    'realnvp': {'model.network': 'conv'},
    'markov': {'train.best_metric': 'log_prob_nats'},
    'mixture': {'data.dequantize': 'uniform'},
    'naive_bayes': {'data.dequantize': 'uniform'},
    'super_resolution': {'model.network': 'unet', 'train.best_metric': 'elbo_given_low_nats'},
    'vae_gan': {'train.best_metric': 'accuracy_real'},
    'vq_vae': {'model.channels': ()},
}
UNREAD = {f'{group}.read_by_nobody' for group in TOP - {'seed'}}

every_config = pytest.mark.parametrize('path', CONFIGS)


pytestmark = pytest.mark.usefixtures('quick_compilation')


class Listed(str):
    """A field name obtained by iterating over its group; using it does not count as a read."""


class Recorded:
    """A config group that records in `reads` which of its fields are accessed by name."""

    def __init__(self, group: ConfigDict, reads: set[str], prefix: str = ''):
        self._group, self._reads, self._prefix = group, reads, prefix

    def __getitem__(self, name):
        value, full = self._group[name], self._prefix + name
        if isinstance(value, ConfigDict):
            return Recorded(value, self._reads, f'{full}.')
        if not isinstance(name, Listed):
            self._reads.add(full)
        return value

    @property
    def __class__(self):
        return ConfigDict  # passes isinstance checks

    def __getattr__(self, name):
        """A field or a method of the group; items(), to_dict() and so on count as no read."""
        return self[name] if name in self._group else getattr(self._group, name)

    def get(self, name, default=None):
        return self[name] if name in self._group else default

    def __contains__(self, name):
        return name in self._group

    def __iter__(self):
        return map(Listed, self._group)

    def keys(self):
        return list(self)


def debug_config(path: str) -> tuple[checkout.ConfigFile, ConfigDict]:
    """The debug config of a file with two training steps, plus the fields of UNREAD."""
    config_file = checkout.config_file(f'{ROOT / path}:debug')
    config = config_file.config().unlock()
    config.train.update(steps=2, steps_per_dispatch=2, evaluate_every=2, checkpoint_every=2)
    for name in UNREAD:
        group, field = name.split('.')
        config[group][field] = 1.0
    return config_file, config.lock()


def hypers_of_the_step(run: Run) -> set[str]:
    """The hypers on which the State and the report of one step depend."""
    size = run.config.train.batch_size
    dispatch = program.make_dispatch(
        run.family, run.data, optimizers.chosen(run.config), size, num_steps=1
    )
    arrays, state = jax.device_put(run.data.splits['train']), restore.initial_state(run)

    def apply(hypers):
        after, report = dispatch(state.replace(hypers=hypers), arrays, jnp.int32(0))
        return after.replace(hypers={}), report  # a step passes them on, read or not

    jaxpr = jax.make_jaxpr(apply)(state.hypers).jaxpr
    _, used = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return {f'hypers.{name}' for name, use in zip(sorted(state.hypers), used, strict=True) if use}


@pytest.fixture(scope='module')
def unread_fields(tmp_path_factory):
    """Function: config path -> the fields that the config's debug run never reads."""

    @functools.cache
    def run_and_record(path: str) -> set[str]:
        """The fields read neither with the file's values nor with its settings in ALSO."""
        also = ALSO.get(pathlib.Path(path).stem, {})
        unread = record(path, also)
        return unread & record(path, {}) if also and unread - UNREAD else unread

    def record(path: str, settings: dict) -> set[str]:
        folder, reads = tmp_path_factory.mktemp('run'), set()
        config_file, config = debug_config(path)
        with config.unlocked():
            config.update_from_flattened_dict(settings)
        recorded = Recorded(config, reads)
        data = dataset.load(recorded)
        family = config_file.module().build(recorded, data.spec)
        run, one = Run(folder, config_file, recorded, family, data), jax.devices()[:1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train_lib, 'check_training', lambda *args: None)
            patch.setattr(jax, 'devices', lambda *args: one)
            train_lib.train(run, one)
            evaluate.evaluate(run, one, reuse=True)
            if family.ability(Sample) is not None:
                sample.apply(run, num_samples=1)
        reads = {name for name in reads if not name.startswith('hypers.')}
        return set(config_values.flatten(config.to_dict())) - reads - hypers_of_the_step(run)

    return run_and_record


def parent_of(path: str) -> str | None:
    """The config whose `build` a variant reuses; None for a config that defines its own."""
    match = re.search(r'^build = (\w+)\.build$', (ROOT / path).read_text(), re.MULTILINE)
    return match and f'configs/{match.group(1)}.py'


QUICK = ('configs/vae.py',)  # the others take minutes
with_own_build = pytest.mark.parametrize(
    'path',
    [
        path if path in QUICK else pytest.param(path, marks=pytest.mark.slow)
        for path in CONFIGS
        if not parent_of(path)
    ],
)


@with_own_build
def test_every_field_is_read(unread_fields, path):
    assert unread_fields(path) - UNREAD == set()


@pytest.mark.parametrize('path', [path for path in CONFIGS if parent_of(path)])
def test_a_variant_has_the_fields_of_its_parent(path):
    """The parent's fields are read, and both configs share one `build`."""
    fields, expected = (
        set(config_values.flatten(checkout.ConfigFile(p, None).config().to_dict()))
        for p in (path, parent_of(path))
    )
    assert fields == expected


@with_own_build
def test_an_unread_field_is_reported(unread_fields, path):
    assert unread_fields(path) >= UNREAD


def test_to_list_a_group_is_not_to_read_it():
    reads = set()
    config = Recorded(ConfigDict({'a': {'b': 1, 'c': 2, 'd': 3, 'e': 4}}), reads)
    assert dict(**config.a) == dict(config.a.items()) == config.to_dict()['a']
    assert [config.a[name] for name in config.a] == list(config.a.values())
    assert reads == set()
    assert (config.a.b, config['a']['c'], config.a.get('d')) == (1, 2, 3)
    assert reads == {'a.b', 'a.c', 'a.d'}


# Rules for configs


@every_config
@pytest.mark.parametrize('argument', [None, 'debug'])
def test_top_level_names_and_lock(path, argument):
    config = checkout.ConfigFile(path, argument).config()
    assert set(config) == TOP
    assert config.is_locked


@every_config
def test_debug_has_the_same_fields_and_few_steps(path):
    whole, debug = (checkout.ConfigFile(path, argument).config() for argument in (None, 'debug'))
    assert set(config_values.flatten(whole.to_dict())) == set(
        config_values.flatten(debug.to_dict())
    )
    assert debug.train.steps <= 50
    named = checkout.ConfigFile(path, f'{whole.data.name},debug').config()
    assert named.to_dict() == debug.to_dict()


@every_config
def test_plain_values_only(path):
    config = checkout.ConfigFile(path, None).config()
    for name, value in config_values.flatten(config.to_dict()).items():
        assert json.loads(json.dumps(value)) == value, name
        items = value if isinstance(value, list) else [value]
        assert {type(item) for item in items} <= {int, float, str, bool}, name


@every_config
def test_the_docstring_gives_its_own_command(path):
    text = checkout.ConfigFile(path, None).module().__doc__
    assert re.search(rf'python main\.py --config={re.escape(path)}(?![\w.])', text)


@every_config
def test_every_file_can_be_run(path):
    """Code shared by several configs belongs in configs/shared/."""
    module = checkout.ConfigFile(path, None).module()
    assert callable(module.get_config) and callable(module.build)


def test_settings_that_also_matter_are_of_a_config():
    assert {f'configs/{name}.py' for name in ALSO} <= set(CONFIGS)


@pytest.mark.parametrize('argument', [None, 'debug'])
@pytest.mark.parametrize('path', checkout.configs())
def test_batches_can_be_shared_by_eight_devices(path, argument):
    config = checkout.ConfigFile(path, argument).config()
    assert config.train.batch_size % 8 == 0


@pytest.mark.parametrize('path', checkout.configs())
def test_the_docstring_gives_an_expected_result(path):
    """The docstring also gives the number's spread, the hardware and the time."""
    docstring = checkout.ConfigFile(path, None).module().__doc__
    assert re.search(r'\d \+- \d', docstring)
    assert re.search(r'seconds|minutes|hours', docstring)
    assert re.search(r'CPU|GPU|TPU', docstring)
