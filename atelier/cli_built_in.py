"""The modes that are not applications: what --help says of them, and their flags."""

from typing import NamedTuple

SEVERAL_PROCESSES = ('coordinator', 'num_processes', 'process_id', 'cluster')


class Mode(NamedTuple):
    """A built-in mode, for --help and for the check of flags.

    summary: one line on what it does.
    usage: the arguments to type after the command.
    own_flags: flags of this mode only.
    shared_flags: other flags that it reads, besides --config and --workdir.
    """

    summary: str
    usage: str
    own_flags: tuple[str, ...] = ()
    shared_flags: tuple[str, ...] = ()


BUILT_IN = {
    'train': Mode(
        'Trains a run, then evaluates it (the default); the same command continues it.',
        '--config=CONFIG [--config.FIELD=VALUE ...] [--workdir=RUN]',
        ('profile', 'refit'),
        ('init_from', 'trust', *SEVERAL_PROCESSES),
    ),
    'evaluate': Mode(
        'Evaluates a run on the whole test split.',
        '--mode=evaluate --workdir=RUN [--config.eval.FIELD=VALUE ...]',
        (),
        ('trust', *SEVERAL_PROCESSES),
    ),
    'compare': Mode(
        'Compares runs: a table of their numbers, their curves and their samples.',
        '--mode=compare --runs=RUN,RUN,...',
        ('runs',),
        ('trust',),
    ),
    'report': Mode(
        'Writes one HTML page of a run, of several, or of a sweep.',
        '--mode=report --workdir=RUN (or --runs=RUN,RUN,...)',
        ('runs',),
        ('trust',),
    ),
    'sweep': Mode(
        'Trains every combination of settings, as many as possible in one program.',
        '--mode=sweep --config=CONFIG --sweep=FIELD=VALUES [--sweep=...]',
        (
            *('sweep', 'sweep_random', 'sweep_shard'),
            *('launcher', 'launcher_jobs', 'launcher_option'),
        ),
        ('init_from', 'trust'),
    ),
}
WITHOUT_CONFIG = ('compare', 'report')  # modes that only read folders of runs
