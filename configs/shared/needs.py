"""What a config needs of its data: each refuses others in a line that names the data set."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.errors import UserError


def text(config: ConfigDict, spec: Spec) -> None:
    """Data are windows of a text.

    Raises:
      UserError: they are something else.
    """
    if spec.symbols is None:
        raise UserError(
            f'{config.data.name} is no text: this model takes config.data.name=text, and with '
            "config.data.path a file of one's own; of images see configs/made.py"
        )


def labels(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Data have labels.

    Raises:
      UserError: they have none; `otherwise` is what to do then.
    """
    if spec.num_classes is None:
        raise UserError(f'{config.data.name} has no labels: {otherwise}')


def levels(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Data are discrete.

    Raises:
      UserError: they are real values; `otherwise` is what to do then.
    """
    if spec.levels is None:
        raise UserError(
            f'{config.data.name}: this model is one of levels, these are real values: {otherwise}'
        )


def real_values(config: ConfigDict, spec: Spec, otherwise: str = '') -> None:
    """Data are real-valued, so that a density is a likelihood.

    Raises:
      UserError: they have levels; `otherwise` is what can be done besides.
    """
    if spec.levels is not None:
        raise UserError(
            f'{config.data.name} has {spec.levels} levels, and a density is no likelihood of such '
            f"data: config.data.dequantize='uniform'{otherwise}"
        )


def images(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Data have rows and columns.

    Raises:
      UserError: they have not; `otherwise` is what to do then.
    """
    if spec.image_shape is None:
        raise UserError(
            f'{config.data.name}: x of shape {spec.event_shape} is no image, which has rows and '
            f'columns: {otherwise}'
        )


def axes(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Data have an axis to convolve.

    Raises:
      UserError: they are single numbers; the config file `otherwise` takes such data.
    """
    if not spec.event_shape:
        raise UserError(f'{config.data.name}: single numbers cannot be convolved: use {otherwise}')
