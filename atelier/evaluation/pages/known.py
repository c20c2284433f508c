"""What is known of a run: reads its folder, which may be a stranger's."""

import pathlib
import shlex
from typing import Any, NamedTuple

from atelier import files
from atelier.errors import shortened_text
from atelier.evaluation import evaluation_file
from atelier.evaluation.pages.run_log import RunLog, read_log
from atelier.paths import user_path
from atelier.run import config_values, data_table, run_folder
from atelier.run.config_facts import ConfigFacts, config_facts

MAX_EVALUATIONS = 4  # of a run, with different settings


class Known(NamedTuple):
    """What is known of a run.

    name: the folder as it was typed.
    record: the content of config.json.
    config: its values by dotted name.
    file: what its config file says.
    evaluations: contents of evaluation.json and of others like it, by file name.
    data: the content of data.json; empty without one.
    log: the curves.
    """

    name: str
    folder: pathlib.Path
    record: dict[str, Any]
    config: dict[str, Any]
    file: ConfigFacts
    evaluations: dict[str, dict[str, Any]]
    data: dict[str, Any]
    log: RunLog

    @property
    def evaluation(self) -> dict[str, Any]:
        """The evaluation with the run's own settings; empty without one."""
        return self.evaluations.get(evaluation_file.NAME, {})


def known(name: str | pathlib.Path) -> Known:
    """Reads the folder of a run.

    Raises:
      UserError: the folder is not a run, or a file of it is damaged.
    """
    folder = user_path(name)
    record = run_folder.load(folder)
    config = config_values.flatten(record['values'])
    best = str(config.get('train.best_metric', '')), config.get('train.best_mode') == 'min'
    return Known(
        str(name).rstrip('/'),
        folder,
        record,
        config,
        config_facts(record, folder),
        _evaluations(folder, record['id']),
        _data(folder),
        read_log(folder, *best),
    )


def _evaluations(folder: pathlib.Path, run_id: str | None) -> dict[str, dict[str, Any]]:
    paths = [folder / evaluation_file.NAME, *sorted(folder.glob('evaluation-*.json'))]
    read = {
        path.name: evaluation_file.read_evaluation(path, run_id) for path in paths[:MAX_EVALUATIONS]
    }
    return {name: evaluation for name, evaluation in read.items() if evaluation}


def _data(folder: pathlib.Path) -> dict[str, Any]:
    try:
        return files.read_json(folder / data_table.NAME)
    except (OSError, ValueError):  # of an earlier version
        return {}


def command_line(*arguments: str) -> str:
    """Returns a command to type in the checkout; long arguments are shortened."""
    words = ' '.join(shlex.quote(shortened_text(each, 200)) for each in arguments)
    return f'python main.py {words}'
