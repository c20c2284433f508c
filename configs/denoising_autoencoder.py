"""Denoising autoencoder (Vincent et al. 2008): restores corrupted images.

    python main.py --config=configs/denoising_autoencoder.py

Results on digits in [0, 1] with Gaussian noise of standard deviation 0.5, mean and standard
deviation over 3 seeds: 1/2 ||x - x^||^2, where x is the clean test image, is 1.313 +- 0.008 for
noisy inputs (8.0 before denoising) and 0.89 +- 0.03 for clean inputs. Takes about 19 seconds on two
CPU cores.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.errors import UserError
from configs import conv_autoencoder


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the autoencoder of `config` for data described by `spec`."""
    if config.model.corruption == 'none':
        raise UserError("config.model.corruption='none': use configs/conv_autoencoder.py")
    return conv_autoencoder.build(config, spec)


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images or signals."""
    config = conv_autoencoder.get_config(argument)
    config.model.corruption = 'gaussian'
    config.train.best_metric = 'denoising_squared_error'
    return config
