"""A config rejects a data set that it cannot use, naming it, and accepts others."""

import pytest

from atelier.data.dataset import Spec
from configs.shared import common, needs

IMAGES, POINTS = Spec((8, 8), 17, 10), Spec((2,), None, None)
NUMBERS, TEXTS = Spec((), None, None), Spec((16,), 4, None, symbols='abcd')
ITEMS = Spec((16,), 4, None, symbols='\0bcd')
OTHERWISE = 'use another config'


@pytest.mark.parametrize(
    ('need', 'fits', 'others'),
    [
        (needs.labels, [IMAGES], [POINTS, TEXTS]),
        (needs.levels, [IMAGES, TEXTS], [POINTS, NUMBERS]),
        (needs.real_values, [POINTS, NUMBERS], [IMAGES, TEXTS]),
        (needs.images, [IMAGES], [POINTS, TEXTS]),
        (needs.axes, [IMAGES, POINTS], [NUMBERS]),
        (needs.items, [ITEMS], [IMAGES, TEXTS]),
    ],
)
def test_only_other_data_are_refused(complaint, need, fits, others):
    config = common.common_config()
    config.data.name = 'mine'
    for spec in fits:
        need(config, spec, OTHERWISE)
    for spec in others:
        line = complaint(need, config, spec, OTHERWISE)
        assert line.startswith('mine') and line.endswith(OTHERWISE)


def test_columns_that_could_be_the_condition_are_named(complaint, tmp_path):
    config = common.common_config()
    config.data.update(name='folder', path=str(tmp_path))
    line = complaint(needs.condition, config, POINTS, OTHERWISE)
    assert line == f'folder has no labels: {OTHERWISE}'
    (tmp_path / 'metadata.csv').write_text('file_name,age, weight\na.png,1,2\n')
    line = complaint(needs.condition, config, POINTS, OTHERWISE)
    columns = 'set config.data.condition to columns of metadata.csv (age, weight)'
    assert line == f'folder has no labels: {columns}, or {OTHERWISE}'
    needs.condition(config, IMAGES, OTHERWISE)


def test_a_model_of_texts_takes_no_images(complaint):
    needs.text(common.common_config(), TEXTS)
    needs.text(common.common_config(), ITEMS)
    assert 'digits is not a text' in complaint(needs.text, common.common_config(), IMAGES)
