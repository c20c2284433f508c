"""Helpers that several test files share."""

import pathlib

import run_folder


def make_run(folder, argument='digits,debug', **changes):
    """The VAE config as a Run in `folder`; fields change by keywords such as train__steps=40."""
    which = run_folder.recipe(f'{run_folder.ROOT}/configs/vae.py:{argument}')
    config = which.config()
    for name, value in changes.items():
        *path, last = name.split('__')
        group = config
        for part in path:
            group = group[part]
        group[last] = value
    run_folder.check_same(pathlib.Path(folder), which, config)
    return run_folder.assemble(pathlib.Path(folder), which, config)
