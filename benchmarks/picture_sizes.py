"""Memory and time of every config that takes pictures, on large pictures, or its refusal.

    python -m benchmarks.picture_sizes
    python -m benchmarks.picture_sizes --configs=vae,dit --size=32
    python -m benchmarks.picture_sizes --page=docs/sizes.md

Each config is trained a few steps on coloured shapes, and validated on one batch, in a process of
its own. Its memory is the largest that this process had, with Python and JAX (about 0.4 GB). Its
seconds are those of all cores together, which other work hardly changes. A model whose State or
compiled training step takes more than --memory_gb is refused before it trains; the process, with
Python, JAX, the pictures and the compiler, may take more.
"""

import pathlib

from absl import flags

from benchmarks import outcome, page_rows, workers
from benchmarks.picture_size_rows import TABLE, Row, rows

LONGEST = 1800.0  # seconds for a row
flags.DEFINE_list('configs', [], 'names of configs, such as vae; none: all that take pictures')
flags.DEFINE_integer('size', 64, 'height and width of the pictures')
flags.DEFINE_integer('steps', 1, 'steps in a dispatch')
flags.DEFINE_float(
    'memory_gb', 4.0, 'memory for the State and a training step; 0: that of the device'
)


def facts_of(row: Row, seconds: float) -> dict:
    """Returns the facts of the row's arm and its 'losses', or 'refused', the reason for none."""
    values = flags.FLAGS
    settings = dict(row._asdict(), size=values.size, steps=values.steps, memory_gb=values.memory_gb)
    worker = workers.Worker(workers.Spec('benchmarks.picture_size_arms:make', settings))
    try:
        answer = worker.call(seconds)
    except TimeoutError:
        return dict(refused=f'not finished within {seconds:.0f} s')
    except workers.WorkerError as error:
        return dict(refused=str(error))
    finally:
        worker.close()
    return answer['facts'] | dict(losses=answer['losses'])


def cells(facts: dict) -> list[str]:
    """Returns the cells of a row after the first."""
    if 'refused' in facts:
        return ['', '', '', '', facts['refused']]
    return [
        f'{facts["batch_size"]}',
        f'{facts["parameters"] / 1e6:,.1f}',
        f'{facts["peak_mb"] / 1e3:.1f}',
        f'{facts["cpu_seconds"]:.2g}',
        f'{facts["valid_cpu_seconds"]:.2g} CPU seconds for {facts["validated"]} images',
    ]


def add(result: outcome.Outcome, name: str, facts: dict) -> None:
    """Adds the numbers of a row, or the reason why there are none."""
    if 'refused' in facts:
        result.add_arm(name, [], failure=facts['refused'])
        return
    unit = 'milliseconds of the processor'
    result.add_arm(name, [1e3 * facts['cpu_seconds']], unit, [facts['losses']])
    kept = 'parameters', 'batch_size', 'peak_mb', 'validated', 'valid_cpu_seconds'
    result.arms[name] |= {fact: facts[fact] for fact in kept}


def main(_):
    """Prints a row for each config, and writes them into the table of the page."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('picture_sizes')
    result.print_heading(f'pictures of {values.size}x{values.size}x3')
    known = None if values.configs else {row.command for row in rows()}
    for row in rows():
        if values.configs and pathlib.Path(row.config).stem not in values.configs:
            continue
        if not result.left():
            print('  time was up')
            break
        facts = facts_of(row, min(result.left(), LONGEST))
        add(result, row.command, facts)
        print(f'  {row.command}', *filter(None, cells(facts)), sep='; ', flush=True)
        page_rows.write_rows(TABLE, {row.command: cells(facts)}, known)
        result.write()
    result.write()


if __name__ == '__main__':
    outcome.run(main)
