"""Shared by configs of diffusion models: how x becomes noise, and what the network predicts."""

from ml_collections import ConfigDict

from atelier.errors import UserError
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
NEEDED = (  # a field with this value needs another to have that one
    ('schedule', 'learned', 'weighting', 'bound'),  # which alone does not change with it
    ('schedule', 'discrete', 'times', 'uniform'),
    ('schedule', 'discrete_cosine', 'times', 'uniform'),
    ('schedule', 'exploding', 'times', 'log_normal'),  # hardly any of the others sees x
    ('weighting', 'bound', 'times', 'uniform'),
)


def prediction_of(config: ConfigDict, std: float) -> predictions.Prediction:
    """What the network's output means; `std` is the data's."""
    options = {**predictions.PREDICTIONS, 'edm': predictions.preconditioned(std)}
    return common.choice(config, 'prediction', options)


def process_of(config: ConfigDict, std: float) -> Process:
    """How x becomes noise, and how training looks at it; `std` is the data's.

    Raises:
      UserError: choices that do not go together.
    """
    weighting_options = {
        'output': None,
        'simple': weightings.snr,  # the error of eps, whatever is predicted
        'min_snr': weightings.truncated_snr(5.0),  # the paper's
        'bound': weightings.bound_for_training,
        'edm': weightings.unit_output(std),
    }
    times = {'uniform': time_sampling.uniform, 'log_normal': time_sampling.log_normal(-1.2, 1.2)}
    schedule = common.choice(config, 'schedule', SCHEDULES)()
    weighting = common.choice(config, 'weighting', weighting_options)
    time = common.choice(config, 'times', times)
    for field, value, other, needed in NEEDED:
        if config.model[field] == value and config.model[other] != needed:
            raise UserError(
                f'config.model.{field}={value!r} needs config.model.{other}={needed!r}, '
                f'and that is {config.model[other]!r}'
            )
    return Process(
        schedule=schedule,
        weighting=weighting,
        time=time_sampling.on_steps if getattr(schedule, 'num_steps', None) else time,
        label_dropout=config.model.get('label_dropout', 0.0),  # none in a config without labels
    )
