"""Each benchmark runs through to its table on a minimal workload; nothing is timed here."""

import json
import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from marks import EXHAUSTIVE

from atelier import checkout, files
from atelier.training.dispatch import compile_dispatch
from benchmarks import limits, whole_run
from benchmarks.subjects import SUBJECTS, run_of
from benchmarks.training import placed

DEBUG = '--config=configs/vae.py:digits,debug'


def output_of(name, *arguments):
    """The output of `python -m benchmarks.NAME` on one device and random images."""
    result = subprocess.run(
        [sys.executable, '-m', f'benchmarks.{name}', *arguments],
        cwd=checkout.ROOT,
        env={**os.environ, 'XLA_FLAGS': '', 'TFDS_DATA_DIR': ''},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


KEPT = [  # (name, arguments, smallest number of medians)
    ('placement', [DEBUG, '--length=2', '--dispatches=1', '--repeats=1'], 2),
    ('train_speed', ['--models=mlp', '--steps=2', '--repeats=1', '--precisions=bfloat16'], 2),
    ('latent_speed', ['--size=tiny', '--steps=1', '--repeats=1'], 2),
    ('augmentation_speed', [DEBUG, '--length=2', '--repeats=1'], 5),
    (
        'condition_speed',
        ['--config=configs/diffusion.py:digits,debug', '--length=2', '--repeats=1'],
        4,
    ),
    ('start_up', [DEBUG, '--repeats=1'], 14),
    ('matrix_rate', ['--shape=96,256,256', '--matrix_repeats=1'], 1),
]
OTHERS = [
    ('steps_per_dispatch', [DEBUG, '--lengths=1,epoch', '--steps=2', '--repeats=1'], 2),
    ('train_speed', ['--steps=16', '--repeats=1', '--precisions=float32,bfloat16'], 15),
    ('diffusion_speed', ['--sizes=digits', '--steps=1', '--repeats=1'], 2),
    ('latent_speed', ['--steps=1', '--repeats=1'], 2),
    ('device_count', [DEBUG, '--counts=1,8', '--length=2', '--repeats=1'], 3),
    ('sweep_speed', [DEBUG, '--members=2', '--length=2', '--repeats=1', '--nowhole'], 3),
    (
        'sampling_speed',
        ['--subjects=pixel_transformer', '--side=4', '--batch=2', '--repeats=1'],
        3,
    ),
    ('text_speed', ['--steps=2', '--repeats=1'], 1),
    ('item_speed', ['--config=configs/char_lm.py:lines,debug', '--length=2', '--repeats=1'], 5),
    ('launch_variants', ['--models=mlp', '--steps=4', '--repeats=1'], 9),
    (
        'precision_loss',
        ['--debug', '--families=vae', '--families=transformer', '--steps=2', '--repeats=1'],
        4,
    ),
    ('picture_cost', [DEBUG, '--steps=20', '--repeats=1'], 4),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'arguments', 'rows'),
    [*KEPT, *(pytest.param(*each, marks=EXHAUSTIVE) for each in OTHERS)],
)
def test_a_benchmark_ends_in_its_table(name, arguments, rows):
    printed = output_of(name, *arguments)
    medians = re.findall(r'\d[\d.]* \(\d[\d.]* to \d[\d.]*\)', printed)
    assert len(medians) >= rows, printed
    assert 'nan' not in printed


@pytest.mark.slow
def test_a_benchmark_ends_when_its_time_is_up_and_keeps_what_it_has(tmp_path):
    path = tmp_path / 'a.json'
    output_of('matrix_rate', '--shape=96,256,256', '--seconds=600', f'--json={path}')
    content = files.read_json(path)
    assert content['benchmark'] == 'matrix_rate' and content['machine']['processor']
    assert content['arms']['96,256,256, float32']['milliseconds']['repeats'] == 9
    assert set(content['ratios']['96,256,256: bfloat16 / float32']) == {'value', 'low', 'high'}
    printed = output_of('matrix_rate', '--shape=96,256,256', '--seconds=1e-9')
    assert 'time was up' in printed


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_whole_run_is_repeated_bit_by_bit(tmp_path):
    path = tmp_path / 'a.json'
    printed = output_of('whole_run', DEBUG, f'--json={path}')
    assert 'trained twice: 0 arrays differ' in printed
    arms = files.read_json(path)['arms']
    assert arms['trained twice']['different arrays']['median'] == 0
    assert arms['evaluation on the CPU: nll_nats']['difference']['median'] <= 1e-3
    assert arms['cold compilation cache']['seconds']['median'] > 0


def test_arrays_that_differ_in_a_bit_are_counted():
    arrays = {'a': np.zeros(2), 'b': np.ones(3, np.float32)}
    assert whole_run.num_different(arrays, {name: x.copy() for name, x in arrays.items()}) == 0
    assert whole_run.num_different(arrays, {**arrays, 'a': -arrays['a']}) == 1
    assert whole_run.num_different(arrays, {'a': arrays['a'], 'c': arrays['b']}) == 2


@pytest.mark.slow
def test_the_memory_of_a_dispatch_ends_in_its_table():
    printed = output_of('device_memory', DEBUG, '--batches=8,16', '--lengths=4')
    row = r'batch (\d+), (\d+) steps a dispatch: arguments (\S+), reports (\S+), temporaries (\S+)'
    rows = [tuple(map(float, match)) for match in re.findall(row, printed)]
    assert [row[:2] for row in rows] == [(8, 4), (16, 4)]
    assert all(state > 0 and temporaries > 0 for *_, state, _, temporaries in rows)
    assert rows[1][4] > rows[0][4]  # doubling the batch needs larger temporaries


@pytest.mark.slow
@pytest.mark.parametrize('name', SUBJECTS)
def test_counted_products_equal_those_of_the_compiled_step(name):
    """Our count of products is within a tenth of XLA's count of all operations of a step."""
    images = np.zeros((512, 28, 28, 1), np.uint8)
    run, devices = run_of(SUBJECTS[name], images, 'float32'), jax.devices()[:1]
    compiled = compile_dispatch(run, 1, devices).lower(*placed(run, devices)).compile()
    counted = limits.flop(SUBJECTS[name].products)
    assert counted <= compiled.cost_analysis()['flops'] <= 1.1 * counted


@pytest.mark.slow
def test_seeds_are_summarized_with_sample_quality(tmp_path):
    """Prints mean and standard deviation over seeds, real data in brackets, and each seed."""
    config = '--config=configs/gan.py:ring,debug'
    printed = output_of('over_seeds', config, '--seeds=2', f'--folder={tmp_path}')
    evaluations = [
        json.loads((tmp_path / f'seed-{seed}' / 'evaluation.json').read_text()) for seed in (0, 1)
    ]
    shares = [e['samples']['values']['high_quality']['samples'] for e in evaluations]
    line = re.search(r'high_quality +(\S+) \+- (\S+) .*\(0\.9\d+\)  (\S+), (\S+)', printed)
    mean, deviation, *each = map(float, line.groups())
    assert mean == pytest.approx(sum(shares) / 2, abs=1e-3)
    assert deviation == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5, abs=1e-3)
    assert each == pytest.approx(shares, rel=1e-3)


@pytest.mark.slow
def test_the_error_of_pca_equals_scikit_learns():
    """On the digits, with PCA fitted on the training split only."""
    from sklearn.decomposition import PCA

    from atelier.data import digits, splits

    printed = output_of('pca_error', '--components=3', '--components=8')
    line = r'(\d+) components: squared_error (\S+) \+- \S+, clipped to the interval (\S+) '
    rows = re.findall(line, printed)
    assert [row[0] for row in rows] == ['3', '8']
    data = splits.hold_out(digits.load().splits, 0)
    train, test = (data[name]['x'].reshape(-1, 64) / 16 for name in ('train', 'test'))
    for components, error, clipped_error in rows:
        pca = PCA(int(components), svd_solver='full').fit(train)
        reconstructions = pca.inverse_transform(pca.transform(test))
        expected = 0.5 * np.sum((test - reconstructions) ** 2, 1).mean()
        assert float(error) == pytest.approx(expected, abs=1e-4)
        expected = 0.5 * np.sum((test - np.clip(reconstructions, 0, 1)) ** 2, 1).mean()
        assert float(clipped_error) == pytest.approx(expected, abs=1e-4)
