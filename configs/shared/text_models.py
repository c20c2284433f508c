"""What the configs of language models share: windows of a text, and how symbols are drawn."""

from ml_collections import ConfigDict

from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least
from models.autoregressive.token_sampling import Draws


def add_text(config: ConfigDict) -> None:
    """Adds the fields of config.data that the source `text` takes, and those of drawing."""
    config.data.update(
        context=64,  # symbols of a window, an even number
        valid_share=0.05,  # of the training part, its end; 0: validation was trained on
    )
    config.eval.sampler = ConfigDict(
        dict(
            temperature=1.0,  # 0: the likeliest symbol
            top_k=0,  # of so many likeliest symbols; 0: of all
            top_p=1.0,  # of the fewest symbols of this probability together; 1: of all
        )
    )


def check_text(config: ConfigDict, spec: Spec) -> None:
    """Refuses what is no text.

    Raises:
      UserError: the data are something else.
    """
    if spec.symbols is None:
        raise UserError(
            f'{config.data.name} is no text: this model takes config.data.name=text, and with '
            "config.data.path a file of one's own; of images see configs/made.py"
        )


def draws_of(config: ConfigDict) -> Draws:
    """How symbols are drawn.

    Raises:
      UserError: names the field.
    """
    asked = config.eval.sampler
    for name in ('temperature', 'top_k', 'top_p'):
        at_least(0, f'eval.sampler.{name}', asked[name])
    if not 0 < asked.top_p <= 1:
        raise UserError(f'config.eval.sampler.top_p={asked.top_p}: it is above 0, and at most 1')
    return Draws(asked.temperature, asked.top_k, asked.top_p)
