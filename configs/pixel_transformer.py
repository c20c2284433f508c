"""A causal transformer over pixels (Chen et al. 2020, Image GPT), sampled with its keys kept.

    python main.py --config=configs/pixel_transformer.py

Test split of the digits, 17 grey levels as they are: 85.40 +- 0.41 nats over 2 seeds (85.69 and
85.11), exact; 133 seconds of CPU time in all, which two free cores
share. MNIST (`:mnist`, 20,000 steps of 64, meant for a GPU) is not measured.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, needs
from configs.shared.transformers import transformer_of
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive
from models.autoregressive.causal_transformer import transformer_parts

DATA = {  # what differs from the settings for any other data
    'digits': {
        'model': dict(blocks=2, dropout=0.1),
        'hypers': dict(learning_rate=2e-3, decay_steps=600.0, warmup_steps=50.0),
        'train': dict(steps=600, batch_size=96, evaluate_every=100, checkpoint_every=300),
    },
    'mnist': {'data': dict(binarize='stochastic')},
}


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/pixel_transformer.py:DATA[,debug]`, DATA any source of levels: digits, mnist, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            width=64,  # numbers of a token
            blocks=4,
            heads=4,  # divide the width
            embedding_deviation=0.02,  # of levels and places, at the start; of 0.3 it overfits
            dropout=0.0,  # share of the embedded tokens and of what a block adds, in training
            is_rotary=False,  # whether places turn queries and keys instead of having a table
            is_tied=False,  # whether the embedding of the levels is the last layer too
            is_conditional=False,  # a model of p(x | label), and samples by class
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
    config.eval.batch_size = 100  # attention remembers a number for every two pixels
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(width=8, blocks=1, heads=2)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """The model that `config` describes, for data as `spec` says."""
    return autoregressive(parts_of(config, spec))


def parts_of(config: ConfigDict, spec: Spec) -> AutoregressiveParts:
    """What it is made of."""
    needs.levels(config, spec, 'use configs/made.py')
    num_classes = common.num_classes_of(config, spec)
    return transformer_parts(transformer_of(config, spec, num_classes), spec)
