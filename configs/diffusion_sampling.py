"""How the samples of a diffusion model are drawn, as `config.eval.sampler` says."""

import functools

from ml_collections import ConfigDict

from diffusion import grids, samplers
from errors import UserError, at_least, choose
from models.diffusion_sampling import Sampling

PER_STEP = {'heun': 2, 'dpm_solver_2': 2}  # evaluations of the network; of the others one
ALONE = {'eta': 'ddim', 'churn': 'heun'}  # the sampler that has it
GRID_OF = {  # where the paper of a sampler takes its steps; on exploding noise all as Karras's
    'ancestral': 'time',
    'ddim': 'time',
    'euler': 'time',
    'dpm_solver_2': 'half_log_snr',
    'dpm_solver_pp_2m': 'half_log_snr',
    'heun': 'karras',
}


def sampling_of(config: ConfigDict, is_conditional: bool, schedule) -> Sampling:
    """How samples are drawn.

    Raises:
      UserError: an unknown name, guidance without classes, or steps that the process has not.
    """
    asked = config.eval.sampler
    guidance = asked.get('guidance', 1.0)  # as `label_dropout`
    resamples = asked.get('resamples', 1)
    for name, value in (('eta', asked.eta), ('churn', asked.churn), ('guidance', guidance)):
        at_least(0, f'eval.sampler.{name}', value)
    for name, sampler in ALONE.items():
        if asked[name] and asked.name != sampler:
            raise UserError(
                f'config.eval.sampler.{name}={asked[name]} is for '
                f'--config.eval.sampler.name={sampler}, not for {asked.name!r}'
            )
    if asked.eta > 1:
        raise UserError(f'config.eval.sampler.eta={asked.eta}: it goes from 0, no noise, to 1')
    at_least(1, 'eval.sampler.steps', asked.steps)
    at_least(1, 'eval.sampler.resamples', resamples)
    most = getattr(schedule, 'num_steps', None)
    if most and asked.steps > most:
        raise UserError(
            f'config.eval.sampler.steps={asked.steps}: the discrete process has {most} steps'
        )
    if guidance != 1.0 and not is_conditional:
        raise UserError(
            f'config.eval.sampler.guidance={guidance}: this model knows no classes '
            '(config.model.is_conditional, and data with labels)'
        )
    if guidance != 1.0 and not config.model.label_dropout:
        raise UserError(
            f'config.eval.sampler.guidance={guidance} weighs a class against any, which a '
            'model with config.model.label_dropout=0 never saw'
        )
    options = {
        'ancestral': samplers.ancestral,
        'ddim': functools.partial(samplers.ddim, eta=asked.eta),
        'dpm_solver_2': samplers.dpm_solver_2,
        'dpm_solver_pp_2m': samplers.dpm_solver_pp_2m,
        'euler': samplers.euler,
        'heun': functools.partial(samplers.heun, churn=asked.churn),
    }
    sampler = choose('eval.sampler.name', asked.name, options)
    auto = 'karras' if config.model.schedule == 'exploding' else GRID_OF[asked.name]
    grid = auto if asked.grid == 'auto' else asked.grid
    options = {**grids.GRIDS, 'auto': None}
    grid, per_step = choose('eval.sampler.grid', grid, options), PER_STEP.get(asked.name, 1)
    return Sampling(sampler, grid, asked.steps, guidance, asked.clip, resamples, per_step)
