"""Super-resolution by a CNN (Kim et al. 2016): 4x4 to 8x8 digits.

    python main.py --config=configs/super_resolution_regressor.py
    python main.py --mode=super_resolve --workdir=runs/super_resolution_regressor-digits

The model is deterministic. Results of `super_resolve` on all 447 digits of the test split, mean and
standard deviation over 3 seeds: PSNR 19.46 +- 0.02 dB, SSIM 0.911 +- 0.001; after downsampling, the
PSNR to the input is 34.0 +- 0.1 dB. For bicubic interpolation, these three values are 13.51 dB,
0.614 and 25.1 dB. Takes about two minutes of CPU time. MNIST (`:mnist`, 7x7 to 28x28) is not
measured yet.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.data.low_resolution import check_factor
from configs.shared import common, tokens
from configs.super_resolution import FACTORS
from models.supervised.super_resolution_regressor import RegressorParts, Residual, regressor

DATA = {  # overrides of the defaults, by data set
    'digits': {
        'hypers': dict(decay_steps=1000.0),
        'train': dict(steps=1000, batch_size=96, evaluate_every=100, checkpoint_every=500),
    },
}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            factor=FACTORS.get(config.data.name, 4),  # downsampling factor of each side
            channels=(64, 64, 64, 64),  # channels of all convolutions but the last
            kernel_size=3,  # height and width of a kernel
            activation='relu',  # activation: relu | tanh | gelu | silu | softplus | leaky_relu
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
        )
    )
    config.hypers.update(decay_steps=20_000.0, clip_norm=1.0, ema_half_life=10_000.0)
    config.train.update(
        steps=20_000,
        batch_size=128,
        evaluate_every=1000,
        checkpoint_every=1000,
        best_metric='squared_error',
        best_mode='min',
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        common.shrink(config)
        config.model.channels = (8,)
    return config.lock()


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the regressor of `config` for data described by `spec`."""
    factor = config.model.factor
    check_factor(factor, spec, config.data.name)
    tokens.check_numbers(config, spec)
    network = Residual(
        factor,
        **common.conv_shapes(config),
        **common.conv_form(config),
        **common.network_options(config),
    )
    return regressor(RegressorParts(network, spec, factor))
