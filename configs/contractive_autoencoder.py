"""Contractive autoencoder (Rifai et al. 2011): penalizes the encoder Jacobian.

    python main.py --config=configs/contractive_autoencoder.py

Results on the digits, mean and standard deviation over 3 seeds: ||dh/dx||^2 of test images is
2.0 +- 0.3, at a half squared error of 1.08 +- 0.04 in units of [0, 1]. With
--config.hypers.contraction=0 the two are 4.8 and 0.83 (one seed). Takes about 12 seconds on two CPU
cores.
"""

from ml_collections import ConfigDict

from configs import autoencoder

build = autoencoder.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source."""
    config = autoencoder.get_config(argument)
    config.model.update(
        contraction='auto',
        code_activation='sigmoid',
        tied=True,  # otherwise larger decoder weights would undo the contraction
    )
    return config
