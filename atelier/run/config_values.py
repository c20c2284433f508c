"""The config values of a run: flattening, storage in config.json, and which may still change."""

import copy
import json
import os
import pathlib
import re
from typing import Any

from ml_collections import ConfigDict

from atelier import checkout, user_files
from atelier.data import dataset
from atelier.data.augmentation_settings import NO_AUGMENTATION
from atelier.data.conditions.setting import NONE
from atelier.errors import UserError
from atelier.log import log
from atelier.paths import user_path
from atelier.run import stored_values

# location of the data and checks of them, not content
MAY_MOVE = (  # fields outside config.eval that may change after training
    *('data.path', 'data.data_dir', 'data.placement', 'data.verify', 'data.strict'),
    *('data.draw_as', 'data.run'),
)
# fields added later, and the values that older runs had
LATER = {
    'data.without_classes': [],
    'data.split_by': 'order',
    'data.channels': 'last',
    'data.splits': 'exact',
    'data.condition': [NONE],
    'data.classes': 'declared',
    'data.held_out_share': 0.1,
    'data.strict': False,
    'data.draw_as': 'auto',
    'data.verify': 'content',
    'data.train_on_valid': False,
    'data.run': '',
    'data.codes': 'auto',
    **{f'data.augment.{name}': value for name, value in NO_AUGMENTATION.items()},
    'train.optimizer': 'adam',
    'train.unroll': 1,
    'train.command_buffers': 'auto',
    'eval.learns_from_samples': True,
}
# the same, of fields that only some configs have
LATER_OF_SOME = {'model.is_direct': True, 'model.is_conditional': False}
# rules of config.data that a run keeps, and the values for which it does; (): all
KEPT_RULES = {
    'split_by': (),
    'channels': ('last',),
    'splits': ('exact',),
    'classes': (),
    'condition': ([NONE],),
}
SUBJECTS = {'classes': 'classes', 'condition': 'condition'}  # of the rules; of others, the splits
# the last part of the name of a field that holds a path, and fields from before this rule
PATH_ENDINGS = ('path', 'dir', 'file', 'folder', 'run')
OTHER_PATHS = ('eval.classifier',)
FUNCTIONS = ('eval.validity',)  # fields that may hold FILE:FUNCTION
SAME_IN_A_RUN = ('seed', 'data', 'model', 'hypers', 'train')  # config.eval may change at any time


def flatten(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Flattens {'train': {'steps': 3}} to {'train.steps': 3}; tuples become lists, as in JSON."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f'{prefix}{name}.'))
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def is_path(name: str) -> bool:
    """Whether the config field of this full name holds a path, or a list of paths."""
    return name in OTHER_PATHS or re.split('[._]', name)[-1] in PATH_ENDINGS


def with_absolute_paths(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Returns config values with absolute paths, which mean the same in every working directory."""
    absolute = {}
    for name, value in values.items():
        if isinstance(value, dict):
            absolute[name] = with_absolute_paths(value, f'{prefix}{name}.')
        else:
            is_file = is_path(prefix + name) or _is_function(prefix + name, value)
            absolute[name] = _absolute(value) if is_file else value
    return absolute


def functions_of(fields: dict[str, Any]) -> list[pathlib.Path]:
    """Returns the functions that fields, by dotted names, name as FILE:FUNCTION, to be trusted.

    Raises:
      UserError: a value is no FILE:FUNCTION.
    """
    return [
        user_files.function_path(value, f'config.{name}')
        for name, value in fields.items()
        if _is_function(name, value)
    ]


def _is_function(name: str, value: Any) -> bool:
    return name in FUNCTIONS and isinstance(value, str) and ':' in value


def _absolute(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_absolute, value))
    is_given = isinstance(value, str) and value and '://' not in value  # '': no path
    return os.path.realpath(user_path(value)) if is_given else value


def config_with_absolute_paths(config: ConfigDict) -> ConfigDict:
    """Returns `config`, or a copy of it in which relative paths are absolute."""
    values = flatten(config.to_dict())
    absolute = flatten(with_absolute_paths(config.to_dict()))
    changed = {name: path for name, path in absolute.items() if path != values[name]}
    if not changed:
        return config
    config = config.copy_and_resolve_references()
    for name, path in changed.items():
        _set(config, name, path)
    return config


def with_later_fields(values: dict[str, Any]) -> dict[str, Any]:
    """Adds later fields to a run's stored values, with the values that the run implicitly had."""
    whole = copy.deepcopy(values)
    for name, value in LATER.items():
        *path, field = name.split('.')
        group: Any = whole
        for part in path:
            group = group.setdefault(part, {}) if isinstance(group, dict) else None
        if isinstance(group, dict):  # else the file is damaged, as `check_kinds` reports
            group.setdefault(field, value)
    return whole


def read_record(
    path: pathlib.Path, names: tuple[str, ...], defaults: dict[str, Any]
) -> dict[str, Any]:
    """Reads config.json or sweep.json, whose `values` are those of a config.

    Args:
      path: of the file.
      names: fields that it must have.
      defaults: values of fields that earlier versions did not write.

    Raises:
      UserError: the file is damaged or was changed.
    """
    record = defaults | stored_values.read(path)
    stored_values.check_record(path, record, names)
    record['values'] = with_later_fields(record['values'])
    stored_values.check_kinds(path, record['values'], checkout.common_config().to_dict())
    if 'data' in record:  # of a run, not of a sweep
        _keep_order_of_text(record['values']['data'], record['data'])
    return record


def _keep_order_of_text(data: dict[str, Any], fingerprint: Any) -> None:
    """Sets `split_by` of a run's data to 'order' if they are a text that was split by position.

    When some runs began, texts did not read the rule. A split by content records a 'split_rule'.
    """
    has_rule = isinstance(fingerprint, dict) and 'split_rule' in fingerprint
    if data['name'] == 'text' and data.get('path') and not has_rule:
        data['split_by'] = 'order'


def check_plain(values: dict[str, Any]) -> None:
    """Raises UserError for values that JSON cannot store; it stores numbers, text and lists."""
    for name, value in flatten(values).items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise UserError(
                f'config.{name}={value!r} cannot be stored in config.json: store a name instead, '
                'and choose by that name in build'
            ) from error


def adopt_data_rules(
    folder: pathlib.Path, then: dict[str, Any], config: ConfigDict, log_it: bool = True
) -> None:
    """Sets rules in `config.data` to those of a run's or sweep's values (`then`), which keeps them.

    The defaults are others than in runs that began before there was a choice. With `log_it`, a
    difference is logged.
    """
    accepted = dataset.settings_of(config.data.name)
    for name, kept in KEPT_RULES.items():
        rule = then['data'][name]
        now = config.data[name]
        is_chosen = name == 'condition' and now  # so a difference is refused later
        if now in (rule, _as_tuple(rule)) or rule not in (kept or (rule,)) or is_chosen:
            continue
        if log_it and name in (*accepted, 'classes'):
            log.info(
                '%s keeps the %s that it began with: config.data.%s=%r',
                *(folder, SUBJECTS.get(name, 'splits'), name, rule),
            )
        config.data[name] = rule


def check_same_values(folder: pathlib.Path, then: dict, now: dict) -> None:
    """Refuses fields that differ between a run (`then`) and a config (`now`), and names them.

    Raises:
      UserError: a field of SAME_IN_A_RUN differs, except MAY_MOVE, train.steps if it grows, and
        train.batch_size if it is now 0 (all examples).
    """
    then, now = (LATER | flatten(with_absolute_paths(values)) for values in (then, now))
    then = {name: value for name, value in LATER_OF_SOME.items() if name in now} | then
    differ = [
        f'{name} (the run: {then.get(name)!r}, now: {now.get(name)!r})'
        for name in sorted({*then, *now})
        if name.split('.')[0] in SAME_IN_A_RUN and then.get(name) != now.get(name)
        if name not in MAY_MOVE
        if not (name == 'train.steps' and now.get(name, 0) > then.get(name, 0))
        if not (name == 'train.batch_size' and now.get(name) == 0)  # all examples
    ]
    if differ:
        raise UserError(
            f'{folder} is the run of another config: {"; ".join(differ)}: choose another --workdir'
        )


def with_values(
    config: ConfigDict,
    values: dict[str, Any],
    overrides: dict[str, Any],
    may_change: tuple,
    path: pathlib.Path,
) -> None:
    """Sets `config` to the stored `values` of its run, except the user's `overrides`.

    Args:
      config: from the config file, with the overrides applied. It is changed in place.
      values: as `run_folder.load` returns them.
      overrides: new values by dotted name. Only the names are used.
      may_change: names, or prefixes ending in a dot, of fields that may be overridden.
      path: of the file with the stored values.

    Raises:
      UserError: an override of a field that is fixed for the run, fewer train.steps, or a stored
        value of another type than the config's.
    """
    stored_values.check_kinds(path, values, config.to_dict())
    values = with_absolute_paths(values)
    stored, now = flatten(values), flatten(with_absolute_paths(config.to_dict()))
    for name in overrides:
        allowed = any(
            name == pattern or pattern[-1] == '.' and name.startswith(pattern)
            for pattern in may_change
        )
        if not allowed and not (name in stored and stored[name] == now.get(name)):
            listed = ', '.join(
                f'{pattern}*' if pattern[-1] == '.' else pattern for pattern in may_change
            )
            stored_value = stored.get(name, 'the run predates this field')
            advice = 'train another run'
            if name == 'train.steps':
                advice = 'to train this run further, leave out --mode'
            raise UserError(
                f'--config.{name}={now.get(name)}: it is fixed for this run ({stored_value}); '
                f'only {listed} may change: {advice}'
            )
    for name in now:
        if name not in overrides and name in stored:
            _set(config, name, stored[name])
    steps = values['train']['steps']
    if config.train.steps < steps:
        raise UserError(
            f'--config.train.steps={config.train.steps} is less than the {steps} of the run: its '
            'steps can only grow'
        )


def _set(config: ConfigDict, name: str, value: Any) -> None:
    *path, last = name.split('.')
    for part in path:
        config = config[part]
    config[last] = _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    """Returns a value as a config has it, with a tuple where JSON has a list."""
    return tuple(value) if isinstance(value, list) else value
