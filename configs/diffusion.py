"""Diffusion model (Ho et al. 2020; Karras et al. 2022) of 8x8 digits that sees the class.

    python main.py --config=configs/diffusion.py
    python main.py --mode=sample --workdir=runs/diffusion-digits --labels=all

Test split of the digits, 17 grey levels as they are, mean and standard deviation over 3 seeds: the
Frechet distance in the features of configs/classifier.py is 10.8 +- 0.5 (a VAE's 17.6, a GAN's
12.6, real data's 6.8), 98.5 +- 0.7 % of the samples are taken for the class that was asked for, and
a classifier trained on samples is right in 94.4 +- 1.5 %; the bound is 232.5 +- 0.4 nats given the
label (100 times), far above a VAE's, for the plain error that it is trained by cares little for the
last bits. Two and a half minutes on two CPU cores that others used. MNIST (`:mnist`, a U-Net) is
measured on a reduced budget alone (docs/results.md).
"""

from collections.abc import Callable

import flax.linen as nn
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data.dataset import POINTS, Spec
from atelier.errors import UserError, at_least, choose
from configs.shared import common
from configs.shared.diffusion_sampling import sampling_of
from models.diffusion.denoiser import Networks, data_std
from models.diffusion.diffusion import Likelihood, Process, diffusion
from models.diffusion.learned_schedule import MonotoneHalfLogSnr
from models.diffusion.noise_embedding import ConditionedMLP
from models.diffusion.process import predictions, schedules, time_sampling, weightings
from models.diffusion.unet import Kind, UNet
from models.nets.conv_encoder_decoder import spatial_shape
from models.nets.mlp import PRECISIONS

DATA = {  # what differs from the settings for any other data
    'digits': {
        # a step of a U-Net takes twenty times as long, and 64 pixels hardly need one
        'model': dict(network='mlp', width=512),
        'hypers': dict(decay_steps=3000.0, ema_half_life=20_000.0),
        'train': dict(steps=3000, batch_size=96, evaluate_every=500, checkpoint_every=500),
    },
    **dict.fromkeys(
        POINTS,
        {
            'model': dict(is_conditional=False, num_waves=16),
            'hypers': dict(decay_steps=3000.0),
            'train': dict(steps=3000, batch_size=512),
            'eval': dict(sampler=dict(steps=50)),  # which of such a network cost little
        },
    ),
}
SCHEDULES = {
    'linear': schedules.linear,
    'cosine': schedules.cosine,
    'log_linear': schedules.log_linear,
    'learned': lambda: MonotoneHalfLogSnr(6.65, -2.5),  # the ends of log_linear
    'discrete': schedules.discrete,
    'discrete_cosine': schedules.discrete_cosine,
    'straight': schedules.straight,
    'exploding': schedules.exploding,
}
ALSO = {'model.network': 'unet', 'train.best_metric': 'elbo_nats'}  # with them all fields are read
NEEDED = (  # where a field has a value, what another has to be
    ('schedule', 'learned', 'weighting', 'bound'),  # which alone does not change with it
    ('schedule', 'discrete', 'times', 'uniform'),
    ('schedule', 'discrete_cosine', 'times', 'uniform'),
    ('schedule', 'exploding', 'times', 'log_normal'),  # hardly any of the others sees x
    ('weighting', 'bound', 'times', 'uniform'),
)


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/diffusion.py:DATA[,debug]`, DATA any source: digits, mnist, grid, arrays, ..."""
    config, debug = common.begin(argument)
    config.model = ConfigDict(
        dict(
            network='auto',  # unet | mlp | auto: a U-Net of images
            channels=(64, 128, 128),  # of the U-Net's resolutions, the finest first
            blocks=2,  # of each resolution, on either way
            attention=(1, 2),  # resolutions (0 the finest) with attention
            patch=1,  # pixels of each axis that a U-Net sees as one: 2 is about twice as fast
            conv_form='auto',  # matmul | lax | auto, which is the backend's faster one
            width=256,  # of the MLP
            mlp_blocks=3,
            num_waves=0,  # sines and cosines of each number of x that the MLP sees, an even number
            is_conditional=True,  # sees the label, where there are labels
            label_dropout=0.1,  # share of the examples whose label is hidden, for guidance
            # linear | cosine | log_linear | learned | discrete | discrete_cosine | straight |
            # exploding
            schedule='cosine',
            prediction='v',  # eps | x | v | velocity | edm
            weighting='output',  # output (its plain error) | simple | min_snr | bound | edm
            times='uniform',  # uniform | log_normal (the sigma distribution of Karras et al.)
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
        likelihood='bound',  # bound | ode (of real-valued or dequantised data)
        num_times=100,  # of the bound, of each example
        ode_steps=50,
        ode_probes=1,  # 0: the exact divergence
        sampler=ConfigDict(
            dict(
                # ancestral | ddim | dpm_solver_2 | dpm_solver_pp_2m | heun | euler
                name='dpm_solver_pp_2m',
                steps=20,
                grid='auto',  # time | half_log_snr | karras | auto, by sampler and schedule
                guidance=1.0,  # weight of the class against any; 1: none
                eta=0.0,  # of ddim: noise, 1 as ancestral
                churn=0.0,  # of heun
                clip=True,  # what is known of x to the data's interval
                resamples=10,  # of each step in inpainting: how often it is taken
            )
        ),
    )
    config.update(DATA.get(config.data.name, {}))
    if debug:
        shrink(config)
    return config.lock()


def shrink(config: ConfigDict) -> None:
    """The `debug` variant."""
    common.shrink(config)
    config.model.update(channels=(8, 8), attention=(1,), blocks=1, width=16, mlp_blocks=2)
    config.eval.update(num_times=2, ode_steps=3)
    config.eval.sampler.update(steps=4, resamples=2)


def build(config: ConfigDict, spec: Spec) -> Family:
    """The diffusion model that `config` describes, for data as `spec` says."""
    return build_with(network_of, config, spec)


def build_with(network_of: Callable, config: ConfigDict, spec: Spec) -> Family:
    """Likewise, with the network `network_of(config, spec, num_classes)`."""
    is_conditional = config.model.is_conditional and spec.num_classes is not None
    if is_conditional:
        check_dropout(config.model.label_dropout, spec)
    network = network_of(config, spec, spec.num_classes if is_conditional else 0)
    nets = Networks(network, prediction_of(config, data_std(spec)), spec, is_conditional)
    process = process_of(config, data_std(spec))
    sampling = sampling_of(config, is_conditional, process.schedule)
    return diffusion(nets, process, sampling, likelihood_of(config, spec))


def check_dropout(share: float, spec: Spec) -> None:
    """Refuses to leave a class, or any of them, without training where it will be asked for."""
    if share == 1:
        raise UserError('config.model.label_dropout=1 hides every label: is_conditional=False')
    if spec.left_out and not share:
        raise UserError(
            'config.data.without_classes needs config.model.label_dropout above 0: a new class is '
            'seen as any'
        )


def network_of(config: ConfigDict, spec: Spec, num_classes: int) -> nn.Module:
    """A U-Net of images, an MLP of everything else."""
    auto = unet_of if len(spec.event_shape) > 1 else mlp_of
    options = {'auto': auto, 'unet': unet_of, 'mlp': mlp_of}
    make = choose('model.network', config.model.network, options)
    dtype = choose('train.precision', config.train.precision, PRECISIONS)
    return make(config, spec, num_classes, dtype)


def mlp_of(config: ConfigDict, spec: Spec, num_classes: int, dtype: DTypeLike) -> ConditionedMLP:
    """The MLP, of any event."""
    del spec
    model = config.model
    at_least(1, 'model.width', model.width)
    at_least(1, 'model.mlp_blocks', model.mlp_blocks)
    if model.num_waves < 0 or model.num_waves % 2:
        raise UserError(f'config.model.num_waves={model.num_waves}: give an even number, or 0')
    return ConditionedMLP(model.width, model.mlp_blocks, num_classes, model.num_waves, dtype)


def unet_of(config: ConfigDict, spec: Spec, num_classes: int, dtype: DTypeLike) -> UNet:
    """The U-Net, of anything that has an axis."""
    model = config.model
    common.check_convolvable(config, spec, "--config.model.network='mlp'")
    channels, attention = tuple(model.channels), tuple(model.attention)
    at_least(1, 'model.channels', *(channels or (0,)))
    at_least(1, 'model.blocks', model.blocks)
    check_patch(config, spec)
    if not {*attention} <= {*range(len(channels))}:
        raise UserError(
            f'config.model.attention={attention}: there are the resolutions 0 to '
            f'{len(channels) - 1} (config.model.channels)'
        )
    kind = Kind(dtype=dtype, **common.conv_form(config))
    return UNet(channels, model.blocks, attention, num_classes, kind, model.patch)


def check_patch(config: ConfigDict, spec: Spec) -> None:
    """Refuses patches that are no part of an image.

    Raises:
      UserError: names the field.
    """
    patch, space = config.model.patch, spatial_shape(spec.event_shape)
    at_least(1, 'model.patch', patch)
    if patch > min(space, default=1):
        raise UserError(f'config.model.patch={patch}: an example has {space} places')


def prediction_of(config: ConfigDict, std: float) -> predictions.Prediction:
    """What the network's output means."""
    options = {**predictions.PREDICTIONS, 'edm': predictions.preconditioned(std)}
    return choose('model.prediction', config.model.prediction, options)


def process_of(config: ConfigDict, std: float) -> Process:
    """How x becomes noise, and how training looks at it.

    Raises:
      UserError: an unknown name, or choices that do not go together.
    """
    model = config.model
    schedule = choose('model.schedule', model.schedule, SCHEDULES)()
    weighting = choose(
        'model.weighting',
        model.weighting,
        {
            'output': None,
            'simple': weightings.snr,  # the error of eps, whatever is predicted
            'min_snr': weightings.truncated_snr(5.0),  # the paper's
            'bound': weightings.bound_for_training,
            'edm': weightings.unit_output(std),
        },
    )
    dropout = model.get('label_dropout', 0.0)  # a config without labels has no such field
    if not 0 <= dropout <= 1:
        raise UserError(f'config.model.label_dropout={dropout}: it is a share, from 0 to 1')
    options = {'uniform': time_sampling.uniform, 'log_normal': time_sampling.log_normal(-1.2, 1.2)}
    time = choose('model.times', model.times, options)
    for field, value, other, needed in NEEDED:
        if model[field] == value and model[other] != needed:
            raise UserError(
                f'config.model.{field}={value!r} needs config.model.{other}={needed!r}, '
                f'and that is {model[other]!r}'
            )
    time = time_sampling.on_steps if getattr(schedule, 'num_steps', None) else time
    return Process(schedule, weighting, time, dropout)


def likelihood_of(config: ConfigDict, spec: Spec) -> Likelihood:
    """How log p(x) is told.

    Raises:
      UserError: an unknown name, numbers that cannot be, or a density of levels.
    """
    asked = config.eval
    choose('eval.likelihood', asked.likelihood, dict.fromkeys(('bound', 'ode')))
    at_least(1, 'eval.num_times', asked.num_times)
    at_least(1, 'eval.ode_steps', asked.ode_steps)
    at_least(0, 'eval.ode_probes', asked.ode_probes)
    if asked.likelihood == 'ode' and spec.levels is not None:
        raise UserError(
            "config.eval.likelihood='ode' is a density, and these data have "
            f'{spec.levels} levels: train with --config.data.dequantize=uniform'
        )
    return Likelihood(asked.likelihood, asked.num_times, asked.ode_steps, asked.ode_probes)
