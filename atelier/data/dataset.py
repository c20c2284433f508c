"""The common format of all data sets: arrays in host memory, a Spec, per-batch preprocessing."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, UInt32

from atelier.data import classes, fingerprints, items, preprocess, train_and_valid
from atelier.data.augmentation import Augmentation
from atelier.data.augmentation_settings import augmentation_of
from atelier.data.borders import with_background
from atelier.data.condition_splits import conditioned
from atelier.data.conditions.agreement import Agree
from atelier.data.content import WAYS
from atelier.data.left_out import leave_out
from atelier.data.modes import Modes
from atelier.data.moments import with_moments
from atelier.data.origins import Origins, of_splits, taken_out
from atelier.data.sources import CODES, settings_of, source
from atelier.data.sources import EMBEDDED as EMBEDDED
from atelier.data.sources import POINTS as POINTS  # for configs
from atelier.data.sources import SOURCES as SOURCES
from atelier.data.spec import Spec
from atelier.data.splits import check_rule, hold_out, printed_rule
from atelier.errors import UserError, choose
from atelier.log import log

# fields of config.data that some sources read
SETTINGS = (
    *('data_dir', 'path', 'image_shape', 'splits', 'channels', 'strict', 'draw_as'),
    *('column', 'label_column', 'separator'),  # which only configs of texts have
    *('run', 'codes', 'objects'),  # of the codes of a run, and of captioned shapes
)
STORED = 'stored'  # array of a split, while classes are left out
UNSET = ('', (), 'auto', 'exact', 'last', 'both', False)  # values that any source may have


class Dataset(NamedTuple):
    """Splits 'train', 'valid', 'test' of arrays 'x' [n, *event] and, where known, 'label' [n].

    'factors' [n, factors] are the generative factors of each example where they are known, each as
    the index of its value; `factor_names` names them. 'num_scored' [n], if present, says that the
    likelihood of an example counts only its last `num_scored` values. Arrays have their stored type
    (uint8 if their values fit) and may be memory-mapped. `preprocess` makes the batch that models
    see, on the device, from one key per example: {'x': float32, 'label': int32, ...}. `description`
    describes `x`. `modes` are the modes of the density that the data were drawn from, if known.
    `split_rule` describes which splits were made by content, and how; '': none. `split_origin`
    describes how missing splits were made by any rule; '': the data have all three. `notes` are
    lines on what was converted or passed over, logged when the data were read. `origins` are the
    files and rows of the examples, if they come from files. `stored_levels` are the levels before
    data were binarised, None if they were not; `stored` has the x of each split that a fixed draw
    replaced. `computed_from` identifies, by split, what computed arrays follow from, because their
    last digits differ between machines. `augment`, if any, transforms the stored images of the
    minibatches of training. `agreement`, if it can be computed, says of x [n, *event] in stored
    levels and of n conditions, as text, which facts of a condition are true of its x.
    """

    name: str
    spec: Spec
    splits: dict[str, dict[str, np.ndarray]]
    description: str
    preprocess: Callable[[dict[str, Array], UInt32[Array, 'local 2']], dict[str, Array]] = (
        preprocess.as_float
    )
    factor_names: tuple[str, ...] = ()
    modes: Modes | None = None
    split_rule: str = ''
    split_origin: str = ''
    notes: tuple[str, ...] = ()
    origins: Origins | None = None
    stored_levels: int | None = None
    stored: dict[str, np.ndarray] | None = None
    computed_from: dict[str, str] | None = None
    augment: Augmentation | None = None
    agreement: Agree | None = None

    def __repr__(self) -> str:
        """Short, for notebooks: the splits are whole arrays."""
        sizes = ', '.join(f'{split}={self.size(split)}' for split in self.splits)
        return f'Dataset({self.name!r}, {self.description!r}, {sizes})'

    def size(self, split: str) -> int:
        """Returns the number of examples of a split."""
        return len(self.splits[split]['x'])

    def origin_of(self, split: str, index: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Returns the 'file' [n] and the 'row' [n] of the examples of a split, or those at `index`.

        Examples that are in no file have the name and the split of the data set as their file.
        """
        return self.origins_with(split).of(split, index)

    def origins_with(self, split: str) -> Origins:
        """Returns the origins, which have the rows of this split."""
        origins = self.origins
        if origins is None or len(origins.rows.get(split, ())) != self.size(split):
            return of_splits(self.name, {split: self.size(split)})
        return origins

    def scored_dims(self, split: str) -> float:
        """Returns the mean number of values that the likelihood of an example in a split counts."""
        if items.are_items(self.spec):
            return float(np.mean(items.lengths(self.splits[split]['x'])))
        scored = self.splits[split].get('num_scored')
        return self.spec.num_dims if scored is None else float(np.mean(scored))

    def fingerprint(self, *splits: str) -> dict[str, str]:
        """Returns what identifies the data: the format of x, and each split's size and checksum.

        Covers the named splits, or all and the rule that made them. Large ones take a while.
        """
        fingerprint = {'x': self.spec.format}
        if self.split_rule and not splits:
            fingerprint['split_rule'] = self.split_rule
        for name in sorted(splits or self.splits):
            fingerprint[name] = self._fingerprint_of(name)
        return fingerprint

    def _fingerprint_of(self, split: str) -> str:
        if self.computed_from is None:
            return fingerprints.of_split(self.splits[split])
        return f'{self.size(split)} examples, {self.computed_from[split]}'


def load(
    config, may_prepare: bool = False, encoded: Callable[[], Dataset] | None = None
) -> Dataset:
    """Loads the data set that `config.data` names, with all three splits and its preprocessing.

    With `may_prepare`, TFDS may download it: only if the user names it now, not if a record does.
    `encoded` returns the codes of the run that `config.data.run` names, if they are the data.

    Raises:
      UserError: a setting is invalid, or the source raises it.
    """
    data = config.data
    # checked before the source spends time decoding
    choose('data.binarize', data.binarize, preprocess.BINARIZATIONS)
    choose('data.dequantize', data.dequantize, preprocess.DEQUANTIZATIONS)
    choose('data.verify', data.verify, dict.fromkeys(WAYS))
    accepted = settings_of(data.name)
    choose('data.classes', data.classes, dict.fromkeys(classes.RULES))
    is_embedded_text = data.name == 'text' and not data.path
    check_rule(data, 'split_by' in accepted and not is_embedded_text)
    for name in SETTINGS:
        if data.get(name) and data[name] not in UNSET and name not in accepted:
            setting = f'config.data.{name}={data[name]!r}'
            raise UserError(f'{setting}: {data.name} does not read it: omit it')
    if data.verify != WAYS[0] and 'verify' not in accepted:
        log.info('data.verify=%s has no effect: %s always reads all bytes', data.verify, data.name)
    for name in (name for name, needed in accepted.items() if needed and name not in data):
        lacking = f'config.data.{name}, which this config lacks'
        raise UserError(f'{data.name} needs {lacking}: choose a config for such data')
    given = {'encoded': encoded} if data.name == CODES else {}
    settings = {name: data[name] for name in accepted if name in data}
    loaded = source(data.name, may_prepare)(**settings, **given)
    missing = [name for name in ('valid', 'test') if name not in loaded.splits]
    origin = loaded.split_origin or printed_rule(loaded.split_rule)
    if missing:
        origin = f'{" and ".join(missing)} cut from the end of train'
    num_valid = 0 if 'num_valid' in accepted else data.num_valid  # the source has read it
    splits = hold_out(loaded.splits, num_valid)
    loaded = loaded._replace(splits=splits, split_origin=origin)
    if loaded.split_rule:
        loaded = loaded._replace(description=f'{loaded.description}, split by content')
    if data.train_on_valid and 'train_on_valid' not in accepted:  # else the source has done it
        loaded = with_valid_in_training(loaded)
    # before classes are left out, so that the fixed draw of an example does not depend on them
    loaded = _with_stored(binarized(loaded, data.binarize), loaded)
    loaded = with_classes(without_classes(loaded, tuple(data.without_classes)), data.classes)
    loaded = _stored_taken_out(conditioned(loaded))
    splits, origins = taken_out(loaded.splits, loaded.origins)
    loaded = loaded._replace(splits=splits, origins=origins)
    if loaded.spec.levels is None:
        train = loaded.splits['train']
        spec = with_moments(loaded.spec, train['x'], train.get(preprocess.DEVIATION))
        loaded = loaded._replace(spec=spec)
    return dequantized(_with_augmentation(loaded, data.get('augment')), data.dequantize)


def with_valid_in_training(data: Dataset) -> Dataset:
    """Returns `data` whose training split has the validation examples too.

    Raises:
      UserError: as `train_and_valid.joined`.
    """
    described, rule = train_and_valid.described, data.split_rule
    return data._replace(
        splits=train_and_valid.joined(data.splits),
        split_rule=rule and described(rule),
        split_origin=described(data.split_origin),
    )


def without_classes(data: Dataset, left_out: tuple) -> Dataset:
    """Returns `data` with the classes `left_out`, names or numbers, only in its test split.

    Labels keep their values.

    Raises:
      UserError: as `leave_out`, or a class does not exist.
    """
    if not left_out:
        return data
    left_out = classes.indices_of(data.spec, left_out)
    splits = leave_out(data.splits, left_out, data.spec.num_classes)
    names = ', '.join(map(data.spec.class_name, left_out))
    description = f'{data.description}, without {names} in training'
    spec = data.spec._replace(left_out=tuple(sorted({*left_out})))
    return data._replace(splits=splits, spec=spec, description=description)


def with_classes(data: Dataset, rule: str) -> Dataset:
    """Returns `data` whose Spec knows the classes that `config.data.classes` decides."""
    spec = data.spec
    if rule == 'declared' or spec.num_classes is None:
        return data._replace(spec=spec._replace(class_names=()))
    label = data.splits['train']['label']
    return data._replace(
        spec=spec._replace(left_out=classes.without_training_examples(label, spec.num_classes))
    )


def binarized(data: Dataset, method: str) -> Dataset:
    """Returns `data` with grey levels binarised to {0, 1} by the rule `method`; 'none': unchanged.

    'stochastic' draws afresh every time an example is read, except in 'valid' and 'test', whose
    single draw is the same for every run and seed.

    Raises:
      UserError: unknown `method`, or the data are real-valued or symbols.
    """
    rule = _rule_for_levels(data, 'data.binarize', method, preprocess.BINARIZATIONS)
    if rule is None:
        return data
    top, splits = data.spec.levels - 1, dict(data.splits)
    if rule is preprocess.stochastic:
        for name in {'valid', 'test'} & {*splits}:
            splits[name] = {**splits[name], 'x': preprocess.fixed_draw(splits[name]['x'], top)}
    return data._replace(
        spec=data.spec._replace(levels=2),
        splits=splits,
        stored_levels=data.spec.levels,
        preprocess=preprocess.then(data.preprocess, functools.partial(rule, top=top)),
        description=f'{data.description}, binarised: {method}',
    )


def _with_stored(data: Dataset, before: Dataset) -> Dataset:
    """Returns `data` with the x of `before` in an array `STORED` of each split whose x differs."""
    splits = dict(data.splits)
    for name, split in before.splits.items():
        if splits[name]['x'] is not split['x']:
            splits[name] = {**splits[name], STORED: split['x']}
    return data._replace(splits=splits)


def _with_augmentation(data: Dataset, fields) -> Dataset:
    """Returns `data` with their background, and augmented as `config.data.augment` describes."""
    levels, x = data.stored_levels or data.spec.levels, data.splits['train']['x']
    spec = data.spec if data.name == CODES else with_background(data.spec, x, levels)
    return data._replace(spec=spec, augment=augmentation_of(fields, spec, levels, x, data.name))


def _stored_taken_out(data: Dataset) -> Dataset:
    """Returns `data` with the arrays `STORED` in the field `stored`, no longer in the splits."""
    splits = {name: dict(split) for name, split in data.splits.items()}
    stored = {name: split.pop(STORED) for name, split in splits.items() if STORED in split}
    return data._replace(splits=splits, stored=stored) if stored else data


def dequantized(data: Dataset, method: str) -> Dataset:
    """Returns `data` with noise in [0, 1) added to its levels by `method`; 'none': unchanged.

    Raises:
      UserError: unknown `method`, or the data are real-valued or symbols.
    """
    rule = _rule_for_levels(data, 'data.dequantize', method, preprocess.DEQUANTIZATIONS)
    if rule is None:
        return data
    return data._replace(
        spec=data.spec._replace(levels=None, dequantized_levels=data.spec.levels),
        preprocess=preprocess.then(data.preprocess, rule),
        description=f'{data.description}, dequantised: {method}',
    )


def _rule_for_levels(data: Dataset, field: str, method: str, rules: dict) -> Callable | None:
    """Returns the rule that the config field names; only levels of numbers allow one."""
    rule = choose(field, method, rules)
    if rule is not None and data.spec.levels is None:
        raise UserError(f'config.{field}={method!r}: {data.name} is real-valued')
    if rule is not None and (data.spec.symbols is not None or data.name == CODES):
        instead = " or config.data.codes='means'" if data.name == CODES else ''
        raise UserError(
            f"config.{field}={method!r}: {data.name} has symbols, not numbers; set 'none'{instead}"
        )
    return rule
