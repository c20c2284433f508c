"""Fully connected autoencoder (Baldi and Hornik 1989; Hinton and Salakhutdinov 2006).

    python main.py --config=configs/autoencoder.py

Results on the digits with layers 64-256-8-256-64, mean and standard deviation over 3 seeds: the
error 1/2 ||x - x^||^2 of test images in [0, 1] is 0.526 +- 0.007 (PCA with 8 components: 0.810 by
`python -m benchmarks.pca_error`). Takes about 8 seconds on two CPU cores.

`:mnist` is the 784-32-784 network of the Keras tutorial (Chollet 2016, Building Autoencoders in
Keras), trained by cross-entropy. Results of one seed on the test split: cross-entropy 74.1,
half squared error 4.13 (PCA with 32 components: 6.60). Takes about 4 minutes. For a
784-512-2-512-784 network, give --config.model.hidden_sizes="(512,)" --config.model.latent_dim=2
--config.model.code_activation=none.
"""

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.corruption import NOISES, check_strengths
from atelier.data.dataset import Spec
from configs.shared import common, tokens
from models.autoencoders.autoencoder import AutoencoderParts, autoencoder, contraction_penalties
from models.autoencoders.networks import Pair, TiedMLP, linear
from models.nets import mlp

CODE_ACTIVATIONS = {'none': linear, 'sigmoid': nn.sigmoid, **common.ACTIVATIONS}
DATA = {  # overrides of the defaults, by data set
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
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, arrays, folder, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            latent_dim=32,  # dimensions of the code
            # units of the encoder's layers; the decoder has them in reverse order
            hidden_sizes=(512,),
            activation='relu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            code_activation='none',  # activation of the code: none | sigmoid | one of activation
            tied=False,  # whether the decoder uses the encoder's weights, transposed
            # loss: squared_error (1/2 ||x - x^||^2) | cross_entropy (for data in an interval)
            loss='squared_error',
            corruption='none',  # noise on the input: none | gaussian | masking | salt_and_pepper
            # penalty on ||dh/dx||^2: none | exact | probes | auto (exact for small codes)
            contraction='none',
            contraction_probes=4,  # number of random probes that estimate the penalty
        )
    )
    # standard deviation of gaussian noise, else the fraction of corrupted values
    config.hypers.corruption = 0.5
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
    config.eval.corruption = 0.5  # corruption of x in the reported errors, as hypers.corruption
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant of an autoencoder."""
    common.shrink(config)
    config.model.update(latent_dim=2, hidden_sizes=(16,), contraction_probes=2)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the autoencoder of `config` for data described by `spec`."""
    network, hidden = common.network_options(config), common.sizes(config, 'hidden_sizes')
    latent_dim = common.size(config, 'latent_dim')
    of_code = common.choice(config, 'code_activation', CODE_ACTIVATIONS)
    if config.model.tied:
        net = TiedMLP(hidden, latent_dim, spec.event_shape, code_activation=of_code, **network)
    else:
        encoder = mlp.MLP(hidden, (latent_dim,), **network)
        decoder = mlp.MLP(hidden[::-1], spec.event_shape, **network)
        net = Pair(encoder, decoder, of_code)
    return assemble(config, spec, net)


def assemble(config: ConfigDict, spec: Spec, net, map_shape: tuple[int, ...] = ()) -> Family:
    """Builds the autoencoder from a network with the methods `encode` and `decode`.

    `map_shape` is that of codes which are flat feature maps.
    """
    tokens.check_numbers(config, spec)
    corrupt = common.choice(config, 'corruption', {'none': None, **NOISES})
    if corrupt is not None:
        strengths = dict(hypers=config.hypers.corruption, eval=config.eval.corruption)
        check_strengths(corrupt, spec, **strengths)
    penalties = contraction_penalties(config.model.contraction_probes)
    return autoencoder(
        AutoencoderParts(
            net=net,
            spec=spec,
            loss=config.model.loss,
            corrupt=corrupt,
            strength=config.eval.corruption,
            penalty=common.choice(config, 'contraction', penalties),
            map_shape=map_shape,
        )
    )
