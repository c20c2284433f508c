"""Shared by configs of language models: windows of a text, and how symbols are drawn."""

from ml_collections import ConfigDict

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


def draws_of(config: ConfigDict) -> Draws:
    """How symbols are drawn."""
    sampler = config.eval.sampler
    return Draws(temperature=sampler.temperature, top_k=sampler.top_k, top_p=sampler.top_p)
