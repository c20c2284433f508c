"""Shared by configs of language models: windows of a text, and token sampling."""

from ml_collections import ConfigDict

from models.autoregressive.token_sampling import SamplingOptions


def add_text(config: ConfigDict) -> None:
    """Adds the fields of config.data for the source `text`, and those of token sampling."""
    config.data.update(
        context=64,  # characters per window, an even number
        # fraction of the training part, at its end, held out for validation; 0: train on all of it
        valid_share=0.05,
    )
    config.eval.sampler = ConfigDict(
        dict(
            temperature=1.0,  # divides the logits; 0: always the most likely token
            top_k=0,  # sample from this many most likely tokens; 0: from all
            top_p=1.0,  # sample from the smallest set with this total probability; 1: from all
        )
    )


def draws_of(config: ConfigDict) -> SamplingOptions:
    """Returns how tokens are sampled."""
    sampler = config.eval.sampler
    return SamplingOptions(
        temperature=sampler.temperature, top_k=sampler.top_k, top_p=sampler.top_p
    )
