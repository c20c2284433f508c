"""Helpers that several test files share."""

import pathlib

import jax
import jax.numpy as jnp

import experiment
import game
import run_folder


def make_run(folder, argument='digits,debug', **changes):
    """The VAE config as a Run in `folder`; fields change by keywords such as train__steps=40."""
    which = experiment.recipe(f'{experiment.ROOT}/configs/vae.py:{argument}')
    config = which.config()
    for name, value in changes.items():
        *path, last = name.split('__')
        group = config
        for part in path:
            group = group[part]
        group[last] = value
    run_folder.check_same(pathlib.Path(folder), which, config)
    return experiment.assemble(pathlib.Path(folder), which, config)


def recipe_and_config(argument='debug', path=f'{experiment.ROOT}/configs/vae.py', **changes):
    which = experiment.recipe(f'{path}:{argument}')
    config = which.config()
    with config.unlocked():
        config.update_from_flattened_dict({dotted(k): v for k, v in changes.items()})
    return which, config


def assembled(folder, name, argument='digits,debug', **changes):
    """configs/NAME.py as a Run in `folder`, of which nothing is written."""
    path = f'{experiment.ROOT}/configs/{name}.py'
    return experiment.assemble(folder, *recipe_and_config(argument, path, **changes))


def first_batch(run, n):
    """The first n training examples as models see them."""
    raw = {name: jnp.asarray(array[:n]) for name, array in run.data.splits['train'].items()}
    return run.data.preprocess(raw, game.draw_for(jax.random.PRNGKey(0), jnp.arange(n), n).keys)


def error_line(result) -> str:
    """The one line that a mistake ends in, without 'error: '."""
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stdout + result.stderr
    lines = result.stderr.rstrip('\n').split('\n')
    assert [line for line in lines if line.startswith('error: ')] == lines[-1:], result.stderr
    message = lines[-1].removeprefix('error: ')
    assert '\\n' not in message and "\\'" not in message, f'a quoted quotation: {message}'
    return message


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Every file of a folder with what is in it, and every folder in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob('*')
    }


def dotted(name: str) -> str:
    """train__steps -> train.steps."""
    return name.replace('__', '.')


def with_abilities(run, **abilities):
    """`run` with a family without weights that can do this alone, and perhaps other `splits`."""
    splits = abilities.pop('splits', run.data.splits)
    nothing = {'model': {}}
    family = game.Family(lambda key, batch: (nothing, nothing), (), None, **abilities)
    return run._replace(family=family, data=run.data._replace(splits=splits))
