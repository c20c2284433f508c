"""Trains many sweep members in one program: a State [devices, rows, ...] has one row per member.

There are no collectives, because each member is on one device, with its whole batch. The program
has two forms with equal results up to rounding. `vmap` applies every operation to all members of a
device at once; `loop` runs the whole dispatch of each member, one after another. Both are timed,
and the faster form is kept.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core import compilation, game, optimizers
from atelier.core import devices as device_lib
from atelier.core.game import State
from atelier.log import counted, log
from atelier.run.experiment import Run
from atelier.run.limits import MEMORY_SHARE, program_bytes
from atelier.training.dispatch import Program, dispatch_length, make_dispatch
from atelier.training.input_pipeline import feed, is_streamed, max_steps, reader

FORMS = ('vmap', 'loop')
LOOP_PAYS = 0.95  # the loop is chosen below this fraction of vmap's time; smaller gains are noise
RACE_SECONDS, MAX_ROUNDS = 2.0, 5  # limits of the comparison of the forms


class Layout(NamedTuple):
    """Placement of the members: member i is row i % rows of device i // rows."""

    num_members: int
    devices: tuple[jax.Device, ...]
    rows: int

    def place(self, trees: Sequence):
        """Stacks the trees to [devices, rows, ...] on the devices, padded by copies of the last."""
        shape = (len(self.devices), self.rows)
        filled = [*trees, *[trees[-1]] * (len(self.devices) * self.rows - len(trees))]
        stack = lambda *leaves: np.stack(leaves).reshape(*shape, *np.shape(leaves[0]))
        return device_lib.split(jax.tree.map(stack, *filled), self.devices)

    def member(self, tree, i: int):
        """Returns the slice of member i of a host pytree [devices, rows, ...], as views."""
        index = divmod(i, self.rows)
        return jax.tree.map(lambda x: np.asarray(x[index]), tree)


def layout_of(num_members: int, devices: Sequence[jax.Device]) -> Layout:
    """Gives each device as few rows as possible, then uses as few devices as possible."""
    rows = -(-num_members // len(devices))
    return Layout(num_members, tuple(devices[: -(-num_members // rows)]), rows)


class Compiled(NamedTuple):
    """A program for some members, compiled in the forms that fit into the devices' memory."""

    layout: Layout
    num_steps: int
    forms: dict[str, Callable]  # (states, arrays) -> (states, reports); states are donated
    max_members: int  # number of members that fit into memory


def compiled_for(
    runs: Sequence[Run],
    start: int,
    like: State,
    devices: Sequence[jax.Device],
    form: str | None = None,
) -> Compiled:
    """Compiles the dispatch of `runs` in both forms (only 'loop' for one row), or in `form` alone.

    Args:
      runs: members that differ only in seed and hypers.
      start: their current step.
      like: shapes and types of one member's State.
      devices: the devices over which the members are spread.
      form: the form chosen earlier, if any.
    """
    layout = layout_of(len(runs), devices)
    limit = max_steps(runs[0], layout.devices) / layout.rows  # bounds the data of all rows together
    length = dispatch_length(runs[0].config.train, start, limit)
    shape = (len(layout.devices), layout.rows)
    states = jax.tree.map(lambda x: jax.ShapeDtypeStruct(shape + x.shape, x.dtype), like)
    arrays = _array_shapes(runs[0], length, layout)
    wanted = [form] if form else FORMS if layout.rows > 1 else FORMS[1:]
    forms = {each: _compile(runs[0], length, layout, each, states, arrays) for each in wanted}
    copies = 2 if len(wanted) > 1 else 0  # kept while the first dispatch runs in both forms
    row_bytes = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(like))
    needed = {
        each: program_bytes(program) + copies * layout.rows * row_bytes
        for each, program in forms.items()
    }
    budget = MEMORY_SHARE * min(map(device_lib.memory_bytes, layout.devices))
    log.info(
        '%s on %s, at most %d on each; memory of a device: %s, and %.1f GB are available',
        counted(layout.num_members, 'member'),
        counted(len(layout.devices), f'{layout.devices[0].platform} device'),
        layout.rows,
        ', '.join(f'{each} needs {size / 1e9:.2f} GB' for each, size in needed.items()),
        budget / MEMORY_SHARE / 1e9,
    )
    if layout.rows == 1 or min(needed.values()) <= budget:  # one member cannot be divided
        smallest = min(needed, key=needed.get)
        kept = {each: f for each, f in forms.items() if needed[each] <= budget or each == smallest}
        return Compiled(layout, length, kept, layout.num_members)
    rows = max(1, min(layout.rows - 1, int(layout.rows * budget / min(needed.values()))))
    return Compiled(layout, length, {}, rows * len(devices))


def _compile(run: Run, num_steps: int, layout: Layout, form: str, states, arrays) -> Callable:
    size, streamed = run.config.train.batch_size, is_streamed(run, layout.devices)
    dispatch = make_dispatch(
        run.family,
        run.data,
        optimizers.chosen(run.config),
        size,
        num_steps,
        streamed=streamed,
        unroll=run.config.train.unroll,
    )
    axis, device = 0 if streamed else None, jnp.int32(0)

    def all_at_once(states, arrays):
        return jax.vmap(dispatch, (0, axis, None))(states, arrays, device)

    def one_by_one(states, arrays):
        if streamed:
            return jax.lax.map(lambda pair: dispatch(*pair, device), (states, arrays))
        return jax.lax.map(lambda state: dispatch(state, arrays, device), states)

    f = {'vmap': all_at_once, 'loop': one_by_one}[form]
    mapped = device_lib.over_devices(f, (0, axis), out_axes=0, donate=(0,), devices=layout.devices)
    options = compilation.training_options(run.config.train)
    return compilation.compiled(mapped.lower(states, arrays), options)


def _array_shapes(run: Run, length: int, layout: Layout) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes and types of the arrays of `feed_all`."""
    leading = ()
    if is_streamed(run, layout.devices):
        count, size = game.num_minibatches(run.family.turns), run.config.train.batch_size
        leading = (len(layout.devices), layout.rows, length, count, size)
    return {
        name: jax.ShapeDtypeStruct(
            (*leading, *array.shape[1 if leading else 0 :]),
            jax.dtypes.canonicalize_dtype(array.dtype),
        )
        for name, array in run.data.splits['train'].items()
    }


@contextlib.contextmanager
def feed_all(
    runs: Sequence[Run], start: int, length: int, layout: Layout
) -> Iterator[Callable[[], dict]]:
    """Yields next_arrays() like `feed`: the split or, when streaming, each member's minibatches."""
    if not is_streamed(runs[0], layout.devices):
        with feed(runs[0], start, length, layout.devices) as next_arrays:
            yield next_arrays
        return
    readers = [reader(run, start, length, layout.devices[:1]) for run in runs]
    indices = iter(range(-(-(runs[0].config.train.steps - start) // length)))

    def next_arrays():
        index = next(indices)
        return layout.place([jax.tree.map(lambda x: x[0], read(index)) for read in readers])

    yield next_arrays


@contextlib.contextmanager
def side_by_side(
    runs: Sequence[Run],
    start: int,
    compiled: Compiled,
    devices: Sequence[jax.Device],
    on_choice: Callable[[str, dict[str, float]], None],
) -> Iterator[Program]:
    """Yields the `Program` of many members, whose State is placed by `compiled.layout`.

    If there are two forms, the first dispatch runs in both, and the result of the faster one is
    kept. `on_choice(form, seconds)` is called before that result is used. Each member is evaluated
    on all `devices`.
    """
    layout, forms = compiled.layout, dict(compiled.forms)
    on_host: list[State] = []  # the newest State, once `member` has copied it

    def member(states: State, i: int) -> State:
        if not on_host:
            on_host.append(jax.device_get(states))
        return layout.member(on_host[0], i)

    def to_evaluate(state: State) -> State:
        return device_lib.place(state.replace(params={}, opt={}, hypers={}), devices)

    with feed_all(runs, start, compiled.num_steps, layout) as next_arrays:

        def dispatch(states: State):
            on_host.clear()  # on a CPU, this copy is a view of buffers that are now donated
            arrays = next_arrays()
            if len(forms) > 1:
                form, seconds, result = _race(forms, states, arrays)
                on_choice(form, seconds)
                for other in {*forms} - {form}:
                    del forms[other]
            else:
                (call,) = forms.values()
                result = call(states, arrays)
            states, reports = result[0], jax.device_get(result[1])
            return states, [layout.member(reports, i) for i in range(layout.num_members)]

        yield Program(compiled.num_steps, dispatch, member, to_evaluate)


def _race(forms: dict[str, Callable], states: State, arrays) -> tuple[str, dict, tuple]:
    """Runs one dispatch in each form; returns (the faster form, seconds by form, its result).

    A short dispatch is repeated, alternating the forms, and the minimum time of each form counts,
    because the very first call also includes warm-up. `states` are deleted, because a dispatch
    would have donated them.
    """
    seconds, results = dict.fromkeys(forms, math.inf), {}
    deadline = time.perf_counter() + RACE_SECONDS
    for _ in range(MAX_ROUNDS):
        for form, call in forms.items():
            results.pop(form, None)
            copy = jax.block_until_ready(jax.tree.map(jnp.copy, states))
            began = time.perf_counter()
            results[form] = jax.block_until_ready(call(copy, arrays))
            seconds[form] = min(seconds[form], time.perf_counter() - began)
        if time.perf_counter() > deadline:
            break
    jax.tree.map(lambda x: x.delete(), states)
    form = 'loop' if seconds['loop'] < LOOP_PAYS * seconds['vmap'] else 'vmap'
    return form, seconds, results[form]
