"""Molecules as SMILES, in the splits of MOSES (Polykovskiy et al. 2020), from the package molsets.

    pip download --no-deps molsets
    python main.py --config=configs/char_lm.py:molecules \\
        --config.data.path=molsets-0.3.1-py3-none-any.whl

Without a path, an installed molsets is read. The package is never imported. Its splits are `train`
(1,584,663 molecules), `test` (176,074) and `test_scaffolds` (176,225, whose scaffolds training
lacks). The test split is `test`; `config.data.splits='test=test_scaffolds'` takes the other one.
MOSES has no validation split: one is cut from the training split, in a fixed random order.

A SMILES is an item (`items`); see `atelier.data.lines` for the fields of `config.data`.
"""

from atelier.data import item_texts, package_files, text_files
from atelier.data.dataset import Dataset
from atelier.data.item_sets import Rules, dataset_of
from atelier.data.item_texts import Items
from atelier.errors import UserError

PACKAGE, DISTRIBUTION, FOLDER = 'moses', 'molsets', 'dataset/data'
COLUMN = 'SMILES'
ENDING = '.csv.gz'
TESTS = {
    'auto': 'test',
    'exact': 'test',
    'test=test': 'test',
    'test=test_scaffolds': 'test_scaffolds',
}
MAX_BYTES = 1 << 28  # of a split, unpacked; the largest has 58 million


def load(
    path: str = '',
    splits: str = 'auto',
    max_length: int = 0,
    too_long: str = 'refuse',
    is_packed: bool = False,
    context: int = 0,
    num_pieces: int = 0,
    num_valid: int = 0,
    train_on_valid: bool = False,
) -> Dataset:
    """Loads the splits of MOSES.

    Args:
      path: of the wheel of molsets, or of a folder that has the package; '': the installed one.
      splits: 'auto', or 'test=test_scaffolds' for the test split with other scaffolds.
      max_length: as of `lines.load`, and so the following.
      too_long: what happens to longer items.
      is_packed: whether training rows hold several items.
      context: tokens of a packed row.
      num_pieces: number of packed rows.
      num_valid: molecules of the validation split; 0: 5,000.
      train_on_valid: whether training has the validation items too.

    Raises:
      UserError: molsets is not there or damaged, or a setting is invalid.
    """
    if splits not in TESTS:
        raise UserError(
            f"config.data.splits={splits!r}: choose 'auto' (the test split of MOSES) or "
            "'test=test_scaffolds'"
        )
    files = package_files.find(path, PACKAGE, DISTRIBUTION, f'{FOLDER}/train{ENDING}')
    names = {'train': 'train', 'test': TESTS[splits]}
    contents = files.read(FOLDER, [f'{name}{ENDING}' for name in names.values()], MAX_BYTES)
    parts = {
        split: _items(raw, f'{name}.csv')
        for (split, name), raw in zip(names.items(), contents, strict=True)
    }
    file = 'MOSES' if names['test'] == 'test' else 'MOSES, test_scaffolds'
    rules = Rules(
        max_length=max_length,
        too_long=too_long,
        is_packed=is_packed,
        context=context,
        num_pieces=num_pieces,
        split_by='order',
        held_out_share=0.0,
        num_valid=num_valid,
        train_on_valid=train_on_valid,
    )
    return dataset_of('molecules', file, parts, rules, 'molecule')


def _items(raw: bytes, name: str) -> Items:
    return item_texts.in_column(text_files.decoded(raw, name), name, COLUMN, '', ',')
