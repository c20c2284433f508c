"""The process in which `benchmarks.mutations` reads damaged files.

    python -m benchmarks.damage_worker WORKSPACE GIGABYTES

Each line of the input names a kind of file; the output is 'ready', then a line of JSON with each
outcome.
"""

import hashlib
import json
import logging
import pathlib
import resource
import sys
import traceback
from typing import Any

from atelier import checkout
from atelier.errors import UserError
from atelier.log import log
from benchmarks import file_kinds


class _Warnings(logging.Handler):
    """Collects the texts of warnings."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def answer(kind: str, workspace: pathlib.Path) -> dict[str, Any]:
    """Reads a file; returns 'outcome', 'text' (the error or the result's digest), 'warnings'."""
    warnings = _Warnings()
    log.addHandler(warnings)
    try:
        value = file_kinds.KINDS[kind].read(workspace)
    except UserError as error:
        lines = str(error).splitlines()
        return {'outcome': 'refused' if len(lines) == 1 else 'lines', 'text': str(error)}
    except MemoryError:
        return {'outcome': 'memory', 'text': traceback.format_exc(limit=-3)}
    except (Exception, SystemExit):  # whatever it is, it is a finding
        return {'outcome': 'traceback', 'text': traceback.format_exc(limit=-3)}
    finally:
        log.removeHandler(warnings)
    digest = hashlib.sha256(repr(value).encode()).hexdigest()
    return {'outcome': 'read', 'text': digest, 'warnings': warnings.texts}


def limit_memory(gigabytes: float) -> None:
    """Limits the process's address space to its present size plus `gigabytes`."""
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(workspace: pathlib.Path, gigabytes: float) -> None:
    """Makes the files if there are none, reads each kind once, then waits for jobs."""
    replies, sys.stdout = sys.stdout, sys.stderr
    if not workspace.exists():
        workspace.mkdir(parents=True)
        file_kinds.make_files(workspace)
    limit_memory(gigabytes)
    print('ready', file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line.strip(), workspace)), file=replies, flush=True)


if __name__ == '__main__':
    with checkout.open_for_a_command():
        main(pathlib.Path(sys.argv[1]), float(sys.argv[2]))
