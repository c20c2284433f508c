"""Character-level transformer (Vaswani et al. 2017; Radford et al. 2019).

    python main.py --config=configs/char_lm.py
    python main.py --config=configs/char_lm.py --config.data.path=tinyshakespeare.txt \\
        --config.data.split_by=order

On the last tenth of the help topics of Python 3.11 (the language reference that `help()` shows),
the NLL is 1.205 +- 0.016 nats per character (one seed; +- is the standard error over windows).
This is the exact NLL of a model whose context is at most the 63 characters before. An n-gram model
with four characters of context has 1.320. Takes two minutes on two CPU cores. Tiny Shakespeare
takes longer: the NLL is 1.604 +- 0.007 after 3,000 steps with the learning rate below, in nine
minutes, and 1.438 +- 0.002 of a refit on validation too, as others train on it (mean and standard
deviation of three seeds). Over nanoGPT's random windows the refit has 1.487 +- 0.002:

    --config.train.steps=3000 --config.hypers.decay_steps=3000 \\
        --config.hypers.learning_rate=1e-2 --config.hypers.learning_rate_end=0.0 --refit

    python main.py --config=configs/char_lm.py:lines

On names of characters, items that end, the exact NLL is 16.57 +- 0.29 nats per name, 0.593 +- 0.011
per symbol (one seed; +- is the standard error over names). Takes four minutes of CPU time.

The GPU setting of nanoGPT (published: 1.47 on our test split, by another rule, see docs/text.md)
was not run with this code:

    --config.data.context=256 --config.model.blocks=6 --config.model.heads=6 \\
        --config.model.width=384 --config.model.dropout=0.2 --config.model.is_rotary=False \\
        --config.model.embedding_deviation=0.02 --config.train.optimizer=adam \\
        --config.train.batch_size=64 --config.train.steps=5000 \\
        --config.train.precision=bfloat16 --config.hypers.learning_rate=1e-3 \\
        --config.hypers.decay_steps=5000 --config.hypers.weight_decay=0.1
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, needs, text_models
from configs.shared.transformers import transformer_of
from models.autoregressive.causal_transformer import transformer_parts
from models.autoregressive.language_model import language_model

DATA = {  # overrides of the defaults, by data set
    'lines': {
        'hypers': dict(decay_steps=500.0),
        'train': dict(steps=500, batch_size=8),  # as many characters as of a text
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is text, lines, molecules or tunes."""
    config, debug = common.begin(argument, default='text')
    text_models.add_data(config)
    config.model = ConfigDict(
        dict(
            width=128,  # dimensions of a token
            blocks=4,  # number of transformer blocks
            heads=4,  # attention heads per block, a divisor of the width
            # initial standard deviation of the embeddings, about that of a block's output
            embedding_deviation=0.3,
            dropout=0.0,  # dropout rate in training
            is_rotary=True,  # whether positions are embedded by rotation; False: by a learned table
            is_tied=False,  # whether the embedding shares the weights of the output layer
            # whether items are given their label or condition, if they are not packed
            is_conditional=False,
        )
    )
    config.hypers.update(
        learning_rate=3e-3,
        learning_rate_end=1e-4,
        warmup_steps=100.0,
        decay_steps=500.0,
        clip_norm=1.0,
        weight_decay=0.3,
        adam_beta2=0.99,
    )
    config.train.update(
        steps=500,
        batch_size=32,
        evaluate_every=250,
        checkpoint_every=250,
        # optimizer: adam | muon; Adam needs 5,000 steps for what Muon reaches in 800
        optimizer='muon',
        best_metric='log_prob_nats',
    )
    config.eval.batch_size = 100
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(width=16, heads=2)
        text_models.shrink_rows(config)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    needs.text(config, spec)
    num_classes = text_models.num_classes_of(config, spec)
    parts = transformer_parts(transformer_of(config, spec, num_classes), spec)
    return language_model(parts, text_models.sampling_options(config))
