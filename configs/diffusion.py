"""Class-conditional diffusion model (Ho et al. 2020; Karras et al. 2022).

    python main.py --config=configs/diffusion.py
    python main.py --mode=sample --workdir=runs/diffusion-digits --labels=all

Results on the test split of the 8x8 digits (17 grey levels), mean and standard deviation over 3
seeds: the Frechet distance is 10.8 +- 0.5 in the features of a run of `configs/classifier.py` (VAE:
17.6, GAN: 12.6, real data: 6.8); 98.5 +- 0.7 % of the samples are classified as the requested
class; a classifier trained on samples has an accuracy of 94.4 +- 1.5 %. The upper bound on the NLL
given the label is 232.5 +- 0.4 nats (100 diffusion times). It is far above the bound of a VAE,
because the unweighted training loss gives little weight to the least significant bits. Takes two
and a half minutes on two CPU cores shared with other work. MNIST (`:mnist`, a U-Net) is measured
only with a reduced budget (docs/results.md).
"""

from collections.abc import Callable

import flax.linen as nn
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from atelier.data.sources import SIMULATORS
from atelier.errors import choose
from configs.shared import common, needs, tokens
from configs.shared.diffusion_process import prediction_of, process_of
from configs.shared.diffusion_sampling import sampling_of
from models.diffusion.denoiser import DenoiserNetworks, data_std
from models.diffusion.diffusion import Likelihood, diffusion
from models.diffusion.noise_embedding import ConditionedMLP
from models.diffusion.unet import UNet, UNetOptions
from models.nets.conditioning import num_vectors
from models.nets.conv_encoder_decoder import spatial_shape
from models.nets.patches import check_patch

DATA = {  # overrides of the defaults, by data set
    'digits': {
        # a U-Net step takes twenty times as long, and 64 pixels hardly need one
        'model': dict(network='mlp', width=512),
        'hypers': dict(decay_steps=3000.0, ema_half_life=20_000.0),
        'train': dict(steps=3000, batch_size=96, evaluate_every=500, checkpoint_every=500),
    },
    'codes': {  # latent diffusion (Rombach et al. 2022); a map of 7x7 needs two resolutions
        'model': dict(channels=(64, 128), attention=(0, 1)),
        'hypers': dict(decay_steps=10_000.0),
        'train': dict(steps=10_000),
        'eval': dict(num_times=20),  # the bound on log p(x) has one draw of the codes as well
    },
    **dict.fromkeys(
        POINTS,
        {
            'model': dict(is_conditional=False, num_waves=16),
            'hypers': dict(decay_steps=3000.0),
            'train': dict(steps=3000, batch_size=512),
            'eval': dict(sampler=dict(steps=50)),  # cheap for a network this small
        },
    ),
    **dict.fromkeys(
        SIMULATORS,
        {
            'model': dict(num_waves=8, label_dropout=0.0),
            'hypers': dict(decay_steps=3000.0),
            'train': dict(steps=3000, batch_size=512),
            'eval': dict(likelihood='ode', ode_probes=0, sampler=dict(steps=50, clip=False)),
        },
    ),
}
LIKELIHOODS = {name: name for name in ('bound', 'ode')}


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source: digits, mnist, grid, arrays, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            network='auto',  # network: unet | mlp | auto (an MLP for vectors, else a U-Net)
            channels=(64, 128, 128),  # channels at each resolution of the U-Net, the finest first
            blocks=2,  # blocks per resolution of the U-Net, on the way down and on the way up
            attention=(1, 2),  # resolutions with attention; 0: the finest
            patch=1,  # side, in pixels, of the U-Net's input patches; 2 is about twice as fast
            # form of convolutions: matmul | lax | auto (the faster one on this backend)
            conv_form='auto',
            width=256,  # units of the MLP
            mlp_blocks=3,  # number of residual blocks of the MLP
            num_waves=0,  # Fourier features per dimension of x as inputs of the MLP; an even number
            is_conditional=True,  # whether x is modelled given its label or condition, if any
            label_dropout=0.1,  # fraction of training examples without their label, for guidance
            # noise schedule: linear | cosine | log_linear | learned | discrete | discrete_cosine |
            # straight | exploding
            schedule='cosine',
            noise_factor=1.0,  # sigma / alpha, relative to the schedule's; more for large pictures
            prediction='v',  # output of the network: eps | x | v | velocity | edm
            weighting='output',  # loss weights: output (none) | simple | min_snr | bound | edm
            # distribution of times in training: uniform | log_normal (sigma as in Karras et al.)
            times='uniform',
        )
    )
    config.hypers.update(
        decay_steps=50_000.0, warmup_steps=200.0, clip_norm=1.0, ema_half_life=100_000.0
    )
    config.train.update(
        steps=50_000,
        batch_size=128,
        evaluate_every=1000,
        checkpoint_every=1000,
    )
    config.eval.update(
        # log-likelihood to report: bound | ode (for real-valued or dequantised data)
        likelihood='bound',
        num_times=100,  # number of diffusion times drawn per example for the bound
        ode_steps=50,  # number of steps of the ODE likelihood
        ode_probes=1,  # number of random probes of the divergence; 0: exact
        sampler=ConfigDict(
            dict(
                # sampler: ancestral | ddim | dpm_solver_2 | dpm_solver_pp_2m | heun | euler
                name='dpm_solver_pp_2m',
                # number of sampling steps; dpm_solver_2 and heun evaluate the network twice a step
                steps=20,
                # grid of times: time | half_log_snr | karras | auto (set by sampler and schedule)
                grid='auto',
                guidance=1.0,  # weight of classifier-free guidance; 1: none
                eta=0.0,  # amount of noise, for ddim: 0 (none) to 1 (ancestral)
                churn=0.0,  # S_churn of Karras et al., for heun; 0: no noise
                clip=True,  # whether the predicted x is clipped to the data's interval
                resamples=10,  # number of times that inpainting repeats each step (RePaint)
            )
        ),
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """Shrinks `config` in place to the `debug` variant."""
    common.shrink(config)
    config.model.update(channels=(8, 8), attention=(1,), blocks=1, width=16, mlp_blocks=2)
    config.eval.update(num_times=2, ode_steps=3)
    config.eval.sampler.update(steps=4, resamples=2)


def build(config: ConfigDict, spec: Spec) -> Family:
    """Builds the diffusion model of `config` for data described by `spec`."""
    return build_with(network_of, config, spec)


def build_with(
    network_of: Callable, config: ConfigDict, spec: Spec, reads_words: bool = False
) -> Family:
    """Builds the diffusion model with the network `network_of(config, spec, num_classes)`.

    With `reads_words`, that network reads the tokens of captions.
    """
    tokens.check_numbers(config, spec)
    is_conditional = reads_words or config.model.is_conditional and num_vectors(spec) > 0
    std = data_std(spec)
    nets = DenoiserNetworks(
        network=network_of(config, spec, num_vectors(spec) if is_conditional else 0),
        prediction=prediction_of(config, std),
        spec=spec,
        is_conditional=is_conditional,
        reads_words=reads_words,
    )
    likelihood = Likelihood(
        kind=choose('eval.likelihood', config.eval.likelihood, LIKELIHOODS),
        num_times=config.eval.num_times,
        ode_steps=config.eval.ode_steps,
        ode_probes=config.eval.ode_probes,
    )
    return diffusion(nets, process_of(config, std), sampling_of(config), likelihood)


def network_of(config: ConfigDict, spec: Spec, num_classes: int) -> nn.Module:
    """Returns the network that `config.model.network` selects."""
    auto = unet_of if len(spec.event_shape) > 1 else mlp_of
    options = {'auto': auto, 'unet': unet_of, 'mlp': mlp_of}
    return common.choice(config, 'network', options)(config, spec, num_classes)


def mlp_of(config: ConfigDict, spec: Spec, num_classes: int) -> ConditionedMLP:
    """Returns the MLP, for data of any shape."""
    del spec
    return ConditionedMLP(
        width=config.model.width,
        blocks=config.model.mlp_blocks,
        num_classes=num_classes,
        num_waves=config.model.num_waves,
        dtype=common.precision(config),
    )


def unet_of(config: ConfigDict, spec: Spec, num_classes: int) -> UNet:
    """Returns the U-Net, for data with at least one axis."""
    model = config.model
    needs.axes(config, spec, "--config.model.network='mlp'")
    check_patch(model.patch, spatial_shape(spec.event_shape))
    return UNet(
        channels=tuple(model.channels),
        blocks=model.blocks,
        attention=tuple(model.attention),
        num_classes=num_classes,
        options=UNetOptions(dtype=common.precision(config), **common.conv_form(config)),
        patch=model.patch,
    )
