"""The command line: parsing with one-line errors, and dispatch to a mode.

    cli.perform(cli.parse(['atelier', '--mode=evaluate', '--workdir=runs/vae-digits']))

does what the command does and can be repeated in one process. --help does not import JAX.
"""

import contextlib
import faulthandler
import gc
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from atelier import applications, checkout, cli_flags, cli_help, user_files
from atelier.cli_arguments import paths_of, value_of, without
from atelier.cli_built_in import BUILT_IN, WITHOUT_CONFIG
from atelier.cli_flags import Command
from atelier.errors import (
    UserError,
    closest,
    closest_field,
    fields_named,
    opened_from_python,
    reading,
    shortened,
    suggestion,
)
from atelier.log import log_to_terminal, one_line
from atelier.paths import user_path
from atelier.training.stop_signals import StoppedAtOnce

if TYPE_CHECKING:
    from atelier.applications import Application

# between two collections; imports and tracing make objects that stay, and collecting them 70 times
# as often, as Python does by default, takes a tenth of the start
NEW_OBJECTS = 50_000


def console() -> None:
    """Performs this process's command line: the entry point of `python main.py` and `atelier`."""
    gc.set_threshold(NEW_OBJECTS, 10, 10)
    log_to_terminal()
    faulthandler.enable()  # reports the Python line if native code crashes
    try:
        with checkout.open_for_a_command():
            perform(parse(sys.argv))
    except UserError as error:
        try:
            print(f'error: {one_line(str(error))}', file=sys.stderr, flush=True)
        finally:
            os._exit(1)  # on a full disk, each writer would print a traceback at exit
    except StoppedAtOnce as error:
        os._exit(error.code)  # at exit, JAX would wait for other processes
    except KeyboardInterrupt:  # before the loop handles signals
        os._exit(130)


def parse(argv: list[str]) -> Command:
    """Parses a command line whose first word is the command's name.

    Without --config, the config of the run in --workdir is used. An application adds a flag for
    each option of its `apply`.

    Raises:
      UserError: unknown flag, mode or config field, wrong type, no such config.
      SystemExit: after --help, with status 0.
    """
    if any(re.fullmatch(r'-h|--?help.*', arg) for arg in argv[1:]):
        _print(cli_help.text(argv))
        raise SystemExit(0)
    mode = value_of('mode', argv) or 'train'
    application = cli_flags.application_of(mode)
    args = without('config', argv)
    typed = value_of('config', argv)
    _refuse_unknown_flags(args, mode, application, typed)
    _trust(*paths_of('trust', argv))
    workdir = value_of('workdir', argv)
    has_config = mode not in WITHOUT_CONFIG
    config_file = _config_file(typed, mode, workdir) if has_config else None
    values = cli_flags.define()
    config = config_file and config_file.config()  # a bug in the file keeps its traceback
    if config is not None:
        _check_names(args, config)
        default = config.to_dict()
    with _in_one_line(values):
        if application:
            cli_flags.define_options(values, mode, application)
        if config is not None:
            cli_flags.define_config(values, config, args)
        rest = values(args)
    if config is not None:
        _check_kinds(values.config, default, args)
        cli_flags.trust_typed_functions(values)
    if len(rest) > 1:
        raise UserError(f'{rest[1]!r} is not a flag; flags look like --name=value')
    return Command(values, config_file, bool(typed), application)


def _print(text: str) -> None:
    """Prints to a reader that may close the pipe early, as `head` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # else the flush at exit would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def perform(command: Command) -> None:
    """Assembles the run that the command line names and passes it to the mode.

    Raises:
      UserError: the flags do not name a run, or the mode raises it.
    """
    from atelier import cli_modes  # imports JAX

    cli_modes.perform(command)


def _config_file(typed: str | None, mode: str, workdir: str | None) -> checkout.ConfigFile:
    """Returns the config file typed, or that of the run or sweep in --workdir.

    Raises:
      UserError: neither is given.
    """
    if typed:
        config_file = checkout.config_file(typed)
        cli_flags.announce_config_elsewhere(config_file, typed)
        return config_file
    if not workdir:
        raise UserError(cli_flags.needed_folder(mode))
    from atelier.run import run_folder  # imports JAX: too slow for --help
    from atelier.sweep import folder as sweep_folder

    folder = user_path(workdir)
    record = (sweep_folder if mode == 'sweep' else run_folder).load(folder)
    config_file = checkout.recorded(record, folder)
    if not config_file.path:
        raise UserError(opened_from_python(folder))
    return config_file


def _trust(*paths: str) -> None:
    """Trusts the files, folders and functions (FILE:FUNCTION) of --trust.

    Raises:
      UserError: one of them does not exist.
    """
    for path in paths:
        with reading(path):
            if user_path(path).exists():
                checkout.trust(path)
                continue
            if ':' not in path or not user_files.file_and_name(path, '--trust')[0].is_file():
                raise UserError(f'--trust={path}: there is no such file or folder')
        checkout.trust(user_files.function_path(path, '--trust'))


def _refuse_unknown_flags(
    args: list[str], mode: str, application: 'Application | None', typed: str | None
) -> None:
    """Refuses flags that the mode does not have, and words that are no flags, before the config
    is loaded.

    Raises:
      UserError: names the modes that have the flag, or the most similar flag.
    """
    values = cli_flags.define()
    with _in_one_line(values):
        if application:
            cli_flags.define_options(values, mode, application)
        values.set_gnu_getopt(True)  # flags may follow the values of --config.FIELD
        rest = values(args, known_only=True)
    for previous, arg in zip(rest, rest[1:], strict=False):
        if re.fullmatch(r'--?config\.[^=]+', previous):  # then `arg` is its value
            continue
        own_flags = _flags_of(mode, application)
        if not arg.startswith('-'):
            flag = _flag_meant(arg, own_flags, _described_fields(typed))
            raise UserError(
                f'{shortened(arg)} is not a flag{suggestion(flag)}; flags look like --name=value'
            )
        match = re.match(r'--?(?!config\.)([A-Za-z_][\w.]*)(=.*|$)', arg, re.DOTALL)
        if not match:
            continue
        name, value = match.groups()
        fields = _described_fields(typed)
        meant = [f'--config.{field}' for field in fields_named(name, fields)]
        modes = [other for other in applications.names() if name in _options_of(other)]
        if modes and meant and mode in ('train', 'sweep'):
            raise UserError(
                f'--{name} is an option of other modes; the field of the config is '
                f'{meant[0]}{value or "=VALUE"}'
            )
        if modes:
            raise UserError(f'--{name} is an option of --mode={", --mode=".join(modes)}')
        similar = (f'config.{field}' for field in fields) if '.' in name else own_flags
        other = closest(name, similar)
        flag = meant[0] if meant else other and f'--{other}'
        advice = suggestion(flag) or f': --mode={mode} --help lists the flags'
        raise UserError(f'there is no flag --{name}{advice}')


def _flags_of(mode: str, application: 'Application | None') -> list[str]:
    """Returns the names of the flags that a mode reads, without the config's fields."""
    if application:
        return ['config', 'mode', 'workdir', 'trust', *applications.options(application)]
    own = BUILT_IN[mode]
    return ['config', 'mode', 'workdir', *own.own_flags, *own.shared_flags]


def _flag_meant(word: str, own_flags: list[str], fields: list[str]) -> str | None:
    """Returns the flag that a word without dashes may stand for, or None."""
    name, equals, value = word.partition('=')
    if not equals:
        if word in cli_flags.modes():
            return f'--mode={word}'
        return f'--config={word}' if word.partition(':')[0] in checkout.configs() else None
    field = closest_field(name.removeprefix('config.'), fields)
    known = closest(name, own_flags) or (field and f'config.{field}')
    return f'--{known}={value}' if known else None


def _described_fields(typed: str | None) -> list[str]:
    """Returns the fields of the config that --config names, from its source: it is not run yet."""
    from atelier.run.config_comments import field_comments

    file = checkout.config_file(typed).file if typed else None
    return [*field_comments(file)] if file and file.is_file() else []


def _options_of(mode: str) -> dict:
    return applications.options(applications.load(mode))


def _check_names(argv: list[str], config) -> None:
    """Refuses --config.NAME if the config has no such field."""
    from atelier.run import config_values

    known = config_values.flatten(config.to_dict())
    groups = {name.rpartition('.')[0] for name in known}
    for arg in argv[1:]:
        match = re.match(r'--?config\.([^=]+)', arg)
        if match and match.group(1) not in {*known, *groups}:
            name = match.group(1)
            hint = suggestion(closest_field(name, known))
            raise UserError(f'the config has no field {name!r}{hint}')


def _check_kinds(config, default: dict, args: list[str]) -> None:
    """Refuses command-line values of another type than the field's, and incomplete groups."""
    from atelier.run import config_values, stored_values

    now = config.to_dict()
    wrong = stored_values.wrong_kind(now, default)
    if wrong:
        raise UserError(_wrong_kind_typed(wrong, config_values.flatten(default), args))
    missing = [*config_values.flatten(default).keys() - config_values.flatten(now).keys()]
    if missing:
        group = min(missing).rpartition('.')[0]
        raise UserError(
            f'--config.{group} replaces all its fields and leaves out {min(missing)}: give each '
            f'field that changes, as in --config.{min(missing)}=VALUE'
        )


def _wrong_kind_typed(wrong: str, default: dict, args: list[str]) -> str:
    """Returns the message of `stored_values.wrong_kind` for what was typed, if it was typed."""
    from atelier.run import stored_values

    field = wrong.partition(' is ')[0]
    name = field.removeprefix('config.')
    typed = value_of(re.escape(field), args)
    if typed is None or name not in default:
        return wrong
    needed = stored_values.needed(default[name])
    return f'--{field}={typed if len(typed) < 80 else shortened(typed)}: give {needed}'


@contextlib.contextmanager
def _in_one_line(values: flags.FlagValues) -> Iterator[None]:
    """Turns the errors of flags into a `UserError` without line breaks."""
    try:
        yield
    except flags.IllegalFlagValueError as error:
        raise UserError(cli_flags.wrong_value(error, values)) from error
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        message = ' '.join(str(error.args[0] if error.args else error).split())
        without = re.fullmatch(r'Missing value for flag -*(\S+)', message)
        raise UserError(
            f'--{without[1]} needs a value: --{without[1]}=VALUE' if without else message
        ) from error
