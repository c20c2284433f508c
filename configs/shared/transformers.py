"""Shared by configs of causal transformers: builds the network from the config."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from configs.shared import common
from models.nets.transformer import Transformer


def transformer_of(config: ConfigDict, spec: Spec, num_classes: int = 0) -> Transformer:
    """Returns the transformer for discrete data, conditional on a label if num_classes > 0."""
    model = config.model
    return Transformer(
        vocab_size=spec.levels,
        length=spec.num_dims,
        width=model.width,
        blocks=model.blocks,
        heads=model.heads,
        num_classes=num_classes,
        embedding_deviation=model.embedding_deviation,
        dropout=model.dropout,
        is_rotary=model.is_rotary,
        is_tied=model.is_tied,
        dtype=common.precision(config),
    )
