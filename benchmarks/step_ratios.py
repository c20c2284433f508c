"""Times of a training step of several runs, which take turns, and their ratios to those of one."""

import contextlib
from collections.abc import Callable

import jax

from atelier.core import devices as device_lib
from atelier.run.experiment import Run
from benchmarks.outcome import Outcome
from benchmarks.timing import alternate, spread
from benchmarks.training import trainer


def print_ratios(
    result: Outcome,
    runs: dict[str, Callable[[], Run]],
    title: str,
    length: int,
    repeats: int,
    left: Callable[[], float],
) -> None:
    """Prints and adds the milliseconds of a step of each run, and its ratio to that of the first.

    The runs take turns, dispatch by dispatch. A ratio is that of neighbours in time.

    Args:
      result: gets the numbers.
      runs: functions without arguments that return a run, by name.
      title: of the table.
      length: steps per dispatch.
      repeats: of each run.
      left: seconds that are left; when none are, the table has what there is.
    """
    device_lib.enable_compilation_cache()
    result.print_heading()
    with contextlib.ExitStack() as stack:
        arms = {}
        for name, make in runs.items():
            run = make()
            arms[name] = trainer(stack, run, length, length, jax.devices(), loss=_loss_of(run))
        times_of = alternate(arms, repeats, left())
    print(f'{title}: milliseconds a step, median (range) of {repeats} repeats')
    if not times_of:
        print('  time was up')
    first = next(iter(runs))
    for name, times in times_of.items():
        ratios = times / times_of[first] if first in times_of else []
        result.add_arm(name, 1e3 * times / length)
        result.add_ratio(f'{name} / {first}', ratios)
        ratio = f'ratio {spread(ratios, 3)}' if len(ratios) else ''
        print(f'  {name:40} {spread(1e3 * times / length, 3):28} {ratio}')
    result.write()


def _loss_of(run: Run) -> str:
    """Returns the name of a loss in the report of a step."""
    player = run.family.turns[0].players[0]
    return 'loss' if player == 'model' else f'loss_{player}'
