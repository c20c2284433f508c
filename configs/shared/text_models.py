"""Shared by configs of language models: windows of a text, items, and token sampling."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.data.sources import ITEMS
from atelier.errors import UserError
from configs.shared import common
from models.autoregressive.token_sampling import SamplingOptions


def add_data(config: ConfigDict) -> None:
    """Adds the fields of config.data for windows of a text or for items, and token sampling."""
    if config.data.name in ITEMS:
        add_items(config)
    else:
        add_text(config)


def add_text(config: ConfigDict) -> None:
    """Adds the fields of config.data for the source `text`, and those of token sampling."""
    config.data.update(
        # characters of a window, an even number; of items, tokens of a training row of several
        # (0: 256, or those of the longest item with its end)
        context=64,
        # by order, fraction of the training part, at its end, held out for validation. By either
        # rule, 0: training has the validation text too
        valid_share=0.05,
    )
    # number of random windows whose mean loss is nanoGPT's estimate (it takes 200 batches); 0: none
    config.eval.random_windows = 0
    _add_sampler(config)


def add_items(config: ConfigDict) -> None:
    """Adds the fields of config.data for sources of items, and those of token sampling."""
    config.data.update(
        max_length=0,  # most symbols of an item; 0: those of the longest
        too_long='refuse',  # what becomes of longer items: refuse | cut | leave_out
        is_packed=True,  # whether a row of training holds several items; False: one, with its label
        context=0,
    )
    if config.data.name == 'lines':
        config.data.update(
            column='',  # column of a .csv or .tsv with the items; '': its only one
            label_column='',  # column with the classes of the items; '': no classes
            # text between items of several lines, in which \n is a new line; '': items are lines
            separator='',
        )
    config.eval.update(
        num_samples=10_000,  # samples that are compared with as many test items, at most all
        # what tells whether an item is valid: '' (nothing) | smiles (RDKit, if it is installed) |
        # FILE:FUNCTION (yours: it takes a str and returns a bool, or one str for equal items or
        # None)
        validity='smiles' if config.data.name == 'molecules' else '',
    )
    _add_sampler(config)


def _add_sampler(config: ConfigDict) -> None:
    config.eval.sampler = ConfigDict(
        dict(
            temperature=1.0,  # divisor of the logits; 0: always the most likely token
            top_k=0,  # number of most likely tokens to draw from; 0: all
            top_p=1.0,  # total probability of the most likely tokens to draw from; 1: all
        )
    )


def num_classes_of(config: ConfigDict, spec: Spec) -> int:
    """Returns `common.num_classes_of` of items.

    Raises:
      UserError: the model is conditional, and the data have no labels and no condition, or are
        packed in rows, which have none.
    """
    if config.model.is_conditional and config.data.get('is_packed', False):
        raise UserError(
            'config.model.is_conditional=True: a row of several items has no label: set '
            'config.data.is_packed=False'
        )
    return common.num_classes_of(config, spec)


def shrink_rows(config: ConfigDict) -> None:
    """Shortens the rows of a debug run, or has fewer of them in a batch, if items are long."""
    if config.data.name in ITEMS:
        config.train.batch_size = 8
    else:
        config.data.context = 16


def sampling_options(config: ConfigDict) -> SamplingOptions:
    """Returns how tokens are sampled."""
    sampler = config.eval.sampler
    return SamplingOptions(
        temperature=sampler.temperature, top_k=sampler.top_k, top_p=sampler.top_p
    )
