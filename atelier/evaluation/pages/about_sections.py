"""The sections of a run's data, config, environment and provenance."""

import shlex
from collections.abc import Mapping
from typing import Any

from atelier.evaluation.pages.known import Known
from atelier.report.page.html import Html, command, element, facts, folded, joined, note, table
from atelier.report.page.page import Limits, Section
from atelier.run.config_facts import ConfigFacts, changed_fields

SPLITS = ('train', 'valid', 'test')
TITLES = {  # of the fields of data.json that are shown as facts; others have their own names
    'event_shape': 'shape of an example',
    'stored_levels': 'levels before binarisation',
    'split_origin': 'splits',
    'value_range': 'training values, from and to',
    'num_classes': 'classes',
    'constant_columns': 'columns with one value',
    'without_training_examples': 'classes without training examples',
}
# parts of data.json that are shown as tables, or that say how the others were computed
NO_FACTS = (
    *('splits', 'classes', 'copies', 'lengths', 'is_embedded', 'num_values_read'),
    *('num_classes_with_examples', 'num_without_training_examples'),
)
MAX_LISTED = 20  # values of a list
MAX_FACTS = 30


def data_section(data: dict[str, Any], limits: Limits) -> list[Section]:
    """Returns the section of what was understood of the data; none without data.json."""
    if not data:
        return []
    rows = [
        (TITLES.get(name, name.replace('_', ' ')), _shown(value))
        for name, value in [*data.items()][:MAX_FACTS]
        if name not in NO_FACTS and value not in (None, [], '', {}, 0)
    ]
    body = [facts(rows), *_split_table(data), *_length_table(data), *_class_table(data, limits)]
    return [Section('data', 'Data', joined(body))]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, int):
        return f'{value:,}'
    if isinstance(value, list):
        more = len(value) - MAX_LISTED
        parts = [str(part) for part in value[:MAX_LISTED]]
        return ', '.join(parts) + (f' and {more:,} more' if more > 0 else '')
    return str(value)


def _split_table(data: dict[str, Any]) -> list[Html]:
    """Returns a table of the splits: their examples, and copies among them."""
    splits, copies = data.get('splits'), data.get('copies')
    if not isinstance(splits, dict):
        return []
    rows = [['examples', *(_count(splits.get(name)) for name in SPLITS)]]
    titles = {'repeated': 'repeat another example', 'trained': 'are in the training split too'}
    for kind, title in titles.items():
        counts = copies.get(kind) if isinstance(copies, dict) else None
        if isinstance(counts, dict):
            rows.append([title, *(_count(counts.get(name)) for name in SPLITS)])
    return [table(['', *SPLITS], rows, len(rows))]


def _length_table(data: dict[str, Any]) -> list[Html]:
    """Returns a table of how many symbols training items have, of data that are items."""
    lengths = data.get('lengths')
    bins = lengths.get('bins') if isinstance(lengths, dict) else None
    if not isinstance(bins, list):
        return []
    rows = [
        [_count(first) if first == last else f'{_count(first)} to {_count(last)}', _count(count)]
        for first, last, count in (each for each in bins if _is_triple(each))
    ]
    return [table(['symbols', 'training items'], rows, len(rows))] if rows else []


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3


def _class_table(data: dict[str, Any], limits: Limits) -> list[Html]:
    classes = data.get('classes')
    if not isinstance(classes, list) or not classes:
        return []
    rows = [
        [str(each.get('name')), *(_count(each.get(name)) for name in SPLITS)]
        for each in classes
        if isinstance(each, dict)
    ]
    return [folded('Examples of each class', table(['class', *SPLITS], rows, limits.rows, 'class'))]


def _count(n: Any) -> str:
    return f'{n:,}' if isinstance(n, int) and not isinstance(n, bool) else '-'


def config_section(config: Mapping[str, Any], facts_of: ConfigFacts, limits: Limits) -> Section:
    """Returns the section of the config: fields that differ from the file's defaults first, then
    all fields, in which these are marked.
    """
    changed = changed_fields(dict(config), facts_of)
    table_of = lambda names: _field_table(names, config, facts_of, changed, limits)
    if facts_of.defaults is None:
        text = f'Which fields differ from their defaults is not known: {facts_of.problem}'
        return Section('config', 'Config', joined([note(text), table_of([*config])]))
    said = (
        joined(
            [
                note('Fields that differ from the defaults of ', _code(facts_of.file), ':'),
                table_of(changed),
            ]
        )
        if changed
        else note('All fields have the defaults of ', _code(facts_of.file), '.')
    )
    return Section('config', 'Config', joined([said, folded('All fields', table_of([*config]))]))


def _code(text: str) -> Html:
    return element('code', text)


def _field_table(names, config, facts_of: ConfigFacts, changed, limits: Limits) -> Html:
    rows = []
    for name in names:
        value = _value(config[name])
        default = (facts_of.defaults or {}).get(name)
        is_changed = name in changed
        rows.append(
            [
                _code(name),
                element('mark', value) if is_changed else value,
                *([_value(default) if is_changed else ''] if changed else []),
                facts_of.comments.get(name, ''),
            ]
        )
    header = ['field', 'value', *(['default'] if changed else []), 'meaning']
    return table(header, rows, limits.rows, 'field', longest=300, class_='config')


def _value(value: Any) -> str:
    if value == '':
        return "''"
    return _shown(value) if isinstance(value, list) and value else str(value)


def provenance_section(known: Known, limits: Limits) -> Section:
    """Returns the section of what the run and its numbers come from."""
    record, evaluation = known.record, known.evaluation
    versions = evaluation.get('versions')
    named = (
        ', '.join(f'{name} {version}' for name, version in [*versions.items()][:MAX_FACTS])
        if isinstance(versions, dict)
        else None
    )
    rows = [
        ('run', known.record['id']),
        ('commit, training', record['git'] or None),
        ('commit, evaluation', evaluation.get('git')),
        ('devices, training', record['devices']),
        ('hardware, evaluation', evaluation.get('hardware')),
        ('products, evaluation', evaluation.get('precision')),
        ('packages, evaluation', named),
        ('seed', known.config.get('seed')),
        ('folder', known.name),
    ]
    shown = [(name, str(value)) for name, value in rows if value not in (None, '')]
    body = [facts(shown), *_checksums(record, limits), _again(known)]
    return Section('provenance', 'Environment and provenance', joined(body))


def _checksums(record: dict[str, Any], limits: Limits) -> list[Html]:
    parts = {
        'Checksums of the data': record['data'],
        'Checksums of the code': {**(record['code'] or {}), **(record['neighbours'] or {})},
    }
    return [
        folded(title, table(['', 'recorded when the run began'], [*sums.items()], limits.rows))
        for title, sums in parts.items()
        if sums
    ]


def _again(known: Known) -> Html:
    folder = shlex.quote(known.name)
    return joined(
        [
            note('Commands that use the run:', is_of_screen=True),
            command(
                f'python main.py --mode=evaluate --workdir={folder}\n'
                f'python main.py --mode=report --workdir={folder}'
            ),
        ]
    )
