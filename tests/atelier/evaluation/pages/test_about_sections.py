"""What a page says of the lengths of items, which data.json has; the file may be a stranger's."""

import pytest

from atelier.evaluation.pages.about_sections import data_section
from atelier.report.page.page import Limits


def page(**data) -> str:
    (section,) = data_section({'name': 'lines', **data}, Limits())
    return str(section.body)


def test_lengths_of_items_are_a_table():
    shown = page(lengths={'least': 3, 'bins': [[3, 12, 4037], [13, 13, 2]]})
    assert all(f'>{cell}<' in shown for cell in ('3 to 12', '4,037', '13', '2', 'training items'))


@pytest.mark.parametrize('lengths', [None, {}, 3, {'bins': 3}, {'bins': [[1, 2], 'abc']}])
def test_other_data_have_no_such_table(lengths):
    assert 'training items' not in page(lengths=lengths)
    assert '- to -' in page(lengths={'bins': [['a', 'b', 'c']]})
