"""Autoencoder with fully connected networks (Baldi and Hornik 1989; Hinton and Salakhutdinov 2006).

    python main.py --config=configs/autoencoder.py

The digits, 64-256-8-256-64, 3 seeds: 1/2 ||x - x^||^2 of test images in [0, 1] is 0.526 +- 0.007,
of PCA with 8 components 0.810 (`python -m benchmarks.pca_error`). About 8 seconds on two CPU cores.

`:mnist` is the 784-32-784 of the Keras tutorial (Chollet 2016, Building Autoencoders in Keras), by
cross-entropy. One seed: cross-entropy 74.1, half squared error 4.13, where PCA with 32 components
has 6.60; about 4 minutes. 784-512-2-512-784 is --config.model.hidden_sizes="(512,)"
--config.model.latent_dim=2 --config.model.code_activation=none.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.corruption import NOISES
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from configs.shared import common
from models.autoencoders.autoencoder import LOSSES, Parts, autoencoder, contraction_rule
from models.autoencoders.networks import CODE_ACTIVATIONS, Pair, TiedMLP
from models.nets import mlp

ALSO = {'model.corruption': 'masking', 'model.contraction': 'probes'}

DATA = {  # what differs from the settings for any other data
    'digits': {
        'model': dict(latent_dim=8, hidden_sizes=(256,)),
        'hypers': dict(decay_steps=1500.0),
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {
        'model': dict(hidden_sizes=(), code_activation='relu', loss='cross_entropy'),
        'hypers': dict(decay_steps=10_000.0),
        'train': dict(steps=10_000),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/autoencoder.py:DATA[,debug]`, DATA any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=32,
            hidden_sizes=(512,),
            activation='relu',
            code_activation='none',  # or sigmoid, relu, tanh, ...
            tied=False,  # whether the decoder's matrices are the encoder's, transposed
            loss='squared_error',  # 1/2 ||x - x^||^2 | cross_entropy, of data in an interval
            corruption='none',  # of what the encoder sees: gaussian | masking | salt_and_pepper
            # penalty on ||dh/dx||^2: none | exact | probes | auto (exact where codes are small)
            contraction='none',
            contraction_probes=4,
        )
    )
    config.hypers.corruption = 0.5  # deviation of the Gaussian, or share of changed numbers
    config.hypers.contraction = 0.1  # weight of the penalty
    config.hypers.decay_steps = 20_000.0
    config.train.update(
        steps=20_000,
        batch_size=256,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='squared_error',
        best_mode='min',
    )
    config.eval.corruption = 0.5  # as hypers.corruption, of the errors that are reported
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """The `debug` variant of an autoencoder."""
    common.shrink(config)
    config.model.update(latent_dim=2, hidden_sizes=(16,), contraction_probes=2)


def build(config: ConfigDict, spec: Spec) -> Family:
    """The autoencoder that `config` describes, for data as `spec` says."""
    model, network = config.model, common.network_options(config)
    hidden = tuple(model.hidden_sizes)
    at_least(1, 'model.hidden_sizes', *hidden)
    at_least(1, 'model.latent_dim', model.latent_dim)
    of_code = choose('model.code_activation', model.code_activation, CODE_ACTIVATIONS)
    if model.tied:
        net = TiedMLP(
            hidden, model.latent_dim, spec.event_shape, code_activation=of_code, **network
        )
    else:
        encoder = mlp.MLP(hidden, (model.latent_dim,), **network)
        decoder = mlp.MLP(hidden[::-1], spec.event_shape, **network)
        net = Pair(encoder, decoder, of_code)
    return assemble(config, spec, net)


def assemble(config: ConfigDict, spec: Spec, net) -> Family:
    """The autoencoder of a network that can `encode` and `decode`."""
    model = config.model
    loss = choose('model.loss', model.loss, {name: name for name in LOSSES})
    if spec.interval is None and loss == 'cross_entropy':
        raise UserError(
            f"config.model.loss='cross_entropy' needs data in a known interval and "
            f'{config.data.name} are real-valued: --config.model.loss=squared_error'
        )
    at_least(1, 'model.contraction_probes', model.contraction_probes)
    penalties = contraction_rule(model.contraction_probes)
    corrupt = choose('model.corruption', model.corruption, {'none': None, **NOISES})
    if corrupt is not None:
        check_strengths(config, spec)
    return autoencoder(
        Parts(
            net=net,
            spec=spec,
            loss=loss,
            corrupt=corrupt,
            strength=config.eval.corruption,
            penalty=choose('model.contraction', model.contraction, penalties),
        )
    )


def check_strengths(config: ConfigDict, spec: Spec) -> None:
    """Refuses a corruption that cannot be.

    Raises:
      UserError: a strength below 0, a share above 1, or salt and pepper for real-valued data.
    """
    how = config.model.corruption
    if how == 'salt_and_pepper' and spec.interval is None:
        raise UserError(
            f"config.model.corruption='salt_and_pepper' needs data in a known interval and "
            f'{config.data.name} are real-valued: choose gaussian or masking'
        )
    for group in ('hypers', 'eval'):
        strength = config[group].corruption
        at_least(0, f'{group}.corruption', strength)
        if how != 'gaussian' and strength > 1:
            raise UserError(f'config.{group}.corruption={strength}: it is a share, from 0 to 1')
