"""Which names of folders mean splits of the data, or may mean them."""

import difflib
import re
import unicodedata
from collections.abc import Sequence

SPELLINGS = {  # in any case
    'train': ('train', 'training', 'trainset'),
    'valid': ('valid', 'validation', 'val', 'validset', 'valset'),
    'test': ('test', 'testing', 'testset'),
}
KNOWN = {spelling: split for split, names in SPELLINGS.items() for spelling in names}
# names of folders that may be any split, or none
AMBIGUOUS = (
    *('dev', 'devset', 'development', 'eval', 'evaluation', 'evalset', 'holdout', 'heldout'),
    *('unseen', 'validate', 'trainval', 'trainvalid', 'traintest', 'valtest', 'trn', 'tst'),
    *('trainingset', 'validationset', 'testingset', 'traindata', 'testdata'),
)
# what follows the name of a split: testimages, traindir
CONTENTS = (
    '(dir|folder|images?|imgs?|pictures?|pics?|photos?|data|set|split|part|files?|examples?)$'
)
SHORT = {'tr', 'va', 'vl', 'te', 'ts'}  # beside others, they are languages or countries
# parts of the data, with their number: split_0, fold1, batch-3
PARTS = r'(split|fold|part|partition|subset|shard|chunk|batch)\d+'
CLOSE = 0.83  # similarity from which a name is taken for a misspelling


def is_like_a_split(name: str) -> bool:
    """Whether a name of a folder that is not a known split may be meant as one."""
    word = plain(name)
    base = re.sub(r'^\d+|\d+$', '', word)  # train2, 1_test
    if {base, base.removesuffix('s'), re.sub(CONTENTS, '', base)} & {*KNOWN, *AMBIGUOUS}:
        return True
    # the first word: test_images, Testing set, x_train; not trainstation
    parts = [re.sub(r'\d+$', '', part) for part in re.split(r'[\W_]+', name.casefold())]
    if any(part in KNOWN or part in AMBIGUOUS for part in (parts[0], parts[-1])):
        return True
    return len(base) > 3 and any(
        _is_misspelt(base, spelling) for spelling in KNOWN if len(spelling) > 3
    )


def _is_misspelt(word: str, spelling: str) -> bool:
    """Whether two words of about the same length differ by a letter, or by two that are swapped."""
    if abs(len(word) - len(spelling)) > 1 or word[0] != spelling[0]:
        return False
    is_swapped = sorted(word) == sorted(spelling)
    return is_swapped or difflib.SequenceMatcher(None, word, spelling, False).ratio() >= CLOSE


def are_parts(names: Sequence[str]) -> bool:
    """Whether each of the names is that of a numbered part of the data, such as fold1."""
    return bool(names) and all(re.fullmatch(PARTS, plain(name)) for name in names)


def plain(name: str, signs: str = r'[\W_]') -> str:
    """Returns a name without case, accents, and whatever matches `signs`."""
    letters = unicodedata.normalize('NFKD', name).casefold()
    return re.sub(signs, '', ''.join(c for c in letters if not unicodedata.combining(c)))
