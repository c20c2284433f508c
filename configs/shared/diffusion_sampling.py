"""Shared by configs of diffusion models: how `config.eval.sampler` draws samples."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from atelier.errors import UserError, at_least, choose
from models.diffusion.process import samplers, time_grids
from models.diffusion.sampling import Sampling


class Solver(NamedTuple):
    """A sampler with the settings of its paper.

    function: from `models.diffusion.process.samplers`.
    grid: default time grid; with exploding noise the default is 'karras' for every sampler.
    evaluations: network evaluations per step.
    own: name of the field of config.eval.sampler that only this sampler uses; `function` has a
      keyword argument of the same name. '' if there is no such field.
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


def sampling_of(config: ConfigDict) -> Sampling:
    """Returns the sampler and its settings from `config.eval.sampler`."""
    sampler = config.eval.sampler
    solver = choose('eval.sampler.name', sampler.name, SOLVERS)
    check_own_fields(sampler, solver)
    own = {solver.own: sampler[solver.own]} if solver.own else {}
    auto = 'karras' if config.model.schedule == 'exploding' else solver.grid
    grids = {**time_grids.GRIDS, 'auto': time_grids.GRIDS[auto]}
    return Sampling(
        sampler=functools.partial(solver.function, **own),
        grid=choose('eval.sampler.grid', sampler.grid, grids),
        steps=sampler.steps,
        guidance=sampler.get('guidance', 1.0),  # absent in a config without labels
        clip=sampler.clip,
        resamples=sampler.get('resamples', 1),
        per_step=solver.evaluations,
    )


def check_own_fields(sampler: ConfigDict, solver: Solver) -> None:
    """Checks that only the solver's own fields are set, and that their values are in range.

    Raises:
      UserError: a field is set for another solver or out of range; the message names the field.
    """
    for name in ('eta', 'churn'):
        at_least(0, f'eval.sampler.{name}', sampler[name])
    for name, other in SOLVERS.items():
        if other.own and other is not solver and sampler[other.own]:
            raise UserError(
                f'config.eval.sampler.{other.own}={sampler[other.own]} is for '
                f'--config.eval.sampler.name={name}, not for {sampler.name!r}'
            )
    if sampler.eta > 1:
        raise UserError(f'config.eval.sampler.eta={sampler.eta}: give 0 (no noise) to 1')
