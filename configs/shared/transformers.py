"""What the configs of causal transformers share: the network's fields."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from models.nets.mlp import PRECISIONS
from models.nets.transformer import Transformer


def transformer_of(config: ConfigDict, spec: Spec, num_classes: int = 0) -> Transformer:
    """The network of events of levels, that is told a label where there are classes.

    Raises:
      UserError: sizes that cannot be.
    """
    model = config.model
    sizes = {name: model[name] for name in ('width', 'blocks', 'heads')}
    for name, value in sizes.items():
        at_least(1, f'model.{name}', value)
    if model.width % model.heads:
        raise UserError(
            f'config.model.heads={model.heads} do not divide config.model.width={model.width}'
        )
    if model.is_rotary and model.width // model.heads % 2:
        raise UserError(
            f'config.model.is_rotary=True: {model.width // model.heads} numbers of a head (config.'
            'model.width by config.model.heads) are no pairs'
        )
    at_least(0, 'model.embedding_deviation', model.embedding_deviation)
    if not 0 <= model.dropout < 1:
        raise UserError(f'config.model.dropout={model.dropout}: it is a share, from 0 to below 1')
    return Transformer(
        symbols=spec.levels,
        length=spec.num_dims,
        num_classes=num_classes,
        embedding_deviation=model.embedding_deviation,
        dropout=model.dropout,
        is_rotary=model.is_rotary,
        is_tied=model.is_tied,
        dtype=choose('train.precision', config.train.precision, PRECISIONS),
        **sizes,
    )
