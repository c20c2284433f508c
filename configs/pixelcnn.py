"""PixelCNN (van den Oord et al. 2016): autoregressive masked convolutions.

    python main.py --config=configs/pixelcnn.py

On the test split of the digits (17 grey levels), the exact NLL is 85.87 +- 0.56 nats (seed 0; +- is
the standard error over examples). Takes 46 seconds of CPU time, or two minutes on two CPU cores
with a fourfold load of other work. On dynamically binarised MNIST (`:mnist`) the NLL is 92.95 +-
0.21 nats after 10,000 steps of batch size 64, in less than half an hour on two cores. The published
value is 81.45 nats, with --config.model.blocks=15 --config.train.batch_size=256 and 457 epochs.
"""

from collections.abc import Callable

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from configs.shared import common, needs, tokens
from models.autoregressive.autoregressive import AutoregressiveParts, autoregressive
from models.autoregressive.causal_conv import CausalConvOptions, margin_of
from models.autoregressive.pixelcnn import PixelCNN, pixelcnn
from models.autoregressive.raster_scan import PixelNetwork, raster_scan_parts

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'hypers': dict(decay_steps=1500.0),
        'train': dict(steps=1500, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
    'mnist': {  # small enough for a CPU; the paper has 15 blocks, 457 epochs, batch size 256
        'data': dict(binarize='stochastic'),
        'hypers': dict(decay_steps=10_000.0),
        'train': dict(steps=10_000, batch_size=64),
    },
    'codes': {  # tokens of a VQ-VAE
        'model': dict(first_kernel_size=5),
        'hypers': dict(decay_steps=1000.0),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA: any source of images: digits, mnist, cifar10, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            blocks=5,  # number of residual blocks
            width=16,  # features of a convolution, divided among the image channels
            head_width=32,  # features of the last hidden layer
            first_kernel_size=7,  # height and width of the first convolution
            kernel_size=3,  # height and width of all other convolutions
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            # distribution of x: bernoulli | binomial | categorical | gaussian |
            # discretized_logistic_mixture | auto
            observation='auto',
            mixture_components=2,  # number of components of discretized_logistic_mixture
            # whether the model is p(x | label), which classifies by Bayes' rule
            is_conditional=False,
        )
    )
    config.hypers.update(decay_steps=20_000.0, learning_rate_end=1e-4)
    config.train.update(
        steps=20_000,
        batch_size=256,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='log_prob_nats',
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant."""
    common.shrink(config)
    config.model.update(blocks=1, width=4, head_width=4)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    return autoregressive(parts_of(config, spec))


def parts_of(
    config: ConfigDict, spec: Spec, network_of: Callable | None = None
) -> AutoregressiveParts:
    """Returns the network and its sampling steps; `network_of` replaces the plain PixelCNN."""
    needs.images(config, spec, 'use configs/made.py')
    model, num_classes = config.model, common.num_classes_of(config, spec)
    options = CausalConvOptions(
        spec.image_shape[2], dtype=common.precision(config), **common.conv_form(config)
    )
    observation = tokens.observation_of(config, spec)
    network = (network_of or plain)(config, observation.size, options, num_classes)
    are_tokens = tokens.are_tokens(config, spec)
    return raster_scan_parts(network, observation, spec, model.is_conditional, are_tokens)


def margins_of(config: ConfigDict) -> dict:
    """Returns how far kernels reach from their centre, as keyword arguments of a network."""
    model = config.model
    return dict(
        first_margin=margin_of('model.first_kernel_size', model.first_kernel_size),
        margin=margin_of('model.kernel_size', model.kernel_size),
    )


def plain(
    config: ConfigDict, size: int, options: CausalConvOptions, num_classes: int
) -> PixelNetwork:
    """Returns the PixelCNN, with `size` output parameters per channel."""
    model = config.model
    network = PixelCNN(
        size=size,
        blocks=model.blocks,
        width=model.width,
        head_width=model.head_width,
        options=options,
        num_classes=num_classes,
        **margins_of(config),
    )
    return pixelcnn(network)
