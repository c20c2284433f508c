"""Command-line flags: their definitions, and what is said of wrong values."""

import inspect
from typing import TYPE_CHECKING, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.tuple_parser import TupleParser

from atelier import applications, checkout
from atelier.checkout import ConfigFile
from atelier.cli_built_in import BUILT_IN
from atelier.errors import A_RUN, UserError, check_option, shortened
from atelier.log import log

if TYPE_CHECKING:
    from atelier.applications import Application


class Command(NamedTuple):
    """A parsed command line: the argument of `cli.perform`."""

    values: flags.FlagValues
    config_file: ConfigFile | None  # none with the modes of WITHOUT_CONFIG
    is_config_typed: bool  # else the config is that of the run in --workdir
    application: 'Application | None'  # of a mode that is not BUILT_IN

    @property
    def config(self) -> ConfigDict:
        """The config from the file, with the command line's fields applied."""
        return self.values.config

    @property
    def overrides(self) -> dict:
        """The command line's fields, by dotted name."""
        return self.values['config'].override_values

    @property
    def options(self) -> dict:
        """The application's options, by name."""
        names = applications.options(self.application) if self.application else ()
        return {name: self.values[name].value for name in names}


def modes() -> list[str]:
    """Returns the names of all modes: the built-in ones and every file of `applications`."""
    return [*BUILT_IN, *applications.names()]


def application_of(mode: str) -> 'Application | None':
    """Returns the application that --mode names, or None for a built-in mode.

    Raises:
      UserError: there is no such mode.
    """
    if mode in BUILT_IN:
        return None
    if not applications.is_file(mode):
        check_option('mode', mode, modes(), ', or a FILE.py of your own')
    return applications.load(mode)


def define() -> flags.FlagValues:
    """Defines the flags of every command line, at their defaults."""
    values = flags.FlagValues()
    kwargs = dict(flag_values=values)
    flags.DEFINE_string('mode', 'train', 'mode: what the command does', **kwargs)
    flags.DEFINE_string('workdir', None, 'folder of the run; runs/CONFIG-DATA by default', **kwargs)
    flags.DEFINE_multi_string(
        'trust',
        [],
        'paths of configs and functions that runs may name, and of folders that they link to',
        **kwargs,
    )
    flags.DEFINE_string(
        'init_from', None, 'folder of a run whose weights a new run starts with', **kwargs
    )
    flags.DEFINE_string(
        'coordinator', '', 'address of the first of several processes: HOST:PORT', **kwargs
    )
    flags.DEFINE_integer('num_processes', 1, 'number of processes, with --coordinator', **kwargs)
    flags.DEFINE_integer(
        'process_id', 0, 'index of this process, from 0, with --coordinator', **kwargs
    )
    flags.DEFINE_bool(
        'cluster',
        False,
        'whether JAX finds --coordinator, --num_processes and --process_id by itself',
        **kwargs,
    )
    flags.DEFINE_bool(
        'profile', False, 'whether to record a trace of some steps in RUN/profile', **kwargs
    )
    flags.DEFINE_bool(
        'refit',
        False,
        'whether to train again on train + validation for the chosen steps, in RUN-refit',
        **kwargs,
    )
    flags.DEFINE_list('runs', [], 'folders of several runs: RUN,RUN,...', **kwargs)
    flags.DEFINE_multi_string(
        'sweep', [], 'axis of the sweep: FIELD=VALUES; give one --sweep for each axis', **kwargs
    )
    flags.DEFINE_integer(
        'sweep_random', 0, 'number of settings to draw from the axes that are ranges', **kwargs
    )
    flags.DEFINE_string(
        'sweep_shard', '', 'part of the members to train: i/n, the i-th of n shards', **kwargs
    )
    launchers = ['', 'submitit', 'submitit-local']
    flags.DEFINE_enum(
        'launcher',
        '',
        launchers,
        'scheduler that trains the shards as jobs: submitit | submitit-local',
        **kwargs,
    )
    flags.DEFINE_integer('launcher_jobs', 1, 'number of jobs, with --launcher', **kwargs)
    flags.DEFINE_multi_string(
        'launcher_option', [], 'setting of submitit: NAME=VALUE; give one flag for each', **kwargs
    )
    return values


def define_config(values: flags.FlagValues, config: ConfigDict, argv: list[str]) -> None:
    """Defines --config.FIELD for every field; ml_collections reads the typed fields from `argv`."""
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=argv)


def trust_typed_functions(values: flags.FlagValues) -> None:
    """Trusts the functions that the user has typed: --config.FIELD=FILE:FUNCTION.

    Raises:
      UserError: a value has another form.
    """
    from atelier.run import config_values  # imports JAX: too slow for --help

    checkout.trust(*config_values.functions_of(values['config'].override_values))


def define_options(values: flags.FlagValues, mode: str, application: 'Application') -> None:
    """Defines a flag for each option of an application.

    Raises:
      UserError: an option's type has no flag, or another flag has its name.
    """
    kinds = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for name, option in applications.options(application).items():
        is_class = option.annotation == int | str  # the number or the name of a class
        is_text = is_class or option.annotation == str | None  # None: not given
        kind = str if is_text else type(option.default)
        if option.default is inspect.Parameter.empty or kind not in kinds:
            raise UserError(
                f'--mode={mode}: the option {name} needs a default: a bool, int, float or str'
            )
        if name in values or name == 'config':
            raise UserError(f'--mode={mode}: every command has a flag --{name}: rename the option')
        default = str(option.default) if is_class else option.default
        kinds[kind](name, default, f'with --mode={mode}', flag_values=values)


def needed_folder(mode: str) -> str:
    """Returns the message for a command line with neither --config nor --workdir."""
    if mode == 'train':
        return (
            'give --config=configs/NAME.py to train, such as --config=configs/vae.py, or '
            '--workdir=RUN to continue a run; --help lists the configs and modes'
        )
    if mode == 'sweep':
        return (
            '--mode=sweep needs --config=configs/NAME.py, or --workdir=SWEEP to continue the sweep '
            'in that folder'
        )
    return f'--mode={mode} needs --workdir=RUN, {A_RUN}'


def wrong_value(error: flags.IllegalFlagValueError, values: flags.FlagValues) -> str:
    """Returns the message for a value that a flag cannot have: what was typed and what to give.

    absl's own message quotes Python, such as "invalid literal for int() with base 10: 'abc'".
    """
    typed = str(error).removesuffix(f': {error.__context__}').removeprefix('flag ')
    name, _, value = typed.removeprefix('--').partition('=')
    if 'as a ConfigDict' in str(error):
        allowed = f'one field of the group, as in --{name}.FIELD=VALUE'
    else:
        allowed = _allowed(values[name].parser, value) if name in values else ''
    value = value if len(value) < 80 else shortened(value)
    text = f'--{name}={value}: give {allowed}' if allowed else str(error)
    return ' '.join(text.split())


def _allowed(parser: flags.ArgumentParser, value: str) -> str:
    """Describes the values that a parser accepts; '' if it has its own message."""
    match parser:
        case flags.BooleanParser():
            return 'True or False'
        case flags.IntegerParser() if value.strip('+-').isdecimal():
            return 'an integer with fewer digits'
        case flags.IntegerParser():
            return 'an integer'
        case flags.FloatParser():
            return 'a number'
        case flags.EnumParser():
            return f'one of {", ".join(filter(None, parser.enum_values))}'
        case TupleParser():
            return "values with commas between them, such as 1,2,3 or 'a','b'"
    return ''


def announce_config_elsewhere(config_file: ConfigFile, flag: str) -> None:
    """Logs which file --config names, unless it is in `configs/` of the checkout.

    In an untrusted folder, a path such as configs/vae.py may lead to a file of that folder.
    """
    path, file = flag.partition(':')[0], config_file.file
    if checkout.is_in_configs(file) or not file.is_file():
        return
    namesake = checkout.ROOT / path
    if namesake.is_file() and namesake.resolve() != file:
        log.warning('--config=%s is %s here, and not %s of the checkout', path, file, namesake)
    else:
        log.info('the config is %s', file)
