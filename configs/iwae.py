"""Importance weighted autoencoder (Burda et al. 2015).

    python main.py --config=configs/iwae.py

This is a VAE whose bound averages several importance weights. Results on the test split of the
digits (17 grey levels), mean and standard deviation over 3 seeds: upper bound on the NLL with 5
samples 90.5 +- 0.3 nats, NLL 87.1 +- 0.2 nats (importance-weighted, k = 500; configs/vae.py: 88.3).
Takes about 25 seconds on two CPU cores.

`:mnist` is the paper's setting with one stochastic layer. Training has eight stages of 1, 3, 9,
..., 2,187 passes over the data. From one stage to the next, the learning rate is multiplied by
10^(-1/7) (the paper rounds it to tenths of 1e-4). A smaller `--config.train.steps` ends training
earlier: 100,000 steps cover the first four stages and give an NLL of 91.9 +- 0.2 nats (one seed, k
= 500; training with one sample: 93.5), in 13 minutes.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs import vae as plain
from configs.shared import common
from models.autoencoders.vae_objectives import doubly_reparameterized, importance_weighted

STAGES = 8
PASS_STEPS = 2500  # steps per pass over 50,000 training images in batches of 20
PAPER = {
    'data': dict(num_valid=10_000),
    'model': dict(latent_dim=50, hidden_sizes=(200, 200), activation='tanh'),
    'hypers': dict(
        learning_rate=1e-3,
        decay_steps=0.0,
        adam_eps=1e-4,
        **{f'milestone_{i}': PASS_STEPS * (3.0**i - 1) / 2 for i in range(1, STAGES)},
        milestone_factor=10 ** (-1 / 7),
    ),
    'train': dict(
        steps=PASS_STEPS * (3**STAGES - 1) // 2,
        batch_size=20,
        evaluate_every=PASS_STEPS * 5,
        checkpoint_every=PASS_STEPS * 5,
    ),
    'eval': dict(num_importance_samples=5000),
}
ESTIMATORS = {'iwae': importance_weighted, 'dreg': doubly_reparameterized}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source."""
    name, debug = common.parse_argument(argument, default='digits')
    config = plain.get_config(name)
    with config.unlocked():
        for name in ('beta', 'kl_warmup_steps', 'free_nats'):
            del config.hypers[name]
        config.model.update(
            num_samples=5,  # samples in the bound; 1: a VAE
            # estimator of the encoder's gradient: iwae | dreg (Tucker et al. 2019)
            estimator='iwae',
        )
        config.train.best_metric = 'importance_weighted_bound_nats'
        if config.data.name == 'mnist':
            config.update(PAPER)
        if debug:
            plain.shrink(config)
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the autoencoder of `config` for data described by `spec`."""
    estimator = common.choice(config, 'estimator', ESTIMATORS)
    objective = estimator(config.model.num_samples)
    return plain.assemble(config, spec, objective, **plain.bodies(config))
