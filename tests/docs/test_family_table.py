"""The table of what each config's family can do, generated from the families, is up to date."""

from atelier import applications, checkout
from docs import family_table


def test_the_page_has_the_table_that_the_families_give():
    page = family_table.PAGE.read_text()
    assert family_table.insert(page) == page, 'python -m docs.family_table brings it up to date'
    for name in (*checkout.configs(), *applications.names()):
        assert f'`{name}`' in page


def test_a_row_that_is_not_true_is_found():
    page = family_table.PAGE.read_text()
    row = next(line for line in page.split('\n') if line.startswith('| `configs/classifier.py`'))
    assert row.count(family_table.YES) == 3  # classification, saliency and feature codes
    assert family_table.insert(page.replace(row, row.replace('| ✓', '|  '))) == page


def test_likelihoods_and_classes_are_told_apart():
    lines = {line.split('`')[1]: line for line in family_table.table().split('\n')[2:]}
    assert lines['configs/vae.py'].rstrip(' |').endswith('estimate')
    assert 'by class' in lines['configs/cvae.py']
    assert 'by class' not in lines['configs/vae.py']
    assert 'estimate' not in lines['configs/gan.py']
