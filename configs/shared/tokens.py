"""Tokens of another run as data (`config.data.name=codes`): levels whose order means nothing."""

from ml_collections import ConfigDict

from atelier.core.code_space import AUTO
from atelier.data.dataset import Spec
from atelier.data.sources import CODES
from atelier.errors import UserError
from models.shared.observations import Observation, observation_for

# observations of x whose values have an order
IN_ORDER = ('binomial', 'discretized_logistic_mixture', 'gaussian')


def are_tokens(config: ConfigDict, spec: Spec) -> bool:
    """Whether x are indices in the codebook of another run."""
    return config.data.name == CODES and spec.levels is not None


def check_numbers(config: ConfigDict, spec: Spec) -> None:
    """Refuses tokens as the data of a model that would take them for numbers.

    With `config.data.codes='tokens'` they were asked for, and are not refused.

    Raises:
      UserError: x are tokens only because the parent has a codebook.
    """
    if are_tokens(config, spec) and config.data.codes == AUTO:
        raise UserError(
            f'the codes of {config.data.run} are tokens, whose order means nothing, and this model '
            'would take them for numbers: give --config.data.codes=means for the vectors of the '
            'codebook, or a model of categories, such as configs/pixel_transformer.py:codes'
        )


def observation_of(config: ConfigDict, spec: Spec) -> Observation:
    """Returns the observation model that `config.model.observation` names.

    'auto' is as in `observation_for`, but categorical for tokens.

    Raises:
      UserError: as `observation_for`, or it would take tokens for numbers: see `check_numbers`.
    """
    name = config.model.observation
    if name == 'auto' and are_tokens(config, spec):
        name = 'categorical'
    if name in IN_ORDER:
        check_numbers(config, spec)
    return observation_for(name, spec, config.model.mixture_components)
