"""Super-resolution by diffusion (Saharia et al. 2022): 4x4 to 8x8 digits.

    python main.py --config=configs/super_resolution.py
    python main.py --mode=super_resolve --workdir=runs/super_resolution-digits

Results of `super_resolve` on all 447 digits of the test split, with 16 samples per digit, seed 0;
+- is the standard error. A sample has a PSNR of 18.90 +- 0.14 dB and an SSIM of 0.900; after
downsampling, its PSNR to the input is 36.8 dB. For the mean of 16 samples, these three values are
19.60 +- 0.15 dB, 0.909 and 40.0 dB; for bicubic interpolation 13.51 dB, 0.614 and 25.1 dB. The
deterministic regressor of configs/super_resolution_regressor.py has a PSNR of 19.46 dB and an SSIM
of 0.911. Takes two minutes on two CPU cores. MNIST (`:mnist`, a U-Net, 7x7 to 28x28) is not
measured yet.
"""

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import Spec
from atelier.data.low_resolution import check_factor
from configs import diffusion
from configs.shared import tokens
from configs.shared.diffusion_process import prediction_of, process_of
from configs.shared.diffusion_sampling import sampling_of
from models.diffusion.denoiser import DenoiserNetworks, data_std
from models.diffusion.super_resolution import super_resolution

FACTORS = {'digits': 2}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of images: digits, mnist, ..."""
    config = diffusion.get_config(argument)
    with config.unlocked():
        config.model.factor = FACTORS.get(config.data.name, 4)  # downsampling factor of each side
        del config.model.is_conditional, config.model.label_dropout
        del config.eval.sampler.guidance, config.eval.sampler.resamples
        for name in ('likelihood', 'num_times', 'ode_steps', 'ode_probes'):
            del config.eval[name]
    return config


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the model of `config` for data described by `spec`."""
    factor, std = config.model.factor, data_std(spec)
    check_factor(factor, spec, config.data.name)
    tokens.check_numbers(config, spec)
    network = diffusion.network_of(config, spec, num_classes=0)
    nets = DenoiserNetworks(network, prediction_of(config, std), spec)
    process = process_of(config, std)
    return super_resolution(nets, process, sampling_of(config), factor)
