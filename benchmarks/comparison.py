"""The table of a comparison with PyTorch: times, ratios where the losses agree, and losses."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.agreement import disagreement
from benchmarks.outcome import Outcome
from benchmarks.timing import spread
from benchmarks.workers import Measured


def pairs(ours: Sequence[str], theirs: Sequence[str], precision: str) -> list[tuple[str, str]]:
    """Returns every arm of ours with every arm of theirs, of those that run in this precision."""
    of = lambda names: [name for name in names if precision_of(name) == precision]
    return [(mine, other) for mine in of(ours) for other in of(theirs)]


def precision_of(name: str) -> str:
    """Returns the precision that the name of an arm ends in (`precisions.named`)."""
    last = name.rpartition(', ')[2]
    return last if last in ('tf32', 'bfloat16') else 'float32'


def report(
    outcome: Outcome,
    title: str,
    measured: Mapping[str, Measured],
    pairs: Sequence[tuple[str, str]],
    units: int,
    agree: Callable[[str, str, list, list], str],
    unit: str = 'step',
) -> None:
    """Prints the table of a group of arms and adds it to `outcome`, which is written.

    Args:
      outcome: of the benchmark; an arm's 'loss' is that of `last_losses`.
      title: of the group; the names in `outcome` begin with it.
      measured: by name of the arm.
      pairs: (arm, arm that its speed is relative to).
      units: of which a repeat has this many.
      agree: (both names, the losses of both) -> the reason why there is no ratio, or ''.
      unit: what a time is divided by.
    """
    print(f'\n{title}: milliseconds a {unit}, median (range) of alternating repeats')
    for name, arm in measured.items():
        milliseconds = 1e3 * arm.seconds / units
        outcome.add_arm(f'{title}: {name}', milliseconds, losses=arm.losses, failure=arm.failure)
        times = f'{spread(milliseconds, 3)} of {len(milliseconds)}' if len(milliseconds) else ''
        first = '' if np.isnan(arm.first) else f'first call {arm.first:.1f} s'
        failure = f'  {arm.failure}' if arm.failure else ''
        print(f'  {name:36} {times:36} {first}{failure}')
    for name, other in pairs:
        reason = _unmeasured(measured[name], measured[other]) or agree(
            name, other, measured[name].losses, measured[other].losses
        )
        count = min(len(measured[name].seconds), len(measured[other].seconds))
        ratios = measured[other].seconds[:count] / measured[name].seconds[:count]
        outcome.add_ratio(f'{title}: {name} / {other}', ratios, reason)
        text = f'no ratio: {reason}' if reason else f'{spread(ratios)} times as fast'
        print(f'  {name} / {other}: {text}')
    _print_losses(measured)
    for name, loss in last_losses(measured).items():
        outcome.add_arm(f'{title}: {name}', [loss], 'loss')
    outcome.write()


def last_losses(measured: Mapping[str, Measured]) -> dict[str, float]:
    """Returns the mean loss of each timed arm in the last call that all of them made."""
    timed = {name: arm for name, arm in measured.items() if len(arm.seconds) and arm.losses}
    count = min((len(arm.losses) for arm in timed.values()), default=0)
    return {name: float(np.mean(arm.losses[count - 1])) for name, arm in timed.items()}


def within(tolerance: float) -> Callable[[str, str, list, list], str]:
    """Returns `agree` of `report` for losses of other seeds (`agreement.disagreement`)."""
    return lambda name, other, losses, others: disagreement(losses, others, tolerance)


def check_sizes(measured: Mapping[str, Measured]) -> None:
    """Requires that all networks have the same number of parameters.

    Raises:
      ValueError: they differ.
    """
    counts = {
        name: arm.facts['parameters'] for name, arm in measured.items() if 'parameters' in arm.facts
    }
    if len({*counts.values()}) > 1:
        raise ValueError(f'the networks differ in size: {counts}')


def _unmeasured(*arms: Measured) -> str:
    reasons = [arm.failure for arm in arms if not len(arm.seconds)]
    return reasons[0] if reasons else ''


def _print_losses(measured: Mapping[str, Measured]) -> None:
    print('  mean loss of every repeat, the first to warm up:')
    for name, arm in measured.items():
        if arm.losses:
            print(f'  {name:36} ' + ' '.join(f'{np.mean(loss):7.4g}' for loss in arm.losses))
