"""What main.py's flags mean: parsing that ends in one line, and handing over to a mode."""

import importlib
import inspect
import re
import sys
import textwrap
import types

from absl import flags

import train_lib
from atelier.core import devices
from atelier.errors import UserError, did_you_mean
from atelier.evaluation import compare, evaluate
from atelier.multihost import processes
from atelier.paths import user_path
from atelier.run import config_values, experiment, run_folder
from atelier.sweep import folder as sweep_folder
from atelier.sweep import launch, plan, sweep

ROOT = experiment.ROOT
BUILT_IN = ('train', 'evaluate', 'compare', 'sweep')
FLAGS_OF = {
    'train': ('profile',),
    'compare': ('runs',),
    'sweep': (
        *('sweep', 'sweep_random', 'sweep_shard'),
        *('launcher', 'launcher_jobs', 'launcher_option'),
    ),
}


def modes() -> list[str]:
    """train, evaluate, compare, sweep, and every file of `applications`."""
    return [*BUILT_IN, *applications()]


def applications() -> list[str]:
    """The modes that are files of their own."""
    return sorted(file.stem for file in (ROOT / 'atelier' / 'applications').glob('[!_]*.py'))


def configs() -> list[str]:
    """Paths of the config files, all of which can be run."""
    return [f'configs/{file.name}' for file in sorted((ROOT / 'configs').glob('[!_]*.py'))]


def parse(argv: list[str]) -> list[str]:
    """Parses the flags; every mistake in them becomes a `UserError`.

    Without --config, that of the run in --workdir is taken. A mode of `applications` adds a flag
    for each option that its `apply` has.

    Raises:
      UserError: unknown flag or config field, wrong type, no such config.
      SystemExit: after --help, with status 0.
    """
    if any(re.fullmatch(r'-h|--?help.*', word) for word in argv[1:]):
        print(_help())
        raise SystemExit(0)
    mode = _value_of('mode', argv)
    if mode != 'compare':
        argv = _with_config(argv, sweep_folder if mode == 'sweep' else run_folder)
        flag = _value_of('config', argv)
        if not flag:
            raise UserError(
                'give --config=configs/NAME.py to train, or --workdir=RUN to go on with it'
            )
        config = experiment.recipe(flag).config()  # a bug in the file keeps its traceback
        _check_names(argv, config)
        argv = _config_first(argv)
        if _value_of('config', sys.argv):
            sys.argv = argv  # ml_collections reads the order there
    try:
        if mode in applications():
            _define_options(mode)
        rest = flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(_one_line(error)) from error
    if len(rest) > 1:
        raise UserError(f'{rest[1]!r} is not a flag; flags look like --name=value')
    return rest


def perform(values: flags.FlagValues) -> None:
    """Assembles the run that the flags name and hands it to the mode.

    Raises:
      UserError: the flags do not name a run, or the mode's own complaint.
    """
    _refuse_flags_of_other_modes(values)
    if _are_several(values):
        processes.join(values.coordinator, values.num_processes, values.process_id)
    with processes.lost_ones():
        _perform(values)


def _are_several(values: flags.FlagValues) -> bool:
    """Whether this is one of several processes.

    Raises:
      UserError: the flags for that do not go together.
    """
    numbered = values['num_processes'].present or values['process_id'].present
    if values.cluster and (values.coordinator or numbered):
        raise UserError('--cluster stands for --coordinator, --num_processes and --process_id')
    if not values.cluster and not values.coordinator and numbered:
        raise UserError('--num_processes and --process_id are for --coordinator=HOST:PORT')
    several = bool(values.cluster or values.coordinator)
    if several and values.mode not in ('train', 'evaluate'):
        raise UserError(f'--mode={values.mode} runs in one process')
    if values.coordinator and not values['num_processes'].present:
        raise UserError('--coordinator needs --num_processes and --process_id')
    return several


def _perform(values: flags.FlagValues) -> None:
    if values.mode == 'compare':
        compare.compare(values.runs, user_path(values.workdir or 'runs/compare'))
        return
    config, overrides = values.config, values['config'].override_values
    which = experiment.recipe(values['config'].config_filename)
    if values.mode == 'sweep':
        _sweep(values, which, config, overrides)
        return
    folder = user_path(values.workdir or experiment.default_folder(which, config))
    if values.mode == 'train' and _value_of('config', sys.argv):
        init_from = run_folder.beginning(values.init_from)
        processes.on_first(lambda: run_folder.check_same(folder, which, config, init_from))
        run = experiment.assemble(folder, which, config, init_from=init_from)
    elif values.init_from is not None:
        raise UserError('--init_from is for a new run: give --config=configs/NAME.py too')
    else:
        how = dict(which=which, to_train=values.mode == 'train', data=_data_of(values, folder))
        run = run_folder.reopen(folder, overrides, **how)
    _hand_over(values, run)


def _sweep(values: flags.FlagValues, which: experiment.Recipe, config, overrides: dict) -> None:
    """The sweep that the flags describe, or with --workdir alone the one that is there."""
    default = experiment.default_folder(which, config)
    folder = user_path(values.workdir or default.with_name(f'sweep-{default.name}'))
    axes, num_random, init_from = values.sweep, values.sweep_random, values.init_from
    if not _value_of('config', sys.argv):
        record = sweep_folder.load(folder)
        config_values.with_values(
            config, record['values'], overrides, ('eval.', *config_values.MAY_MOVE, 'train.steps')
        )
        axes, num_random = axes or record['axes'], num_random or record['num_random']
        init_from = init_from or record['init_from']
    init_from, shard = run_folder.beginning(init_from), plan.shard_of(values.sweep_shard)
    if values.launcher and values.sweep_shard:
        raise UserError('--launcher makes the shards itself: leave out --sweep_shard')
    if not values.launcher and (values['launcher_jobs'].present or values.launcher_option):
        raise UserError('--launcher_jobs and --launcher_option are for --launcher')
    prepared = sweep.prepare(folder, which, config, axes, num_random, init_from)
    if values.launcher:
        launch.launch(folder, values.launcher, values.launcher_jobs, values.launcher_option)
        if values.launcher == launch.LOCAL:
            sweep.summed_up(prepared)
        return
    devices.enable_compilation_cache()
    sweep.train(prepared, shard)


def _refuse_flags_of_other_modes(values: flags.FlagValues) -> None:
    for mode, names in FLAGS_OF.items():
        for name in names:
            if values[name].present and values.mode != mode:
                raise UserError(f'--{name} is for --mode={mode}')


def _hand_over(values: flags.FlagValues, run: experiment.Run) -> None:
    devices.enable_compilation_cache()
    if values.mode in applications():
        _application(values.mode).apply(run, **_chosen(values))
        return
    if values.mode == 'train':
        train_lib.train(run, profile=values.profile)
    result = evaluate.evaluate(run, reuse=values.mode == 'train')
    if processes.is_first():
        evaluate.show(result, run)


def _application(mode: str) -> types.ModuleType:
    return importlib.import_module(f'atelier.applications.{mode}')


def _data_of(values: flags.FlagValues, folder):
    """The Dataset that a mode which does without the run's data brings for them, or None."""
    own = values.mode in applications() and getattr(_application(values.mode), 'data', None)
    return own(folder, **_chosen(values)) if own else None


def _chosen(values: flags.FlagValues) -> dict:
    return {name: values[name].value for name in _options(values.mode)}


def _options(mode: str) -> dict[str, inspect.Parameter]:
    """The options of an application: what its `apply` takes after the run."""
    return dict(list(inspect.signature(_application(mode).apply).parameters.items())[1:])


def _define_options(mode: str) -> None:
    define = {int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}
    for name, option in _options(mode).items():
        if name not in flags.FLAGS:
            define[type(option.default)](name, option.default, f'with --mode={mode}')


def _with_config(argv: list[str], kind: types.ModuleType) -> list[str]:
    """Names the own config of the run, or of the sweep, where only --workdir is given."""
    workdir = _value_of('workdir', argv)
    if _value_of('config', argv) or not workdir:
        return argv
    record = kind.load(user_path(workdir))
    made_by = experiment.Recipe(record['path'], record['argument'])
    return [argv[0], f'--config={made_by._replace(path=str(made_by.file))}', *argv[1:]]


def _config_first(argv: list[str]) -> list[str]:
    """--config before its fields: the parser wants it so, and a user need not know."""
    is_flag = lambda word: re.fullmatch(r'--?config(=.*)?', word, re.DOTALL)
    i = next(i for i, word in enumerate(argv) if i and is_flag(word))
    end = i + 1 if '=' in argv[i] else i + 2
    return [argv[0], *argv[i:end], *argv[1:i], *argv[end:]]


def _check_names(argv: list[str], config) -> None:
    """Refuses --config.NAME where the config has no such field."""
    known = config_values.flatten(config.to_dict())
    groups = {name.rpartition('.')[0] for name in known}
    for word in argv[1:]:
        match = re.match(r'--?config\.([^=]+)', word)
        if match and match.group(1) not in {*known, *groups}:
            name = match.group(1)
            raise UserError(f'the config has no field {name!r}{did_you_mean(name, known)}')


def _value_of(name: str, argv: list[str]) -> str | None:
    """The value of --name=VALUE or --name VALUE, before flags are parsed."""
    for i, word in enumerate(argv):
        match = re.fullmatch(rf'--?{name}(=(.*))?', word, re.DOTALL)
        if match:
            return match.group(2) if match.group(1) else ''.join(argv[i + 1 : i + 2])
    return None


def _one_line(error: Exception) -> str:
    """The message of an error without its line breaks."""
    return ' '.join(str(error.args[0] if error.args else error).split())


def _help() -> str:
    options = [line for mode in applications() for line in _option_lines(mode)]
    return '\n'.join(
        [
            'python main.py --config=CONFIG [--config.FIELD=VALUE ...] [--workdir=RUN]',
            'python main.py --mode=MODE --workdir=RUN [--config.eval.FIELD=VALUE ...]',
            'python main.py --mode=compare --runs=RUN,RUN,...',
            'python main.py --mode=sweep --config=CONFIG --sweep=FIELD=VALUES [--sweep=...]',
            '',
            'CONFIG, or CONFIG:DATA for other data, or CONFIG:DATA,debug to see it run in seconds:',
            *(f'  {path:20} {_first_line(path)}' for path in configs()),
            '',
            'MODE:',
            '  train                Train, then evaluate (the default); once more continues.',
            '  evaluate             Evaluate a run on the whole test split.',
            '  compare              Runs side by side: a table and their curves.',
            '  sweep                Every combination of settings, side by side in one program.',
            *(
                f'  {mode:20} {_first_line(f"atelier/applications/{mode}.py")}'
                for mode in applications()
            ),
            *(f'  {"":20} {line}' for line in options),
            '',
            'RUN: a folder, runs/CONFIG-DATA by default. It keeps the config: later uses need no',
            'other flag. FIELD: any in the config file, as in --config.train.batch_size=50.',
            '--coordinator=HOST:PORT --num_processes=N --process_id=I: one run by N processes;',
            '--cluster on a cluster that JAX knows.',
            '--init_from=RUN starts a new run from the weights of another one.',
            '--profile records what a dispatch does in RUN/profile, for TensorBoard and Perfetto.',
            'VALUES: 0.5,1,2 or 0:8 (0 to 7); log:1e-4:1e-2 and uniform:0.5:4 are ranges, drawn',
            '--sweep_random=N times. --sweep_shard=i/n trains the i-th of n shards. To Slurm they',
            'go with --launcher=submitit --launcher_jobs=n [--launcher_option=NAME=VALUE ...].',
        ]
    )


def _option_lines(mode: str) -> list[str]:
    """The options of a mode with what they are by default, for --help."""
    words = ' '.join(f'[--{name}={option.default}]' for name, option in _options(mode).items())
    layout = dict(width=75, break_on_hyphens=False, subsequent_indent='  ')
    return textwrap.wrap(f'{mode}: {words}', **layout) if words else []


def _first_line(path: str) -> str:
    return (ROOT / path).read_text().split('\n')[0].strip('"')
