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


def processor() -> str:
    """Returns the name of the processor, as Linux gives it, or the architecture."""
    cpuinfo = pathlib.Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def _versions() -> dict[str, str]:
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
