"""Speed of a sweep, compared with training its members one by one.

    python -m benchmarks.sweep_speed --members=32

Steady state: time of one dispatch of all members, side by side in both forms (`vmap` and `loop`),
one by one as single runs, and one by one in PyTorch, which trains the first `--torch_members` of
them. Every arm is a process of its own. A speed is given only if the members' losses are those of
single runs, to 1e-3 in the mean of the first dispatches, or if they agree with PyTorch's
(`benchmarks.agreement`). The members are seeds, or the points of `--axes`. PyTorch's arm trains the
VAE of `configs/vae.py` on the digits, and no other config.

Whole processes: seconds from start to end, including files, validation and images, with a cold and
a warm compilation cache, and the seconds that a sweep spends in its dispatches. More flags
`--config.X=Y` may follow after `--`.
"""

import contextlib
import importlib.util
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
from absl import flags

import train_lib
from atelier import checkout, files
from atelier.core import devices as device_lib
from atelier.run.config_values import flatten
from atelier.sweep import group, sweep
from atelier.sweep.axes import parse, settings
from benchmarks import child_process, comparison, outcome, workers
from benchmarks.agreement import differences, disagreement, inequality
from benchmarks.sweep_arms import FORMS, ONE_BY_ONE, changed, members

EQUAL = 1e-3  # relative, of the mean loss of a member in a dispatch
STEPS_COMPARED = 200
TOLERANCE = 0.02  # of the mean loss in PyTorch, relative
TOGETHER = 'side by side, {}'
TORCH = 'PyTorch eager, one by one'
WHOLE = (ONE_BY_ONE, 'sweep')
STEADY = 0.6  # share of the time that steady state may take if whole processes follow
TIMES = 'dispatches.json'  # in the folder of a child

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_integer('members', 32, 'number of members, with seeds 0, 1, ...')
flags.DEFINE_multi_string('axes', [], 'axes of the sweep instead of seeds, as in --sweep')
flags.DEFINE_list('forms', list(FORMS), 'forms of the sweep, in steady state')
flags.DEFINE_integer('torch_members', 2, 'number of members that PyTorch trains, one by one')
flags.DEFINE_integer('length', 100, 'steps per dispatch, in steady state')
flags.DEFINE_integer('repeats', 5, 'repeats of each arm, in steady state')
flags.DEFINE_bool('whole', True, 'also measure whole processes')
flags.DEFINE_list('whole_arms', list(WHOLE), 'the whole processes')
flags.DEFINE_enum('child', '', ['', *WHOLE], 'internal: the arm that this process measures')
flags.DEFINE_string('folder', '', 'internal: folder of its runs')


def specs_of(arguments: list[str]) -> dict[str, workers.Spec]:
    """Returns the arms in steady state, by name."""
    values = flags.FLAGS
    common = dict(config=values.config, length=values.length, arguments=arguments)
    ours = dict(axes=axes(), **common)
    chosen = [form for form in values.forms if form != 'vmap' or num_members() > 1]
    forms = {ONE_BY_ONE: ONE_BY_ONE, **{TOGETHER.format(form): form for form in chosen}}
    specs = {
        name: workers.Spec('benchmarks.sweep_arms:make', dict(form=form, **ours))
        for name, form in forms.items()
    }
    is_vae = values.config.partition(',')[0] in ('configs/vae.py', 'configs/vae.py:digits')
    if is_vae and importlib.util.find_spec('torch') is not None:
        theirs = dict(count=values.torch_members, axes=axes(), **common)
        specs[TORCH] = workers.Spec('benchmarks.torch_sweep_arms:make', theirs, workers.TORCH)
    return specs


def axes() -> list[str]:
    """Returns the axes of the sweep."""
    return flags.FLAGS.axes or [f'seed=0:{flags.FLAGS.members}']


def num_members() -> int:
    """Returns the number of points of the axes."""
    values = flatten(checkout.config_file(flags.FLAGS.config).config().to_dict())
    return len(settings([parse(axis, values) for axis in axes()], 0, 0))


def child(arguments: list[str]) -> None:
    """Trains the members, below `--folder`, in a process that is timed as a whole."""
    folder = pathlib.Path(flags.FLAGS.folder)
    config_file = checkout.config_file(flags.FLAGS.config)
    device_lib.enable_compilation_cache()
    if flags.FLAGS.child == 'sweep':
        with timed_dispatches() as seconds:
            sweep.train(sweep.prepare(folder, config_file, changed(config_file, arguments), axes()))
        files.write_json(folder.parent / TIMES, {'seconds': seconds})
        return
    for run in members(flags.FLAGS.config, axes(), arguments, folder):
        train_lib.train(run)


@contextlib.contextmanager
def timed_dispatches() -> Iterator[list[float]]:
    """Yields the seconds of each dispatch of the sweeps that are trained in this context."""
    seconds, real = [], group.side_by_side

    @contextlib.contextmanager
    def clocked(*args, **kwargs):
        with real(*args, **kwargs) as program:

            def dispatch(state):
                start = time.perf_counter()
                result = program.dispatch(state)
                seconds.append(time.perf_counter() - start)
                return result

            yield program._replace(dispatch=dispatch)

    group.side_by_side = clocked
    try:
        yield seconds
    finally:
        group.side_by_side = real


def seconds_of(
    arm: str, arguments: list[str], cache: str, timeout: float | None
) -> tuple[float, list[float]]:
    """Returns the seconds of an arm in its own process, and those of a sweep's dispatches.

    Raises as `child_process.run`.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'benchmarks.sweep_speed', f'--child={arm}']
        command += [f'--folder={folder}/runs', f'--config={flags.FLAGS.config}']
        command += [f'--axes={axis}' for axis in axes()]
        command += ['--', *arguments]
        as_used = {'XLA_PYTHON_CLIENT_PREALLOCATE': 'true', 'JAX_COMPILATION_CACHE_DIR': cache}
        start = time.perf_counter()
        child_process.run(command, as_used, timeout)
        seconds, dispatches = time.perf_counter() - start, pathlib.Path(folder) / TIMES
        return seconds, files.read_json(dispatches)['seconds'] if dispatches.exists() else []


def measure_whole(result: outcome.Outcome, arguments: list[str]) -> None:
    """Prints the seconds of whole processes, each run once."""
    print('whole processes, seconds')
    with tempfile.TemporaryDirectory() as root:
        for cache in ('cold compilation cache', 'warm compilation cache'):
            times = {}
            for arm in flags.FLAGS.whole_arms:
                try:
                    times[arm], dispatches = seconds_of(
                        arm, arguments, f'{root}/{arm}', result.timeout()
                    )
                except TimeoutError as error:
                    print(f'  {cache}, {arm}: time was up, {error}')
                    return
                result.add_arm(f'whole process, {cache}: {arm}', [1e3 * times[arm]])
                if dispatches:
                    times['its training'] = sum(dispatches)
                    result.add_arm(f'whole process, {cache}: training', [1e3 * sum(dispatches)])
            print(f'  {cache}: ' + ', '.join(f'{arm} {total:.1f}' for arm, total in times.items()))
            if times.keys() >= {*WHOLE}:
                ratio = times[ONE_BY_ONE] / times['sweep']
                result.add_ratio(f'whole process, {cache}: sweep / one by one', [ratio])
                print(f'    ratio {ratio:.2f}')
            result.write()


def main(arguments):
    """Prints both tables."""
    values, arguments = flags.FLAGS, arguments[1:]
    if values.child:
        child(arguments)
        return
    result = outcome.Outcome.of_flags('sweep_speed')
    title = f'{values.config}, {num_members()} members'
    result.print_heading(title)
    specs = specs_of(arguments)
    seconds = result.left(STEADY if values.whole else 1.0)
    measured = workers.measure(specs, values.repeats, seconds)
    measured = {name: _per_member(arm, name) for name, arm in measured.items()}
    together = [name for name in specs if name not in (ONE_BY_ONE, TORCH)]
    pairs = [(name, ONE_BY_ONE) for name in together]
    pairs += [(name, TORCH) for name in (*together, ONE_BY_ONE) if TORCH in specs]
    comparison.report(result, title, measured, pairs, values.length, agree, unit='step of a member')
    for name in together:
        apart = differences(*(compared(measured[arm].losses) for arm in (name, ONE_BY_ONE)))
        largest = [float(np.max(apart))] if apart else []
        result.add_arm(f'{title}: {name}, difference from own runs', largest, 'relative')
    result.write()
    if values.whole:
        measure_whole(result, arguments)


def agree(name: str, other: str, losses: list, others: list) -> str:
    """Returns why two arms have no ratio; '' if they have one."""
    if other == TORCH:
        same = [loss[: flags.FLAGS.torch_members] for loss in losses]
        return disagreement(same, others, TOLERANCE)
    return inequality(compared(losses), compared(others), EQUAL)


def compared(losses: list) -> list:
    """Returns the losses of the first calls, up to `STEPS_COMPARED` steps."""
    return losses[: max(1, STEPS_COMPARED // flags.FLAGS.length)]


def _per_member(arm: workers.Measured, name: str) -> workers.Measured:
    count = flags.FLAGS.torch_members if name == TORCH else num_members()
    return arm._replace(seconds=arm.seconds / count)


if __name__ == '__main__':
    workers.run(main)
