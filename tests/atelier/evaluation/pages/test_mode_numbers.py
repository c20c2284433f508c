"""Numbers of modes on a page, whatever their files hold."""

import json

from atelier import files
from atelier.evaluation.pages.mode_numbers import numbers_of_modes
from atelier.report.page.page import Limits


def test_numbers_are_shown_with_their_errors(tmp_path):
    content = {
        'psnr': {'mean': 20.0, 'standard_error': 0.5},
        'levels': {'0.25': {'before': 3.14159, 'n': 12}},
        'data': 'digits <b>',
        'list': [1.5] * 100,
        'nothing': None,
    }
    (tmp_path / 'applications').mkdir()
    files.write_json(tmp_path / 'applications' / 'denoise.json', content)
    (made,) = numbers_of_modes(tmp_path, Limits())
    for name, value in (
        ('psnr', '20.00 ± 0.50'),
        ('levels, 0.25, before', '3.142'),
        ('levels, 0.25, n', '12'),
        ('data', 'digits &lt;b&gt;'),
        ('nothing', '-'),
    ):
        assert f'>{name}</th><td>{value}</td>' in made
    assert '1.500, 1.500' in made and made.count('1.500') == 8


def test_other_files_are_bounded_and_do_no_harm(tmp_path):
    folder = tmp_path / 'applications'
    folder.mkdir()
    (folder / 'a.json').write_text('no json')
    (folder / 'b.json').write_text(json.dumps({'x': 1, 'checksum': 'wrong'}))
    files.write_json(folder / 'c.json', {str(i): i for i in range(10_000)})
    files.write_json(folder / 'd.json', {'m': {'mean': [[]], 'standard_error': '<b>'}})
    for i in range(30):
        files.write_json(folder / f'e{i}.json', {})
    made = numbers_of_modes(tmp_path, Limits())
    assert len(made) == 21 and '14 more left out' in made[-1]
    assert 'checksum differs' in made[1]
    assert '9,960 more values left out' in made[2]
    assert '<b>' not in ''.join(made)
