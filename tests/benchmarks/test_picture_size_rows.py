"""Every config that takes pictures has rows; at 64x64x3 it trains, or is refused with a size."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import EXHAUSTIVE

from atelier import checkout
from atelier.core import devices, optimizers
from atelier.errors import UserError
from atelier.run import restore
from atelier.training.dispatch import make_dispatch
from benchmarks import picture_size_arms, picture_size_rows

ROWS = list(picture_size_rows.rows())
PAGE = checkout.ROOT / 'docs' / 'sizes.md'
OF_OTHERS = ('char_gru', 'char_lm', 'markov', 'posterior', 'sequence_vae')  # not for pictures
KEPT = tuple(f'configs/{name}.py' for name in ('chow_liu', 'diffusion', 'fvsbn', 'maf', 'vae'))
GIGABYTES = 4  # the memory of the page's table


def row_of_page(row: picture_size_rows.Row) -> list[str]:
    (line,) = [each for each in PAGE.read_text().split('\n') if f'| {row.command} |' in each]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_rows_are_of_all_configs_of_pictures():
    others = {f'configs/{name}.py' for name in OF_OTHERS}
    assert {row.config for row in ROWS} == {*checkout.configs()} - others
    assert set(picture_size_rows.SETTINGS) <= {row.config[8:-3] for row in ROWS}


def test_settings_are_fields_of_their_configs():
    for row in ROWS:
        config = checkout.ConfigFile(row.config, 'arrays').config()
        config.update_from_flattened_dict(row.overrides)


def test_the_page_has_exactly_these_rows():
    assert all(len(row_of_page(row)) == 6 for row in ROWS)
    table = PAGE.read_text().partition(f'<!-- {picture_size_rows.TABLE} -->')[2]
    table = table.partition(f'<!-- end of {picture_size_rows.TABLE} -->')[0]
    assert {line.split('|')[1].strip() for line in table.strip().split('\n')[2:]} == {
        row.command for row in ROWS
    }


def test_the_page_says_what_its_limit_is_on():
    """Refusals are of States and steps above it; the memory of a process may be above it, too."""
    text = ' '.join(PAGE.read_text().split())
    assert f'State or training step takes more than {GIGABYTES} GB' in text
    assert 'not on the process' in text
    program = (checkout.ROOT / 'benchmarks' / 'picture_sizes.py').read_text()
    assert re.search(r"'memory_gb', ([\d.]+),", program)[1] == f'{GIGABYTES:.1f}'
    cells = [row_of_page(row) for row in ROWS]
    needs = [re.search(r'(?:State|step) takes ([\d,.]+) GB', each[-1]) for each in cells]
    assert any(needs) and all(float(n[1].replace(',', '')) > GIGABYTES for n in needs if n)
    assert not any(each[3] for each, need in zip(cells, needs, strict=True) if need)


def test_coloured_shapes_are_pictures_with_labels():
    x, kind = picture_size_arms.coloured_shapes(12, 16, 0)
    assert x.shape == (12, 16, 16, 3) and x.dtype == np.uint8
    assert kind.shape == (12,) and {*kind} == {0, 1, 2}
    assert len(np.unique(x.reshape(12, -1), axis=0)) == 12
    np.testing.assert_array_equal(picture_size_arms.coloured_shapes(12, 16, 0)[0], x)


def test_an_arm_trains_and_validates_its_pictures():
    """And says how large its model is, or that the pictures are refused."""
    arm = picture_size_arms.make('configs/vae.py', {'model.hidden_sizes': (8,)}, 8, 2, 0.0)
    assert len(arm.call()) == 2 and arm.facts['validated'] == 64
    assert arm.facts['parameters'] > 0 and arm.facts['peak_mb'] > 0
    wide = picture_size_arms.make('configs/vae.py', {'data.draw_as': 'texts'}, 8, 1, 0.0)
    assert wide.call() is None and 'data.draw_as' in wide.facts['refused']


@pytest.mark.parametrize(
    'row',
    [
        pytest.param(row, marks=pytest.mark.slow if row.config in KEPT else EXHAUSTIVE)
        for row in ROWS
    ],
    ids=lambda row: row.command.strip('`'),
)
def test_large_pictures_are_taken_or_refused_with_a_size(row, monkeypatch):
    """Nothing is computed or compiled: shapes are enough."""
    monkeypatch.setattr(devices, 'memory_bytes', lambda device: 1e9 * GIGABYTES)
    *_, refusal = row_of_page(row)
    try:
        run = picture_size_arms.run_of(row.config, row.overrides, 64)
        like = restore.Start(run).like
    except UserError as error:
        assert '\n' not in str(error) and re.search(r'\b\d+x\d+x3\b', str(error))
        assert refusal == str(error)
        return
    size = run.config.train.batch_size
    step = make_dispatch(run.family, run.data, optimizers.chosen(run.config), size, 1)
    state, report = jax.eval_shape(step, like, run.data.splits['train'], jnp.int32(0))
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(state) == shapes(like)
    assert any(name.startswith('loss') for name in report)
