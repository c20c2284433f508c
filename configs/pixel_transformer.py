"""Causal transformer over pixels (Image GPT, Chen et al. 2020).

    python main.py --config=configs/pixel_transformer.py

Sampling caches keys and values. On the test split of the digits (17 grey levels), the exact NLL is
85.40 +- 0.41 nats over 2 seeds (85.69 and 85.11). Takes 133 seconds of CPU time on two free cores,
evaluation included. MNIST (`:mnist`, 20,000 steps of batch size 64, meant for a GPU) is not
measured.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, needs
from configs.shared.transformers import transformer_of
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive
from models.autoregressive.causal_transformer import transformer_parts

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'model': dict(blocks=2, dropout=0.1),
        'hypers': dict(learning_rate=2e-3, decay_steps=600.0, warmup_steps=50.0),
        'train': dict(steps=600, batch_size=96, evaluate_every=100, checkpoint_every=300),
    },
    'mnist': {'data': dict(binarize='stochastic')},
    'codes': {  # tokens of a VQ-VAE
        'model': dict(dropout=0.4),
        'hypers': dict(decay_steps=1000.0, learning_rate_end=1e-5),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any discrete source: digits, mnist, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            width=64,  # dimensions of a token
            blocks=4,  # number of transformer blocks
            heads=4,  # attention heads per block, a divisor of the width
            # initial standard deviation of the embeddings; with 0.3 the model overfits
            embedding_deviation=0.02,
            dropout=0.0,  # dropout rate of embedded tokens and block outputs in training
            # whether positions are embedded by rotation; False: by a learned table
            is_rotary=False,
            is_tied=False,  # whether the embedding shares the weights of the output layer
            # whether the model is p(x | label), with class-conditional samples
            is_conditional=False,
        )
    )
    config.hypers.update(decay_steps=20_000.0, warmup_steps=200.0)
    config.train.update(
        steps=20_000,
        batch_size=64,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='log_prob_nats',
    )
    # number of examples at a time; attention stores a weight for every pair of pixels
    config.eval.batch_size = 100
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(width=8, blocks=1, heads=2)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    return autoregressive(parts_of(config, spec))


def parts_of(config: ConfigDict, spec: Spec) -> AutoregressiveParts:
    """Returns the network and its sampling steps, as arguments of `autoregressive`."""
    needs.levels(config, spec, 'use configs/made.py')
    num_classes = common.num_classes_of(config, spec)
    return transformer_parts(transformer_of(config, spec, num_classes), spec)
