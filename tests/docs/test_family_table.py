"""The table of each config's abilities, generated from the families, is up to date."""

from atelier import applications, checkout
from docs import family_table


def test_the_page_contains_the_table_of_the_families():
    page = family_table.PAGE.read_text()
    assert family_table.insert(page) == page, 'python -m docs.family_table brings it up to date'
    for name in (*checkout.configs(), *applications.names()):
        assert f'`{name}`' in page


def test_a_false_row_is_corrected():
    page = family_table.PAGE.read_text()
    row = next(line for line in page.split('\n') if line.startswith('| `configs/classifier.py`'))
    assert row.count(family_table.YES) == 4  # classification, saliency and feature codes
    assert family_table.insert(page.replace(row, row.replace('| ✓', '|  '))) == page


def test_the_table_distinguishes_likelihoods_and_class_conditional_families():
    lines = {line.split('`')[1]: line for line in family_table.table().split('\n')[2:]}
    assert lines['configs/vae.py'].rstrip(' |').endswith('estimate')
    assert 'class-conditional' in lines['configs/cvae.py']
    assert 'class-conditional' not in lines['configs/vae.py']
    assert 'estimate' not in lines['configs/gan.py']
