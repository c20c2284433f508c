"""The debug run of every config is trained, evaluated and sampled from, once, for two proofs.

Every field is read. Reads are recorded during the run. Iterating over a group or validating a
value does not count as a read. A hyper counts as read if the result of a training step depends on
it. Each config also gets fields that nothing reads; the recording must report them, which shows
that it works.

Its evaluation has the values that the rows of the reference ask of it.
"""

import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from config_variants import with_own_build
from jax.interpreters import partial_eval
from marks import EXHAUSTIVE, exhaustive_but
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
from benchmarks.reference import rows, value_paths

CONFIGS = checkout.configs()
# with other data, these have other fields
OF_ITEMS = tuple(f'configs/{name}.py:lines' for name in ('char_lm', 'char_gru', 'markov'))
IN_AUTOENCODERS = {'model.corruption': 'masking', 'model.contraction': 'probes'}
IN_GANS = {
    'model.penalty': 'r1',
    'model.feature_matching': True,
    'model.alternating': True,
    'train.best_metric': 'accuracy_real',
}
UNET = {'model.network': 'unet', 'model.channels': (8,), 'model.attention': (0,)}  # small
# Settings under which otherwise unused fields take effect
ALSO = {
    'configs/ada_dcgan.py': IN_GANS,
    'configs/ada_gan.py': IN_GANS,
    'configs/autoencoder.py': IN_AUTOENCODERS,
    'configs/char_lm.py': {'eval.random_windows': 8},
    'configs/conv_autoencoder.py': {**IN_AUTOENCODERS, 'model.loss': 'cross_entropy'},
    'configs/denoising_autoencoder.py': IN_AUTOENCODERS,
    'configs/dcgan.py': IN_GANS,
    'configs/gan.py': IN_GANS,
    'configs/diffusion.py': {**UNET, 'train.best_metric': 'elbo_nats'},
    'configs/text_to_image.py': {'model.network': 'dit', 'train.best_metric': 'elbo_nats'},
    'configs/dit.py': {'train.best_metric': 'elbo_nats'},
    'configs/glow.py': {'model.network': 'conv'},
    'configs/realnvp.py': {'model.network': 'conv'},
    'configs/markov.py': {'train.best_metric': 'log_prob_nats'},
    'configs/markov.py:lines': {'train.best_metric': 'log_prob_nats'},
    'configs/mixture.py': {'data.dequantize': 'uniform'},
    'configs/naive_bayes.py': {'data.dequantize': 'uniform'},
    'configs/super_resolution.py': {**UNET, 'train.best_metric': 'elbo_given_low_nats'},
    'configs/vae_gan.py': {'train.best_metric': 'accuracy_real'},
    'configs/vq_vae.py': {'model.channels': ()},
    'configs/vqgan.py': {'train.best_metric': 'squared_error'},
}
UNREAD = {f'{group}.read_by_nobody' for group in ('data', 'model', 'hypers', 'train', 'eval')}


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


class DebugRun(NamedTuple):
    """What is kept of the debug run of a config."""

    folder: pathlib.Path
    unread: set[str]  # fields


def debug_config(path: str) -> tuple[checkout.ConfigFile, ConfigDict]:
    """The debug config of a file with two training steps, plus the fields of UNREAD."""
    config_file = checkout.config_file(f'{ROOT / path}{"," if ":" in path else ":"}debug')
    config = config_file.config().unlock()
    config.train.update(steps=2, steps_per_dispatch=2, evaluate_every=2, checkpoint_every=2)
    for name in UNREAD:
        group, field = name.split('.')
        config[group][field] = 1.0
    return config_file, config.lock()


def short_text(folder: pathlib.Path) -> pathlib.Path:
    """A file of 6,000 lines with words of two to nine letters."""
    random, parts = np.random.default_rng(0), ['ba', 'na', 'ko', 'li', 'tu', 'r']
    words = [''.join(random.choice(parts, random.integers(1, 5))) for _ in range(6000)]
    path = folder.with_suffix('.txt')
    path.write_text('\n'.join(words))
    return path


def recorded_run(folder: pathlib.Path, path: str, settings: dict) -> tuple[Run, set[str]]:
    """The debug run of a config with these settings, and its reads, which grow as it is used."""
    config_file, config = debug_config(path)
    with config.unlocked():
        config.update_from_flattened_dict(settings)
        if config.data.name in ('text', 'lines'):  # the defaults are much longer
            config.data.path = str(short_text(folder))
    reads = set()
    recorded = Recorded(config, reads)
    data = dataset.load(recorded)
    family = config_file.module().build(recorded, data.spec)
    return Run(folder, config_file, recorded, family, data), reads


def use(run: Run) -> None:
    """Trains a run, evaluates it, and draws a sample if it can."""
    one = jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_lib, 'check_training', lambda *args: None)
        patch.setattr(jax, 'devices', lambda *args: one)
        train_lib.train(run, one)
        evaluate.evaluate(run, one, reuse=True)
        if run.family.ability(Sample) is not None:
            sample.apply(run, num_samples=1)


def unread(run: Run, reads: set[str]) -> set[str]:
    """The fields that were not read before, and are not read when a step is traced."""
    used = hypers_of_the_step(run)
    reads = {name for name in reads if not name.startswith('hypers.')}
    return set(config_values.flatten(run.config.to_dict())) - reads - used


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
def debug_run(tmp_path_factory):
    """Function: config path, with its data if they are not the file's own -> its DebugRun.

    `unread` has the fields read neither with the file's values nor with its settings in ALSO.
    """

    @functools.cache
    def used(path: str) -> DebugRun:
        folder, also = tmp_path_factory.mktemp('run'), ALSO.get(path, {})
        run, reads = recorded_run(folder, path, also)
        use(run)
        fields = unread(run, reads)
        if also and fields - UNREAD:
            fields &= unread(*recorded_run(folder, path, {}))
        return DebugRun(folder, fields)

    return used


QUICK = ('configs/vae.py',)  # the others take minutes
# one of those that share most fields
KEPT = [
    f'configs/{name}.py'
    for name in (
        *('ada_gan', 'autoencoder', 'char_lm', 'classifier', 'cvae', 'diffusion', 'gated_pixelcnn'),
        *('hierarchical_vae', 'maf', 'mixture', 'ppca', 'sequence_vae', 'vq_vae'),
    )
]
each_build = pytest.mark.parametrize('path', exhaustive_but(KEPT, with_own_build(), QUICK))


@each_build
def test_every_field_is_read(debug_run, path):
    assert debug_run(path).unread - UNREAD == set()


@pytest.mark.parametrize('path', exhaustive_but(OF_ITEMS[1:2], OF_ITEMS))
def test_every_field_of_items_is_read(debug_run, path):
    assert debug_run(path).unread - UNREAD == set()


@each_build
def test_an_unread_field_is_reported(debug_run, path):
    assert debug_run(path).unread >= UNREAD


def values_of_rows() -> list[tuple[str, list[str]]]:
    """For each config with rows, with its data: the paths of their values in evaluation.json."""
    paths = {}
    for row in rows.load().values():
        file, _, argument = row.config.partition(':')
        # molecules are in a wheel that is not here; their numbers are those of names, and RDKit's
        if not row.config or row.uses or argument == 'molecules':
            continue
        of_evaluation = {path for path in row.values.values() if not value_paths.parsed(path).file}
        paths.setdefault(with_data(file, argument), set()).update(of_evaluation)
    return [(path, sorted(values)) for path, values in sorted(paths.items())]


def with_data(file: str, argument: str) -> str:
    """FILE if its own data have the same metrics, else FILE:DATA; digits stand for MNIST."""
    data = 'digits' if 'mnist' in argument else argument
    own = checkout.ConfigFile(file, None).config().data.name
    return file if data in ('', own) else f'{file}:{data}'


@pytest.mark.parametrize(
    ('path', 'values'),
    [
        pytest.param(
            path, values, marks=pytest.mark.slow if path in (*KEPT, *QUICK) else EXHAUSTIVE
        )
        for path, values in values_of_rows()
    ],
)
def test_an_evaluation_has_the_values_of_its_rows(debug_run, path, values):
    for value in values:
        value_paths.read(value, debug_run(path).folder, 'evaluation.json')


def test_to_list_a_group_is_not_to_read_it():
    reads = set()
    config = Recorded(ConfigDict({'a': {'b': 1, 'c': 2, 'd': 3, 'e': 4}}), reads)
    assert dict(**config.a) == dict(config.a.items()) == config.to_dict()['a']
    assert [config.a[name] for name in config.a] == list(config.a.values())
    assert reads == set()
    assert (config.a.b, config['a']['c'], config.a.get('d')) == (1, 2, 3)
    assert reads == {'a.b', 'a.c', 'a.d'}


def test_settings_that_also_matter_are_of_a_config():
    assert {*ALSO} <= {*CONFIGS, *OF_ITEMS}
