"""Paths of values: in evaluations, in outputs of modes, and in the files of benchmarks."""

import pytest

from atelier import files
from atelier.errors import UserError
from benchmarks.reference.value_paths import RefusedError, ValuePath, parsed, read

SPEED = {  # what a benchmark of speed writes
    'benchmark': 'train_speed',
    'machine': {'kind': 'cpu'},
    'arms': {
        'MLP, torch.compile': {
            'milliseconds': {'median': 6.3, 'low': 5.8, 'high': 7.7},
            'losses': {'last': 90.8},
        }
    },
    'ratios': {
        'MLP, scanned': {'value': 1.57, 'low': 1.5, 'high': 1.6},
        'GAN': {'refused': 'the losses of torch.compile are not finite'},
    },
}


@pytest.fixture
def folder(tmp_path):
    nll = {'nll_nats': {'mean': 88.3, 'standard_error': 0.5}, 'nothing': {'mean': None}}
    files.write_json(tmp_path / 'evaluation.json', {'values': nll, 'latents': {'kl': [0.5, 2.0]}})
    files.write_json(tmp_path / 'speed.json', SPEED)
    return tmp_path


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('values.nll_nats.mean', ValuePath('', ('values', 'nll_nats', 'mean'), 1)),
        ('-a', ValuePath('', ('a',), -1)),
        ('-applications/a-1.json:b.c', ValuePath('applications/a-1.json', ('b', 'c'), -1)),
        ('arms."a. b: c".x', ValuePath('', ('arms', 'a. b: c', 'x'), 1)),
        ('f.json:"a.b"', ValuePath('f.json', ('a.b',), 1)),
    ],
)
def test_a_path_is_file_names_and_sign(text, expected):
    assert parsed(text) == expected


@pytest.mark.parametrize('text', ['', '-', 'a..b', 'a.', '.a', 'a."b', '"a"b', 'f.json:', 'a."".b'])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(UserError, match='is not a path'):
        parsed(text)


def test_a_mean_has_its_standard_error(folder):
    assert read('values.nll_nats.mean', folder, 'evaluation.json') == (88.3, 0.5)
    assert read('-values.nll_nats.mean', folder, 'evaluation.json') == (-88.3, 0.5)
    assert read('latents.kl.1', folder, 'evaluation.json') == (2.0, None)


def test_names_with_dots_of_a_benchmark_are_found(folder):
    path = 'arms."MLP, torch.compile".milliseconds.median'
    assert read(path, folder, 'speed.json') == (6.3, None)
    assert read(f'speed.json:{path}', folder, 'evaluation.json') == (6.3, None)
    assert read('ratios."MLP, scanned".value', folder, 'speed.json') == (1.57, None)


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('ratios.VAE.value', 'has no ratios.VAE.value$'),
        ('benchmark', 'is no number'),
        ('evaluation.json:values.nothing.mean', 'has no values.nothing.mean'),
        ('evaluation.json:latents.kl.2', 'has no latents.kl.2'),
        ('other.json:a', 'other.json cannot be read'),
    ],
)
def test_a_missing_value_is_named_with_its_reason(path, message, folder):
    with pytest.raises(UserError, match=message):
        read(path, folder, 'speed.json')


def test_a_ratio_that_a_benchmark_refuses_has_its_reason(folder):
    with pytest.raises(RefusedError, match='^the losses of torch.compile are not finite$'):
        read('ratios.GAN.value', folder, 'speed.json')


def test_a_broken_file_ends_in_one_line(folder):
    (folder / 'evaluation.json').write_text('{"values": ')
    with pytest.raises(UserError, match='evaluation.json cannot be read'):
        read('values.nll_nats.mean', folder, 'evaluation.json')
