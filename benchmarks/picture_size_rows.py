"""The rows of `picture_sizes`: every config that takes pictures, with the settings it needs."""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from atelier import checkout
from atelier.data.sources import SIMULATORS, TEXTS

TABLE = 'sizes'  # of docs/sizes.md
REAL = {'data.dequantize': 'uniform'}
SMALL = {'train.batch_size': 16}
HIDDEN = {'model.is_direct': False}
# settings, beside those of the config, with which it is measured: several rows, or one without any
SETTINGS: dict[str, tuple[dict, ...]] = {
    'diffusion': (SMALL,),
    'flow_matching': (SMALL,),
    'fvsbn': ({}, {'model.observation': 'binomial'}),
    'gated_pixelcnn': (SMALL,),
    'glow': (REAL | SMALL,),
    'iaf': (REAL | HIDDEN,),
    'made': ({}, HIDDEN),
    'maf': (REAL, REAL | HIDDEN),
    'pixelcnn': (SMALL,),
    'ppca': (REAL,),
    'realnvp': (REAL | SMALL,),
    'spline_flow': (REAL | SMALL,),
    'super_resolution': (SMALL,),
    'text_to_image': (SMALL,),
}


class Row(NamedTuple):
    """A config with settings; `command` is its first cell."""

    config: str
    overrides: dict

    @property
    def command(self) -> str:
        """The config and the settings as flags, without `config.data.path`."""
        values = [f' --config.{name}={value}' for name, value in self.overrides.items()]
        return f'`{self.config}:arrays{"".join(values)}`'


def rows() -> Iterator[Row]:
    """Yields the rows of all configs that take pictures."""
    for path in checkout.configs():
        if takes_pictures(path):
            settings = SETTINGS.get(pathlib.Path(path).stem, ({},))
            yield from (Row(path, overrides) for overrides in settings)


def takes_pictures(path: str) -> bool:
    """Whether a config is for other data than texts, and than parameters given their data."""
    return checkout.ConfigFile(path, None).config().data.name not in (*TEXTS, *SIMULATORS)
