"""What the configs of models that are fitted outright share: no optimizer, and all data at once."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.errors import UserError
from configs.shared import common


def begin(argument: str | None, default: str = 'digits') -> tuple[ConfigDict, bool]:
    """`common.begin` without an optimizer; a minibatch is all of the training split.

    Of smaller ones `config.model.forgetting`, the model's field, says what they make together.
    """
    config, debug = common.begin(argument, default)
    config.hypers = ConfigDict(dict(ema_half_life=0.0))
    del config.train['optimizer'], config.train['precision']
    config.train.batch_size = 0
    return config, debug


def fit_once(config: ConfigDict) -> None:
    """Settings of a closed form: one step on all examples."""
    cadences = ('steps', 'steps_per_dispatch', 'evaluate_every', 'checkpoint_every')
    config.train.update(dict.fromkeys(cadences, 1))


def check_forgetting(config: ConfigDict) -> None:
    """Refuses what is no exponent.

    Raises:
      UserError: names the field.
    """
    forgetting = config.model.forgetting
    if not 0 <= forgetting <= 1:
        raise UserError(f'config.model.forgetting={forgetting}: it is from 0 to 1')


def check_density(config: ConfigDict, spec: Spec, otherwise: str = '') -> None:
    """Refuses levels, of which a density is no likelihood, and variances that may vanish.

    Raises:
      UserError: says what else can be done, `otherwise` among it.
    """
    if spec.levels is not None:
        raise UserError(
            f'{config.data.name} has {spec.levels} levels, and a density is no likelihood of such '
            f"data: config.data.dequantize='uniform'{otherwise}"
        )
    if not config.model.variance_floor > 0:
        raise UserError(f'config.model.variance_floor={config.model.variance_floor}: it is above 0')
