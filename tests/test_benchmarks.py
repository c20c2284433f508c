"""Every benchmark runs to its table, with as little work as it takes; nothing is timed here."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import experiment

DEBUG = '--config=configs/vae.py:digits,debug'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'arguments', 'rows'),
    [
        ('placement', [DEBUG, '--length=2', '--dispatches=1', '--repeats=1'], 2),
        ('steps_per_dispatch', [DEBUG, '--lengths=1,2', '--steps=2', '--repeats=1'], 4),
        ('train_speed', ['--models=mlp', '--steps=4', '--repeats=1'], 4),
        ('matrix_rate', ['--shape=8,8,8', '--matrix_repeats=1'], 1),
    ],
)
def test_a_benchmark_ends_in_its_table(name, arguments, rows):
    environment = {**os.environ, 'XLA_FLAGS': '', 'TFDS_DATA_DIR': ''}
    result = subprocess.run(
        [sys.executable, '-m', f'benchmarks.{name}', *arguments],
        cwd=experiment.ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    medians = re.findall(r'\d[\d.]* \(\d[\d.]* to \d[\d.]*\)', result.stdout)
    assert len(medians) >= rows, result.stdout
    assert 'nan' not in result.stdout


@pytest.mark.slow
def test_seeds_are_summed_up_with_their_samples(tmp_path):
    """Mean and deviation over seeds, each seed, and real data in brackets."""
    result = subprocess.run(
        [
            *(sys.executable, '-m', 'benchmarks.over_seeds', '--config=configs/gan.py:ring,debug'),
            *('--seeds=2', f'--folder={tmp_path}'),
        ],
        cwd=experiment.ROOT,
        env={**os.environ, 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    evaluations = [
        json.loads((tmp_path / f'seed-{seed}' / 'evaluation.json').read_text()) for seed in (0, 1)
    ]
    shares = [e['samples']['values']['high_quality']['samples'] for e in evaluations]
    line = re.search(r'high_quality +(\S+) \+- (\S+) .*\(0\.9\d+\)  (\S+), (\S+)', result.stdout)
    mean, deviation, *each = map(float, line.groups())
    assert mean == pytest.approx(sum(shares) / 2, abs=1e-3)
    assert deviation == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5, abs=1e-3)
    assert each == pytest.approx(shares, rel=1e-3)


@pytest.mark.slow
def test_the_error_of_pca_is_scikit_learns():
    """On the digits, fitted on the training split alone."""
    from sklearn.decomposition import PCA

    from datasets import digits, splits

    result = subprocess.run(
        [sys.executable, '-m', 'benchmarks.pca_error', '--components=3', '--components=8'],
        cwd=experiment.ROOT,
        env={**os.environ, 'XLA_FLAGS': ''},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    line = r'(\d+) components: squared_error (\S+) \+- \S+, moved to the interval (\S+) '
    found = re.findall(line, result.stdout)
    assert [row[0] for row in found] == ['3', '8']
    data = splits.hold_out(digits.load().splits, 0)
    train, test = (data[name]['x'].reshape(-1, 64) / 16 for name in ('train', 'test'))
    for components, error, moved in found:
        pca = PCA(int(components), svd_solver='full').fit(train)
        seen = pca.inverse_transform(pca.transform(test))
        want = 0.5 * np.sum((test - seen) ** 2, 1).mean()
        assert float(error) == pytest.approx(want, abs=1e-4)
        want = 0.5 * np.sum((test - np.clip(seen, 0, 1)) ** 2, 1).mean()
        assert float(moved) == pytest.approx(want, abs=1e-4)
