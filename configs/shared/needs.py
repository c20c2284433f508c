"""Checks of the data a config needs; each error is one line that names the data set."""

from ml_collections import ConfigDict

from atelier.data.condition_files import advice_on_columns
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from atelier.errors import UserError
from configs.shared import tokens


def text(config: ConfigDict, spec: Spec) -> None:
    """Checks that the data are windows of a text, or items.

    Raises:
      UserError: they are something else.
    """
    if spec.symbols is None:
        raise UserError(
            f'{config.data.name} is not a text: this model needs --config.data.name=text, with '
            '--config.data.path=FILE for your own text; for images use configs/made.py'
        )


def items(config: ConfigDict, spec: Spec, otherwise: str = '') -> None:
    """Checks that the data are items, texts that end.

    Raises:
      UserError: they are something else; `otherwise` is further advice in the message.
    """
    if not are_items(spec):
        raise UserError(
            f'{config.data.name} has no items: give :lines after the name of the config, with '
            f'--config.data.path=FILE for the lines of your own file{otherwise}'
        )


def labels(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Checks that the data have labels.

    Raises:
      UserError: they have none; `otherwise` is the advice in the message.
    """
    if spec.num_classes is None:
        raise UserError(f'{config.data.name} has no labels: {otherwise}')


def condition(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Checks that the data have labels or another condition.

    Raises:
      UserError: they have none; `otherwise` is the advice in the message.
    """
    if spec.condition is None and spec.num_classes is None:
        has_files = config.data.name == 'folder' and bool(config.data.path)
        advice = advice_on_columns(config.data.path) if has_files else ''
        labels(config, spec, f'{advice}, or {otherwise}' if advice else otherwise)


def levels(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Checks that the data are discrete.

    Raises:
      UserError: they are real-valued; `otherwise` is the advice in the message.
    """
    if spec.levels is None:
        raise UserError(
            f'{config.data.name}: the data are real-valued, but this model needs '
            f'discrete levels: {otherwise}'
        )


def real_values(config: ConfigDict, spec: Spec, otherwise: str = '') -> None:
    """Checks that the data are real-valued, so that a density is a likelihood.

    Raises:
      UserError: they are discrete; `otherwise` is further advice in the message.
    """
    tokens.check_numbers(config, spec)
    if spec.levels is not None:
        raise UserError(
            f'{config.data.name} has {spec.levels} levels, but this model is a density of real '
            f'values: give --config.data.dequantize=uniform{otherwise}'
        )


def images(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Checks that the data are images, with rows and columns.

    Raises:
      UserError: they are not; `otherwise` is the advice in the message.
    """
    if spec.image_shape is None:
        raise UserError(
            f'{config.data.name}: x of shape {spec.event_shape} is not an image with rows and '
            f'columns: {otherwise}'
        )


def axes(config: ConfigDict, spec: Spec, otherwise: str) -> None:
    """Checks that the data have an axis to convolve over.

    Raises:
      UserError: they are scalars; `otherwise` is the config file or setting for such data.
    """
    if not spec.event_shape:
        raise UserError(f'{config.data.name}: scalars cannot be convolved: use {otherwise}')
