"""Names of files with results: they carry the settings that change the numbers.

Results with other settings than the run's own are thus in another file, and replace nothing.
"""

import hashlib
import json
import re
from typing import Any

from atelier.run import config_values, run_folder
from atelier.run.experiment import Run

# fields of config.eval that change no result of an evaluation or an application, beyond rounding
ONLY_SIZES = ('batch_size', 'num_pictures')
PLAIN = re.compile(r'[\w.,+-]{1,24}', re.ASCII)  # a value that a file name can hold unchanged
# words or numbers with commas or single blanks between them; as none has a `_`, and `-` only begins
# one, the names of different texts differ
READABLE = re.compile(r'-?[0-9A-Za-z.+]+(?:[, ]-?[0-9A-Za-z.+]+)*')
MAX_READABLE = 60  # characters


def changed_settings(run: Run) -> dict[str, Any]:
    """Returns the fields of `config.eval` that differ from the run's and change results.

    An example is {'weights': 'last', 'sampler.temperature': 0.5}. It is empty if the run has no
    config.json.
    """
    if not (run.folder / 'config.json').is_file():
        return {}
    saved, current = (
        config_values.flatten(config_values.with_absolute_paths(values)['eval'])
        for values in (run_folder.load(run.folder)['values'], run.config.to_dict())
    )
    plain = lambda value: json.loads(json.dumps(value))  # config.json holds tuples as lists
    return {
        name: value
        for name, value in current.items()
        if name in saved and plain(value) != saved[name] and name not in ONLY_SIZES
    }


def settings_suffix(run: Run) -> str:
    """Returns `changed_settings` for a file name, such as '-weights-last-temperature-0.5'."""
    changed = changed_settings(run)
    return suffix(**{name.removeprefix('sampler.'): value for name, value in changed.items()})


def suffix(**values: Any) -> str:
    """Returns '-NAME-VALUE' of each value; a long or odd value is replaced by its checksum."""
    return ''.join(f'-{name}-{_file_name_part(value)}' for name, value in values.items())


def suffix_of_text(name: str, text: str) -> str:
    """Returns '-NAME-TEXT' with `_` for blanks, as '-prompt-a_red_circle'.

    A long or odd text is replaced by its checksum, so that no two texts share a name.
    """
    is_readable = len(text) <= MAX_READABLE and READABLE.fullmatch(text)
    return f'-{name}-{text.replace(" ", "_") if is_readable else checksum_of_text(text)}'


def checksum_of_text(text: str) -> str:
    """Returns 8 hex digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _file_name_part(value: Any) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else checksum_of_text(text)
