"""Sequence VAE: codes of items, texts that end (Bowman et al. 2016).

    python main.py --config=configs/sequence_vae.py

Results on the 1,376 test names of characters (one seed; +- is the standard error over names): -ELBO
21.4 +- 0.3 nats, of which the KL is 7.8 and the reconstruction 13.7; NLL 19.5 +- 0.3 nats
(importance-weighted, k = 50); 16 of 16 units are active. The GRU of configs/char_gru.py without
z, with the same width, batches, steps and learning rate, has an exact NLL of 17.7 +- 0.3 nats.
Takes three minutes of CPU time.

With and without what works against a collapsed posterior, 400 steps on names of at most 32 symbols
(--config.data.max_length=32 --config.data.too_long=leave_out; one seed, 1,007 test names). The GRU
without z has 19.2 +- 0.4 nats. Each run takes about 40 seconds of CPU time.

| free nats | warm-up, steps | word dropout | -ELBO | NLL | KL | reconstruction | active units |
|---|---|---|---|---|---|---|---|
| 0 | 0 | 0 | 19.0 +- 0.4 | 19.0 | 0.01 | 19.0 | 0 |
| 0 | 150 | 0 | 19.0 +- 0.4 | 19.0 | 0.11 | 18.9 | 8 |
| 0 | 0 | 0.3 | 23.1 +- 0.4 | 23.1 | 0.05 | 23.1 | 1 |
| 0.5 | 0 | 0 | 23.0 +- 0.4 | 20.6 | 7.5 | 15.4 | 16 |
| 0.5 | 150 | 0 | 22.7 +- 0.4 | 20.4 | 7.4 | 15.3 | 16 |
| 0.5 | 150 | 0.1 | 24.2 +- 0.4 | 21.9 | 7.5 | 16.7 | 16 |

So free nats keep the code in use, and the bound pays for them. Word dropout costs nats and does not
help in so few steps: it is off by default. In the last row, an encoder that reads its last states
(model.pooling=last) makes no difference: -ELBO 24.0 +- 0.4, NLL 21.8.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import MAX_UNROLLED, UserError, share
from configs.shared import common, needs, text_models
from models.autoencoders.sequence_networks import Decoder, Encoder, decoder_parts
from models.autoencoders.sequence_vae import SequenceNetworks, sequence_vae

DATA = {  # overrides of the defaults, by data set
    'molecules': {
        'model': dict(encoder_width=256, decoder_width=512, latent_dim=64),
        'hypers': dict(decay_steps=20_000.0, kl_warmup_steps=4000.0),
        'train': dict(steps=20_000, batch_size=256, evaluate_every=1000, checkpoint_every=1000),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is a source of items: lines, molecules, tunes."""
    config, debug = common.begin(argument, default='lines')
    text_models.add_items(config)
    config.data.is_packed = False  # whether a row holds several items; each needs its own code
    config.model = ConfigDict(
        dict(
            latent_dim=16,  # dimensions of z
            encoder_width=64,  # units of a layer of the encoder in each direction
            decoder_width=128,  # units of a layer of the decoder
            layers=1,  # number of layers of the encoder in each direction, and of the decoder
            # what the encoder takes of its units: max (over the item) | last (at its end)
            pooling='max',
        )
    )
    config.hypers.update(
        learning_rate=8e-3,
        learning_rate_end=1e-4,
        warmup_steps=50.0,
        decay_steps=1200.0,
        clip_norm=100.0,
        adam_beta2=0.99,
        beta=1.0,  # weight of the KL; 1: the evidence lower bound
        # number of steps over which the weight rises from 0 to beta; 0: none
        kl_warmup_steps=400.0,
        free_nats=0.5,  # KL in nats below which a dimension's cost is constant
        word_dropout=0.0,  # probability that the decoder does not read a token in training
    )
    config.train.update(
        steps=1200,
        batch_size=64,
        evaluate_every=200,
        checkpoint_every=200,
        best_metric='elbo_nats',
    )
    config.eval.update(
        batch_size=200,
        # number of importance samples of the log-likelihood (IWAE bound)
        num_importance_samples=50,
        # number of importance samples computed at a time; fewer need less memory
        importance_chunk=10,
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.update(latent_dim=2, encoder_width=8, decoder_width=16)
        config.eval.num_importance_samples = 4
    return config.lock()


def get_sweep() -> list[str]:
    """Returns the default axes of --mode=sweep."""
    return ['hypers.free_nats=0,0.5', 'hypers.word_dropout=0,0.1', 'seed=0:4']


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the VAE of `config` for data described by `spec`.

    Raises:
      UserError: the data are not items, one in a row, or a setting is invalid.
    """
    needs.items(config, spec)
    if config.data.is_packed:
        raise UserError('a sequence VAE has a code for each row: set config.data.is_packed=False')
    common.check_hypers(config)
    share('hypers.word_dropout', config.hypers.word_dropout)
    layers, latent_dim = common.size(config, 'layers', most=MAX_UNROLLED), config.model.latent_dim
    encoder_width, decoder_width = (
        common.size(config, f'{net}_width') for net in ('encoder', 'decoder')
    )
    is_pooled = common.choice(config, 'pooling', {'max': True, 'last': False})
    size, dtype = spec.levels, common.precision(config)
    encoder = Encoder(size, encoder_width, layers, latent_dim, is_pooled, dtype)
    decoder = decoder_parts(Decoder(size, decoder_width, layers, dtype), latent_dim, spec)
    return sequence_vae(
        SequenceNetworks(encoder, decoder, latent_dim),
        text_models.sampling_options(config),
        config.eval.num_importance_samples,
        config.eval.importance_chunk,
    )
