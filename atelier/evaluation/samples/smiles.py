"""Molecules as SMILES: valid, canonical and filtered by RDKit, which is optional.

A SMILES is valid if RDKit reads it as a molecule. Two are the same molecule if RDKit writes the
same canonical SMILES for them (Weininger et al. 1989). The filters are those of MOSES (Polykovskiy
et al. 2020): no ring of eight or more atoms, no charge, no other elements than H, C,
N, O, F, S, Cl and Br, and none of the structures of the medicinal chemistry filters (MCF) and
PAINS. These structures are read from the wheel of `molsets` that the data come from, or from the
installed one; its code is not imported.
"""

import csv
import importlib.util
import io
from collections.abc import Callable, Sequence
from typing import Any

from atelier.data import package_files
from atelier.data.molecules import DISTRIBUTION, PACKAGE
from atelier.errors import UserError

SMILES = 'smiles'  # value of config.eval.validity
HOW_TO_INSTALL = 'RDKit is not installed: pip install -r requirements-molecules.txt'
FOLDER = 'metrics'  # of the package
STRUCTURES = ('mcf.csv', 'wehi_pains.csv')  # SMARTS; the first has a header with the names
MAX_BYTES = 1 << 20  # of such a file; the larger one has 207,418
ELEMENTS = {'H', 'C', 'N', 'O', 'F', 'S', 'Cl', 'Br'}
MAX_RING = 7  # atoms


def has_rdkit() -> bool:
    """Whether RDKit is installed."""
    return importlib.util.find_spec('rdkit') is not None


def rdkit_name() -> str:
    """Returns the name of RDKit and its version."""
    import rdkit

    return f'RDKit {rdkit.__version__}'


def canonical(items: Sequence[str]) -> list[str | None]:
    """Returns the canonical SMILES of each molecule; None: RDKit does not read it."""
    from rdkit import Chem, rdBase

    def form(item: str) -> str | None:
        molecule = Chem.MolFromSmiles(item) if is_one_word(item) else None
        return None if molecule is None else Chem.MolToSmiles(molecule)

    with rdBase.BlockLogs():  # it prints a line for each that it does not read
        return [form(item) for item in items]


def is_one_word(item: str) -> bool:
    """Whether a text is not empty and has no white space, after which RDKit would read a name."""
    return item.split() == [item]


def filters(path: str) -> Callable[[Sequence[str]], list[bool]] | None:
    """Returns a function that tells which valid SMILES pass the filters; None without `molsets`.

    Args:
      path: of the wheel or the folder of `molsets`; if it is something else, the installed one is
        used.
    """
    for root in dict.fromkeys((path, '')):
        try:
            files = package_files.find(root, PACKAGE, DISTRIBUTION, f'{FOLDER}/{STRUCTURES[0]}')
            contents = files.read(FOLDER, list(STRUCTURES), MAX_BYTES)
        except UserError:
            continue
        catalog = _catalog(_structures([raw.decode() for raw in contents]))
        return lambda molecules: _passing(molecules, catalog)
    return None


def _structures(texts: Sequence[str]) -> list[str]:
    """Returns the SMARTS in the two files."""
    named, unnamed = (io.StringIO(text) for text in texts)
    return [
        *(row['smarts'].strip() for row in csv.DictReader(named)),
        *(row[0].strip() for row in csv.reader(unnamed) if row),
    ]


def _catalog(structures: Sequence[str]) -> Any:
    """Returns RDKit's catalogue of unwanted structures.

    Raises:
      UserError: RDKit does not read one of them.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import FilterCatalog

    catalog = FilterCatalog.FilterCatalog()
    with rdBase.BlockLogs():
        for smarts in structures:
            if Chem.MolFromSmarts(smarts) is None:
                raise UserError(f'a filter of molsets is no SMARTS: {smarts!r}')
            matcher = FilterCatalog.SmartsMatcher(smarts, smarts)
            catalog.AddEntry(FilterCatalog.FilterCatalogEntry(smarts, matcher))
    return catalog


def _passing(molecules: Sequence[str], catalog: Any) -> list[bool]:
    """Returns which molecules pass; each different one is examined once, in about 3 ms."""
    from rdkit import Chem, rdBase

    def passes(smiles: str) -> bool:
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None:
            return False
        rings, atoms = molecule.GetRingInfo().AtomRings(), [*molecule.GetAtoms()]
        if any(len(ring) > MAX_RING for ring in rings):
            return False
        if any(atom.GetFormalCharge() or atom.GetSymbol() not in ELEMENTS for atom in atoms):
            return False
        return not catalog.HasMatch(Chem.AddHs(molecule))  # structures name hydrogen atoms, too

    with rdBase.BlockLogs():
        known = {smiles: passes(smiles) for smiles in dict.fromkeys(molecules)}
    return [known[smiles] for smiles in molecules]
