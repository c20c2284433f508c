"""Shared by configs of language models: windows of a text, and token sampling."""

from ml_collections import ConfigDict

from models.autoregressive.token_sampling import SamplingOptions


def add_text(config: ConfigDict) -> None:
    """Adds the fields of config.data for the source `text`, and those of token sampling."""
    config.data.update(
        context=64,  # characters per window, an even number
        # by order, fraction of the training part, at its end, held out for validation. By either
        # rule, 0: training has the validation text too
        valid_share=0.05,
    )
    # number of random windows whose mean loss is nanoGPT's estimate (it takes 200 batches); 0: none
    config.eval.random_windows = 0
    config.eval.sampler = ConfigDict(
        dict(
            temperature=1.0,  # divisor of the logits; 0: always the most likely token
            top_k=0,  # number of most likely tokens to draw from; 0: all
            top_p=1.0,  # total probability of the most likely tokens to draw from; 1: all
        )
    )


def sampling_options(config: ConfigDict) -> SamplingOptions:
    """Returns how tokens are sampled."""
    sampler = config.eval.sampler
    return SamplingOptions(
        temperature=sampler.temperature, top_k=sampler.top_k, top_p=sampler.top_p
    )
