"""The flag --refit: one command trains both runs, and continues after a kill in either."""

import contextlib
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from atelier.checkout import ROOT
from atelier.run.checkpoint import Checkpoints

pytestmark = pytest.mark.slow


def command(folder):
    settings = [
        *('train.steps=100', 'train.evaluate_every=20', 'train.checkpoint_every=5'),
        *('hypers.decay_steps=0.0', 'train.best_metric=kl_nats', 'train.best_mode=min'),
    ]
    return [
        *(sys.executable, str(ROOT / 'main.py'), f'--config={ROOT}/configs/vae.py:debug'),
        *(f'--workdir={folder}', '--refit', *(f'--config.{each}' for each in settings)),
    ]


def kill_after_a_save(folder, watched):
    """Kills the command once the watched run has a checkpoint."""
    process = subprocess.Popen(command(folder), stderr=subprocess.PIPE)
    while not [*watched.glob('checkpoints/[0-9]*')]:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (watched / 'evaluation.json').exists()


def test_one_command_trains_both_and_continues_after_each_kill(tmp_path, main):
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    for watched in (killed, tmp_path / 'killed-refit'):
        kill_after_a_save(killed, watched)
    outcomes = []
    for folder in (killed, whole):
        result = main(*command(folder)[2:])
        assert result.returncode == 0, result.stderr
        assert f'refit on train + validation, for the 20 steps that {folder} chose' in result.stdout
        refit_folder = folder.with_name(f'{folder.name}-refit')
        with contextlib.closing(Checkpoints(refit_folder / 'checkpoints', True)) as checkpoints:
            outcomes.append(checkpoints.restore_newest(None)[0])
    assert int(outcomes[0].step) == 20
    jax.tree.map(np.testing.assert_array_equal, *outcomes)


def test_the_flag_is_for_training_a_run_that_chooses(tmp_path, main):
    config = f'--config={ROOT}/configs/gan.py:debug'
    result = main(config, f'--workdir={tmp_path}/run', '--refit')
    assert result.returncode == 1
    assert 'error: --refit: the run chooses no number of steps' in result.stderr
    assert not (tmp_path / 'run').exists()
    result = main(f'--workdir={tmp_path}/run', '--mode=evaluate', '--refit')
    assert result.returncode == 1 and result.stderr.count('\n') == 1
