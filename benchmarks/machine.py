"""The machine and the versions that a measurement belongs to."""

import importlib.metadata
import os
import pathlib
import platform

import jax

from atelier.run import provenance

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'torch')  # torch: if it is installed


def described() -> dict[str, str | int]:
    """Returns processor, cores, device, versions and commit, which a stored number is read with."""
    devices = jax.devices()
    return dict(
        kind=devices[0].platform,
        device=f'{len(devices)} x {devices[0].device_kind}',
        processor=processor(),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        commit=provenance.git_hash(),
        **_versions(),
    )


def processor(cpuinfo: pathlib.Path = pathlib.Path('/proc/cpuinfo')) -> str:
    """Returns the processor's name, family and model, as Linux gives them, or the architecture.

    The name alone is not enough: virtual machines leave out the number of the product.
    """
    lines = cpuinfo.read_text().split('\n\n')[0].splitlines() if cpuinfo.exists() else []
    fields = {name.strip(): value.strip() for name, _, value in (x.partition(':') for x in lines)}
    if not fields.get('model name'):
        return platform.machine()
    numbers = (('family', fields.get('cpu family')), ('model', fields.get('model')))
    return ', '.join([fields['model name'], *(f'{name} {n}' for name, n in numbers if n)])


def _versions() -> dict[str, str]:
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
