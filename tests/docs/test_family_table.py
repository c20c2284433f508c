"""The README's table says of every config what its family can do."""

from atelier import applications, checkout
from docs import family_table


def test_the_readme_has_the_table_that_the_families_give():
    readme = family_table.README.read_text()
    assert family_table.insert(readme) == readme, 'python -m docs.family_table brings it up to date'
    for name in (*checkout.configs(), *applications.names()):
        assert f'`{name}`' in readme


def test_a_row_that_is_not_true_is_found():
    readme = family_table.README.read_text()
    row = next(line for line in readme.split('\n') if line.startswith('| `configs/classifier.py`'))
    assert row.count(family_table.YES) == 3  # classes, saliency, and codes of its features
    assert family_table.insert(readme.replace(row, row.replace('| ✓', '|  '))) == readme


def test_likelihoods_and_classes_are_told_apart():
    lines = {line.split('`')[1]: line for line in family_table.table().split('\n')[2:]}
    assert lines['configs/vae.py'].rstrip(' |').endswith('estimate')
    assert 'by class' in lines['configs/cvae.py']
    assert 'by class' not in lines['configs/vae.py']
    assert 'estimate' not in lines['configs/gan.py']
