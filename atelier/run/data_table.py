"""What was understood of a run's data: printed as a table before training, and kept in data.json.

The program shows data.json on the page of a run, and decides nothing by it.
"""

import pathlib

from atelier import files
from atelier.data.dataset import Dataset
from atelier.data.summary import Summary, lines_of, summary_of
from atelier.log import Lines, log

NAME = 'data.json'  # in the folder of a run
_shown: dict[str, Summary] = {}  # by data


def show(data: Dataset) -> Summary:
    """Logs the table of the data; returns what it holds."""
    summary = summary_of(data)
    log.info('data %s', Lines(lines_of(summary, data.spec)))
    return summary


def shown_once(data: Dataset, fingerprint: dict[str, str]) -> Summary:
    """`show`, which logs nothing for data of this fingerprint that it has shown in this process."""
    key = repr((data.name, data.spec, sorted(fingerprint.items())))
    if key not in _shown:
        _shown[key] = show(data)
    return _shown[key]


def write(folder: pathlib.Path, summary: Summary) -> None:
    """Writes data.json into the folder of a run.

    Raises:
      UserError: it cannot be written.
    """
    files.write_json(folder / NAME, summary)
