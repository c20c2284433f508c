"""Molecules: valid and canonical SMILES, and the filters of MOSES, where RDKit is installed."""

import sys
import zipfile

import pytest
from support import assembled

from atelier.data import items
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.evaluation.samples import item_quality, smiles
from atelier.evaluation.samples.validity import validity_of

needs_rdkit = pytest.mark.skipif(
    not smiles.has_rdkit(), reason='RDKit is not installed: requirements-molecules.txt has it'
)
MCF = 'names,smarts\nring,[#6]1-[#8]-[#6]-1\n"two, of one","[H]C([H])([#6])[F,Cl]"\n'
PAINS = '"[#16]~[#16]     ","<name(1)>"\n'


@pytest.fixture
def wheel(tmp_path):
    """A wheel with three structures, as that of molsets has."""

    def write(mcf=MCF, pains=PAINS):
        path = tmp_path / 'molsets-0.3.1-py3-none-any.whl'
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('moses/metrics/mcf.csv', mcf)
            archive.writestr('moses/metrics/wehi_pains.csv', pains)
        return str(path)

    return write


@needs_rdkit
def test_equal_molecules_have_one_form_and_what_is_no_molecule_has_none():
    forms = smiles.canonical(['OCC', 'CCO', 'C1CC', 'c1ccccc1', 'CC(', 'N(C)(C)(C)(C)C', 'x'])
    assert forms == ['CCO', 'CCO', None, 'c1ccccc1', None, None, None]


@needs_rdkit
@pytest.mark.parametrize('item', ['', ' ', 'CCO name', 'CCO\tname', ' CCO', 'CCO\n'])
def test_a_molecule_is_one_word(item):
    assert smiles.canonical([item]) == [None]


@needs_rdkit
def test_nothing_is_printed_of_items_that_are_no_molecules(capfd):
    smiles.canonical(['C1CC', 'x'])
    assert capfd.readouterr() == ('', '')


@needs_rdkit
def test_filters_refuse_their_structures_charges_elements_and_large_rings(wheel):
    passes = smiles.filters(wheel())
    refused = {
        'C1CO1': 'the ring',
        'CCF': 'two hydrogen atoms beside a halogen',
        'CSSC': 'of the second file',
        'C[N+](C)(C)C': 'charge',
        'CP': 'element',
        'C1CCCCCCC1': 'a ring of eight',
    }
    passing = ['CCO', 'c1ccccc1', 'C1CCCCCC1', 'CC(F)(C)C']
    assert passes([*refused, *passing]) == [False] * len(refused) + [True] * len(passing)


@needs_rdkit
def test_a_structure_that_rdkit_does_not_read_is_named(wheel):
    with pytest.raises(UserError, match="a filter of molsets is no SMARTS: '\\[#6'"):
        smiles.filters(wheel(mcf='names,smarts\nx,[#6\n'))


def test_without_molsets_there_are_no_filters(tmp_path, monkeypatch):
    monkeypatch.setattr(smiles, 'PACKAGE', 'a_package_that_is_not_there')
    (tmp_path / 'text.whl').write_text('no archive')
    for path in ('', str(tmp_path / 'gone.whl'), str(tmp_path), str(tmp_path / 'text.whl')):
        assert smiles.filters(path) is None


def test_a_wheel_with_a_huge_file_has_no_filters(wheel):
    assert smiles.filters(wheel(mcf='a' * (smiles.MAX_BYTES + 1))) is None


@needs_rdkit
def test_filters_of_an_installed_package_are_read_without_importing_it(tmp_path, monkeypatch):
    folder = tmp_path / 'an_installed_moses'
    (folder / 'metrics').mkdir(parents=True)
    (folder / '__init__.py').write_text('raise ImportError')
    (folder / 'metrics' / 'mcf.csv').write_text(MCF)
    (folder / 'metrics' / 'wehi_pains.csv').write_text(PAINS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(smiles, 'PACKAGE', folder.name)
    assert smiles.filters('')(['CCO', 'CSSC']) == [True, False]
    assert folder.name not in sys.modules


@needs_rdkit
def test_molecules_of_a_run_are_measured_by_rdkit(tmp_path, wheel):
    run = assembled(tmp_path, 'vae')
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.validity, config.data.path = 'smiles', wheel()
    spec = Spec((4,), 3, None, symbols=items.END + 'CO')
    validity = validity_of(run._replace(config=config, data=run.data._replace(spec=spec)))
    assert validity.judge == validity.compared_by.removeprefix('canonical SMILES of ')
    assert validity.judge.startswith('RDKit 2')
    sampled = ['OCC', 'CCO', 'C1CO1', 'C1CC', 'CCCC']
    known = item_quality.known_forms(['OCC', 'C(C)CC'], validity)
    shares = item_quality.item_shares(validity.forms(sampled), known, validity)
    values = {name: each.value for name, each in shares.items()}
    assert values == {'valid': 4 / 5, 'unique': 3 / 4, 'novel': 1 / 3, 'filters': 3 / 4}
