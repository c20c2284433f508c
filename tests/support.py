"""Helpers shared by several test files."""

import dataclasses
import functools
import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core.family import Family
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.report.metrics_log import read_metrics
from atelier.run import experiment, restore, run_folder
from atelier.training.dispatch import compile_dispatch


def make_run(folder, argument='digits,debug', **changes):
    """The VAE config as a Run in `folder`; keywords such as train__steps=40 override fields."""
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/vae.py:{argument}')
    config = config_file.config()
    for name, value in changes.items():
        *path, last = name.split('__')
        group = config
        for part in path:
            group = group[part]
        group[last] = value
    run_folder.check_same(pathlib.Path(folder), config_file, config)
    return experiment.assemble(pathlib.Path(folder), config_file, config)


def begin(run):
    """Writes the folder of a run that has trained a step, without training."""
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    (run.folder / 'metrics.jsonl').write_text('{"step": 1}\n')


def recipe_and_config(argument='debug', path=f'{checkout.ROOT}/configs/vae.py', **changes):
    config_file = checkout.config_file(f'{path}:{argument}')
    config = config_file.config()
    with config.unlocked():
        config.update_from_flattened_dict({dotted(k): v for k, v in changes.items()})
    return config_file, config


def assembled(folder, name, argument='digits,debug', **changes):
    """configs/NAME.py as a Run in `folder`; writes nothing."""
    path = f'{checkout.ROOT}/configs/{name}.py'
    return experiment.assemble(folder, *recipe_and_config(argument, path, **changes))


def trained_classifier(folder, **changes):
    """The debug digits classifier as a trained Run, without learning-rate decay or weight EMA."""
    import train_lib

    settings = dict(hypers__decay_steps=0.0, hypers__ema_half_life=0.0, **changes)
    run = assembled(folder, 'classifier', **settings)
    train_lib.train(run, jax.devices()[:1])
    return run


def first_batch(run, n):
    """The first n training examples, preprocessed."""
    raw = {name: jnp.asarray(array[:n]) for name, array in run.data.splits['train'].items()}
    return run.data.preprocess(raw, rng_for(jax.random.PRNGKey(0), jnp.arange(n), n).keys)


def scattered(params, seed=0):
    """Replaces all-zero leaves by noise: a layer initialized to zero hides all layers before it."""
    rng = np.random.default_rng(seed)  # NumPy: jax.random compiles anew for each shape
    noise = lambda leaf: jnp.asarray(0.3 * rng.standard_normal(leaf.shape))
    return jax.tree.map(lambda leaf: leaf if np.any(leaf) else noise(leaf), params)


def steps_on(run, num_devices, num_steps=10):
    """(State, report) after each of the first `num_steps` steps on `num_devices` devices."""
    devices = jax.devices()[:num_devices]
    host = jax.tree.map(np.asarray, restore.initial_state(run))
    state = device_lib.place(host, devices)
    data = device_lib.place(run.data.splits['train'], devices)
    dispatch = compile_dispatch(run, 1, devices)
    steps = []
    for _ in range(num_steps):
        state, report = dispatch(state, data, device_lib.local_indices(devices))
        steps.append(jax.device_get((state, report)))
    return steps


def check_same_on_any_devices(one, many):
    """Compares two results of `steps_on`: first gradients to 1e-5, all losses to 1e-4."""
    for player in one[0][0].params:
        slopes = [first_moments(steps[0][0], player) for steps in (many, one)]
        scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes[1]))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5 * scale)
        jax.tree.map(close, *slopes)
        name = 'loss' if player == 'model' else f'loss_{player}'
        losses = [[report[name] for _, report in steps] for steps in (many, one)]
        np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-4)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, many[-1][0].extra, one[-1][0].extra)


def first_moments(state, player):
    """First moments: the gradients times 1 - beta_1 after one step. Adam has one tree, Muon two."""
    has_moments = lambda part: hasattr(part, 'mu')
    parts = jax.tree.leaves(state.opt[player], is_leaf=has_moments)
    return [part.mu for part in parts if has_moments(part)]


def error_line(result) -> str:
    """The single error line of a failed process, without the prefix 'error: '."""
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stdout + result.stderr
    lines = result.stderr.rstrip('\n').split('\n')
    assert [line for line in lines if line.startswith('error: ')] == lines[-1:], result.stderr
    message = lines[-1].removeprefix('error: ')
    assert '\\n' not in message and "\\'" not in message, f'a quoted quotation: {message}'
    return message


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """{relative path: bytes of a file, None for a folder} of everything below `folder`."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob('*')
    }


def dotted(name: str) -> str:
    """train__steps -> train.steps."""
    return name.replace('__', '.')


def with_abilities(run, *abilities, splits=None):
    """`run` with a weightless family that has only these abilities, and optionally new `splits`."""
    nothing = Weights({'model': {}}, {'model': {}})
    family = Family(lambda key, batch: nothing, (), nothing_measured, abilities)
    return run._replace(family=family, data=run.data._replace(splits=splits or run.data.splits))


def nothing_measured(weights, batch, rng):
    return {}


def replaced(family, *abilities):
    """`family` with these abilities replacing its own of the same types."""
    kinds = {type(ability) for ability in abilities}
    others = tuple(ability for ability in family.abilities if type(ability) not in kinds)
    return dataclasses.replace(family, abilities=others + abilities)


def without(family, *kinds):
    """`family` without its abilities of these types."""
    others = tuple(ability for ability in family.abilities if type(ability) not in kinds)
    return dataclasses.replace(family, abilities=others)


def with_unknown_class(run, unknown=9):
    """Returns the run with a class that training lacks, the only one of the other splits."""
    splits = {}
    for name, split in run.data.splits.items():
        kept = (split['label'] == unknown) == (name != 'train')
        splits[name] = {key: array[kept] for key, array in split.items()}
    spec = run.data.spec._replace(left_out=(unknown,))
    return run._replace(data=run.data._replace(splits=splits, spec=spec))


def few_of_test(run, n):
    """`run` with its test split cut to the first n examples."""
    return few_examples(run, n, 'test')


def few_examples(run, n, *splits):
    """`run` with these splits cut to their first n examples; by default, all splits."""
    few = {
        split: {name: array[:n] for name, array in run.data.splits[split].items()}
        for split in splits or run.data.splits
    }
    return run._replace(data=run.data._replace(splits={**run.data.splits, **few}))


def untimed_lines(folder):
    """The rows of a run's metrics.jsonl without times, and without rows that report speed."""
    return [
        {name: value for name, value in row.items() if not name.startswith('time/')}
        for row in read_metrics(folder)
        if 'time/steps_per_second' not in row
    ]


def board_events(folder: pathlib.Path) -> list:
    """All events in TensorBoard's files of a folder, in order."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted(folder.iterdir()):
        raw, start = path.read_bytes(), 0
        while start < len(raw):  # length, its checksum, the event, its checksum
            size = int.from_bytes(raw[start : start + 8], 'little')
            events.append(Event.FromString(raw[start + 12 : start + 12 + size]))
            start += size + 16
    return events


def board_pictures(folder: pathlib.Path) -> list:
    """(name, step, image) of every picture in TensorBoard's files of a folder."""
    from PIL import Image

    return [
        (value.tag, event.step, Image.open(io.BytesIO(value.image.encoded_image_string)))
        for event in board_events(folder)
        for value in event.summary.value
        if value.HasField('image')
    ]
