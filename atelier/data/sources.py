"""The sources of data: which module loads which name of `config.data.name`."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

from atelier.data.conditions.setting import NONE
from atelier.data.original.known import KNOWN
from atelier.errors import UserError

POINTS = ('ring', 'grid', 'eight_gaussians', 'moons', 'checkerboard')  # sources of toy points
SIMULATORS = ('gaussian_linear', 'two_moons_posterior')  # sources of parameters given data
ITEMS = ('lines', 'molecules', 'tunes')  # sources of texts that end
CODES = 'codes'  # source of the codes of a trained run
TEXTS = ('text', *ITEMS)  # sources of symbols
SOURCES = (
    *('digits', 'mnist_5k', 'static_mnist', 'shapes', 'captioned_shapes'),
    *('arrays', 'folder', 'parquet', 'text'),
    *POINTS,
    *SIMULATORS,
    *ITEMS,
    CODES,
)
# sources of your own encoded pictures: the data have the name of their folder or file, and missing
# splits follow from the stored bytes of each picture
OWN_PICTURES = ('folder', 'parquet')
# sources whose data are no pictures of `images.LEVELS` levels; all others decode pictures
NO_PICTURES = ('digits', 'static_mnist', 'shapes', 'arrays', CODES, *TEXTS, *POINTS, *SIMULATORS)
# sources that never change
EMBEDDED = ('digits', 'static_mnist', 'shapes', 'captioned_shapes', *POINTS, *SIMULATORS)

# fields of config.data that some sources read
SETTINGS = (
    *('data_dir', 'path', 'image_shape', 'splits', 'channels', 'strict', 'draw_as', 'condition'),
    *('column', 'label_column', 'separator'),  # which only configs of texts have
    *('run', 'codes', 'objects'),  # of the codes of a run, and of captioned shapes
)
# values of SETTINGS that any source may have
UNSET = ('', (), 'auto', 'exact', 'last', 'both', False, (NONE,))
# parameters of `load` that are no settings, because a record must not decide them: whether TFDS may
# download a set, and the function that encodes a run's data
GIVEN = ('may_prepare', 'encoded')


def source(name: str, may_prepare: bool = False) -> Callable:
    """Returns the `load` of a source, imported here because its imports may be heavy.

    With `may_prepare`, it lets TFDS download a set that is not prepared.
    """
    match name:
        case 'digits':
            from atelier.data.digits import load
        case 'static_mnist':
            from atelier.data.static_mnist import load
        case 'shapes':
            from atelier.data.shapes import load
        case 'captioned_shapes':
            from atelier.data.captioned_shapes import load
        case 'arrays':
            from atelier.data.arrays import load
        case 'folder':
            from atelier.data.folder import load
        case 'text':
            from atelier.data.text import load
        case 'lines':
            from atelier.data.lines import load
        case 'molecules':
            from atelier.data.molecules import load
        case 'tunes':
            from atelier.data.tunes import load
        case 'parquet':
            from atelier.data.parquet import load
        case 'codes':
            from atelier.data.codes import load
        case 'mnist_5k':
            from atelier.data.mnist_5k import load
        case _ if name in POINTS:
            from atelier.data.toy import load
        case _ if name in SIMULATORS:
            from atelier.data.simulators import load
        case _ if name in KNOWN:
            from atelier.data.well_known import load
        case _:  # any other name is a TFDS data set
            from atelier.data.tfds_images import load
    is_of_tfds = name not in SOURCES
    return functools.partial(load, may_prepare=True) if may_prepare and is_of_tfds else load


def decodes_pictures(name: str) -> bool:
    """Whether the stored data of a source are pictures of `images.LEVELS` levels, grey or colour.

    A name that is in no list is that of a TFDS data set, which is read as pictures.
    """
    return name not in NO_PICTURES


def is_name_of(data_name: str, source_name: str) -> bool:
    """Whether data of a source can have a name: its own, or that of a folder or file of yours."""
    return source_name in OWN_PICTURES or data_name == source_name


def settings_of(name: str) -> dict[str, bool]:
    """Returns {field of config.data that the source takes: whether it is required}."""
    parameters = inspect.signature(source(name)).parameters
    return {
        field: parameter.default is parameter.empty
        for field, parameter in parameters.items()
        if field not in GIVEN
    }


def check_settings(data: Any, accepted: Collection[str]) -> None:
    """Checks that the source of `config.data` takes the settings that are set, all `accepted`.

    Raises:
      UserError: it does not read one of `SETTINGS`.
    """
    for name in SETTINGS:
        if data.get(name) and data[name] not in UNSET and name not in accepted:
            setting = f'config.data.{name}={data[name]!r}'
            raise UserError(f'{setting}: {data.name} does not read it: omit it')
