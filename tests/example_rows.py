"""Rows for tests: their commands are small scripts instead of `main.py`."""

import json
import sys

from benchmarks.reference import commands, rows
from benchmarks.reference.schedule import Setting

ROW = """
[[row]]
name = '{name}'
title = 'a row'
section = 'examples'
unit = 'nats'
config = 'configs/vae.py'
values = {{NLL = 'values.nll_nats.mean'}}
target = {{value = 10.0, tolerance = 1.0, direction = 'lower'}}
published = {{value = 10.5, source = 'a paper', setting = 'one layer', budget = 'ten epochs'}}
minutes = {{cpu = 1}}
seeds = [0, 1]
priority = {priority}
{more}
"""
MACHINE = dict(kind='cpu', device='1 x cpu', processor='a processor', cores=2, commit='abc')
# Counts to COUNT in a file, which survives a SIGTERM; then writes the evaluation.
SCRIPT = """
import json, pathlib, signal, sys, time
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
pause, status = map(float, sys.argv[3:])
stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
steps = folder / 'steps'
print('begins', flush=True)
for step in range(int(steps.read_text()) if steps.exists() else 0, count):
    steps.write_text(str(step + 1))
    time.sleep(pause)
    if stops:
        sys.exit(143)
if status:
    print('it went wrong')
    sys.exit(int(status))
value = {'mean': 9.0 + int(folder.name[-1]), 'standard_error': 0.25}
(folder / 'evaluation.json').write_text(json.dumps({'values': {'nll_nats': value}}))
"""


def load(folder, *texts):
    """Rows from (name, priority, more lines)."""
    text = ''.join(ROW.format(name=n, priority=p, more=more) for n, p, more in texts)
    (folder / 'rows.toml').write_text(text)
    return rows.load(folder)


def setting(folder, known, jobs=1):
    (folder / 'data').mkdir(exist_ok=True)
    return Setting(known, folder / 'runs', folder / 'data', MACHINE, jobs)


def scripted(monkeypatch, count=1, pause=0.0, failing=(), modes=0):
    """Replaces the commands of rows by SCRIPT; those of the rows `failing` end with status 3."""

    def real(row, seed, runs, data, known):
        folder = commands.folder_of(row, seed, runs)
        status = 3 if row.name in failing else 0
        train = [sys.executable, '-c', SCRIPT, str(folder), str(count), str(pause), str(status)]
        return [train, *([[sys.executable, '-c', 'print("a mode")']] * modes)]

    monkeypatch.setattr(commands, 'real', real)


def json_of(path):
    return json.loads(path.read_text())
