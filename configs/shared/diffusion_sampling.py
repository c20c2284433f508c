"""How the samples of a diffusion model are drawn, as `config.eval.sampler` says."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from atelier.errors import UserError, at_least, choose
from models.diffusion.process import samplers, time_grids
from models.diffusion.sampling import Sampling


class Solver(NamedTuple):
    """A sampler, and what its paper says of its use.

    function: of `models.diffusion.diffusion.process.samplers`.
    grid: where it takes its steps; on exploding noise all do as Karras's.
    evaluations: of the network, in a step.
    own: the field of config.eval.sampler that it alone takes, under the same name; '': none.
    """

    function: Callable
    grid: str
    evaluations: int = 1
    own: str = ''


SOLVERS = {
    'ancestral': Solver(samplers.ancestral, 'time'),
    'ddim': Solver(samplers.ddim, 'time', own='eta'),
    'euler': Solver(samplers.euler, 'time'),
    'dpm_solver_2': Solver(samplers.dpm_solver_2, 'half_log_snr', evaluations=2),
    'dpm_solver_pp_2m': Solver(samplers.dpm_solver_pp_2m, 'half_log_snr'),
    'heun': Solver(samplers.heun, 'karras', evaluations=2, own='churn'),
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
    solver = choose('eval.sampler.name', asked.name, SOLVERS)
    for name, other in SOLVERS.items():
        if other.own and other is not solver and asked[other.own]:
            raise UserError(
                f'config.eval.sampler.{other.own}={asked[other.own]} is for '
                f'--config.eval.sampler.name={name}, not for {asked.name!r}'
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
    own = {solver.own: asked[solver.own]} if solver.own else {}
    auto = 'karras' if config.model.schedule == 'exploding' else solver.grid
    grid = choose(
        'eval.sampler.grid', asked.grid, {**time_grids.GRIDS, 'auto': time_grids.GRIDS[auto]}
    )
    return Sampling(
        functools.partial(solver.function, **own),
        grid,
        asked.steps,
        guidance,
        asked.clip,
        resamples,
        solver.evaluations,
    )
