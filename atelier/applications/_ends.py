"""What a direction of codes leads from and to: classes, an attribute, or values of a condition."""

import math
import re
from typing import NamedTuple

from atelier.applications import _common
from atelier.applications._contrast import MAX_SHOWN, Contrast, attributes_of, contrast_of
from atelier.applications._sets import check_attribute
from atelier.data.classes import option_of
from atelier.data.spec import Spec
from atelier.errors import UserError, did_you_mean, shortened_text
from atelier.log import listed
from atelier.run import result_names

MAX_NAME = 24  # letters of a class in a title
ATTRIBUTES = {  # attribute: 'start to end' of its direction
    'label': '',  # `source` and `target` name the ends
    'intensity': 'weak to strong',
    'thickness': 'thin to thick',
    'slant': 'left to right',
    'length': 'short to long',
}
OF_FUNCTION = 'low to high'


class Ends(NamedTuple):
    """The two ends of a direction.

    attribute: label, an attribute whose smallest and largest values are the ends, or one of the
      condition.
    source: class at the start, if the attribute is label.
    target: class at the end, if the attribute is label.
    contrast: the ends, if the attribute is one of the condition.
    """

    attribute: str
    source: int
    target: int
    contrast: Contrast | None = None

    @property
    def name(self) -> str:
        """The direction's name, such as '0 to 1' or 'thin to thick'."""
        if self.contrast:
            return ' to '.join(self.contrast.names)
        return ATTRIBUTES.get(self.attribute, OF_FUNCTION) or f'{self.source} to {self.target}'

    @property
    def noun(self) -> str:
        """The attribute in words; that of FILE.py:FUNCTION is the name of the function."""
        return self.contrast.noun if self.contrast else self.attribute.rpartition(':')[2]

    @property
    def unit(self) -> float:
        """What a step of 1 is."""
        return self.contrast.unit if self.contrast else 1.0

    @property
    def is_measured(self) -> bool:
        """Whether the attribute is measured in x."""
        return self.attribute != 'label' and not self.contrast

    def title(self, spec: Spec) -> str:
        """The direction's name, with the names of classes."""
        if self.contrast:
            return f'{self.noun}, {self.name}'
        ends = ' to '.join(map(spec.class_name, (self.source, self.target)))
        return ATTRIBUTES.get(self.attribute, OF_FUNCTION) or ends


def ends_of(
    spec: Spec, attribute: str, source: int | str, target: int | str, change: float
) -> Ends:
    """Returns the ends of a direction, from the options of the mode.

    Raises:
      UserError: there is no such attribute, class, value or word, the data have none, both ends
        are the same, or a change of something that is no number of the condition.
    """
    if not 0 <= change < math.inf:
        raise UserError(f'--change={change:g}: give a finite number above 0')
    contrast = None
    if attribute not in ATTRIBUTES:
        contrast = contrast_of(spec.condition, attribute, source, target, change)
    if change and not (contrast and contrast.is_number):
        raise UserError(f'--change={change:g}: only numbers of the condition have a change')
    if contrast:
        return Ends(attribute, -1, -1, contrast)
    _check_attribute(spec, attribute)
    classes = (option_of(spec, *each) for each in (('source', source), ('target', target)))
    ends = Ends(attribute, *classes)
    if attribute == 'label' and ends.source == ends.target:
        name = spec.class_name(ends.source)
        raise UserError(f'--source={name} --target={name}: the classes have to differ')
    return ends


def _check_attribute(spec: Spec, attribute: str) -> None:
    is_function = ':' in attribute and not attribute.startswith('condition:')
    if attribute not in ATTRIBUTES and not is_function:
        known = [*ATTRIBUTES, *attributes_of(spec.condition, ATTRIBUTES)]
        lacks = '' if spec.condition else '; these data have no condition with further attributes'
        raise UserError(
            f'--attribute={shortened_text(attribute)}: choose one of {listed(known, MAX_SHOWN)}, '
            f'or FILE.py:FUNCTION{did_you_mean(attribute, known)}{lacks}'
        )
    check_attribute(attribute, spec)


def file_name(ends: Ends, label: int, seed: int) -> str:
    """Returns the beginning of the name of results."""
    suffix = ''.join([f'-of-{label}' * (label >= 0), f'-seed-{seed}' * (seed > 0)])
    if ends.contrast:
        return f'concept-{_file_name_of(ends.contrast)}{suffix}{_checksum(ends)}'
    if ends.noun != ends.attribute:  # a function's: others may have its name
        suffix += _common.path_suffix(attribute=ends.attribute)
    return f'concept-{ends.noun}-{ends.name.replace(" ", "-")}{suffix}'


def _file_name_of(contrast: Contrast) -> str:
    """Returns the attribute and its ends: values of a label are indices."""
    is_label = not contrast.is_number and contrast.column is not None
    names = contrast.values if is_label else contrast.names
    source, target = (_plain(str(each)) for each in names)
    return f'{_plain(contrast.noun)}-{source}-to-{target}'


def _plain(name: str) -> str:
    return re.sub('[^A-Za-z0-9]+', '_', name)[:MAX_NAME]


def _checksum(ends: Ends) -> str:
    """Returns what tells names apart that `_plain` makes alike; '' if it changes none."""
    if ends.contrast.is_plain:
        return ''
    parts = repr((ends.attribute, ends.contrast.values, ends.contrast.names))
    return result_names.suffix(attribute=result_names.checksum_of_text(parts))


def figure_title(spec: Spec, ends: Ends) -> str:
    """Returns what is done to the codes, and what the direction is a difference of."""
    if ends.contrast and ends.contrast.is_number:
        return f'Codes moved as they change on average when {ends.noun} changes by s'
    if ends.is_measured:
        of_what = f'the mean codes of the quarters of smallest and largest {ends.noun}'
        return f'Codes moved from {ends.name} by s times the difference of {of_what}'
    source, target = (shortened_text(each, 2 * MAX_NAME) for each in _sets_of(spec, ends))
    return (
        f'Codes moved from {source} towards {target} by s times the difference of their mean codes'
    )


def _sets_of(spec: Spec, ends: Ends) -> list[str]:
    if ends.contrast:
        return ends.contrast.sets
    return [_shown_class(spec, each) for each in (ends.source, ends.target)]


def _shown_class(spec: Spec, label: int) -> str:
    name = shortened_text(spec.class_name(label), MAX_NAME)
    return name if spec.class_names else f'class {name}'
