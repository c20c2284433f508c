"""Shared by configs of diffusion models: the noise process, and what the network predicts."""

from ml_collections import ConfigDict

from atelier.errors import UserError, above_zero
from configs.shared import common
from models.diffusion.diffusion import Process
from models.diffusion.learned_schedule import MonotoneHalfLogSnr
from models.diffusion.process import predictions, schedules, time_sampling, weightings

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
CAN_BE_NOISIER = ('linear', 'cosine', 'log_linear')  # variance preserving, in continuous time
NEEDED = (  # (field, value, other field, the value that the other one must have)
    ('schedule', 'learned', 'weighting', 'bound'),  # only the bound is invariant to the schedule
    ('schedule', 'discrete', 'times', 'uniform'),
    ('schedule', 'discrete_cosine', 'times', 'uniform'),
    ('schedule', 'exploding', 'times', 'log_normal'),  # noise hides x in most uniform times
    ('weighting', 'bound', 'times', 'uniform'),
)


def prediction_of(config: ConfigDict, std: float) -> predictions.Prediction:
    """Returns what the network predicts; `std` is the standard deviation of the data."""
    options = {**predictions.PREDICTIONS, 'edm': predictions.preconditioned(std)}
    return common.choice(config, 'prediction', options)


def schedule_of(config: ConfigDict) -> schedules.Schedule | MonotoneHalfLogSnr:
    """Returns the noise schedule, with more noise if `model.noise_factor` is above 1.

    Raises:
      UserError: the factor is not positive, or it is not 1 and the schedule is not to be changed.
    """
    schedule = common.choice(config, 'schedule', SCHEDULES)()
    factor = config.model.get('noise_factor', 1.0)  # absent in runs that began before there was one
    above_zero('model.noise_factor', factor)
    if factor == 1.0:
        return schedule
    if config.model.schedule not in CAN_BE_NOISIER:
        raise UserError(
            f'config.model.noise_factor={factor} needs config.model.schedule='
            f'{"|".join(CAN_BE_NOISIER)}, not {config.model.schedule!r}'
        )
    return schedules.with_more_noise(schedule, factor)


def process_of(config: ConfigDict, std: float) -> Process:
    """Returns the noise process and its training objective; `std` as in `prediction_of`.

    Raises:
      UserError: two choices are incompatible.
    """
    weighting_options = {
        'output': None,
        'simple': weightings.snr,  # the squared error of eps, whatever the network predicts
        'min_snr': weightings.truncated_snr(5.0),  # as in Hang et al. (2023)
        'bound': weightings.bound_for_training,
        'edm': weightings.unit_output(std),
    }
    times = {'uniform': time_sampling.uniform, 'log_normal': time_sampling.log_normal(-1.2, 1.2)}
    schedule = schedule_of(config)
    weighting = common.choice(config, 'weighting', weighting_options)
    time = common.choice(config, 'times', times)
    for field, value, other, needed in NEEDED:
        if config.model[field] == value and config.model[other] != needed:
            raise UserError(
                f'config.model.{field}={value!r} needs config.model.{other}={needed!r}, '
                f'not {config.model[other]!r}'
            )
    return Process(
        schedule=schedule,
        weighting=weighting,
        time=time_sampling.on_steps if getattr(schedule, 'num_steps', None) else time,
        label_dropout=config.model.get('label_dropout', 0.0),  # absent in a config without labels
    )
