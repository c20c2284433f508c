"""Comments beside config fields describe them in --help and on the page of all fields."""

import re

import pytest

from atelier import checkout
from atelier.run import config_values
from atelier.run.config_comments import field_comments


def written(tmp_path, *lines):
    file = tmp_path / 'mine.py'
    file.write_text('\n'.join(lines))
    return field_comments(file)


@pytest.mark.parametrize('path', checkout.configs())
def test_every_field_of_every_config_is_described(path):
    config_file = checkout.config_file(path)
    comments = field_comments(config_file.file)
    names = config_values.flatten(config_file.config().to_dict())
    assert not [name for name in names if name not in comments]


@pytest.mark.parametrize('path', checkout.configs())
def test_a_comment_begins_with_the_noun_of_its_field_or_with_whether(path):
    """It is a phrase, and its choices follow a colon: 'optimizer: adam | muon'."""
    which = checkout.config_file(path)
    comments = field_comments(which.file)
    values = config_values.flatten(which.config().to_dict())
    for name, value in values.items():
        comment = comments[name]
        assert not BARE.match(comment), (name, comment)
        assert not comment.endswith('.'), (name, comment)
        if isinstance(value, bool):
            assert comment.startswith('whether '), (name, comment)


BARE = re.compile(r"'?[\w.-]+'? \||\d|(of|in|if|its|for|otherwise|like|how|which|add|only)\b")


def test_a_comment_describes_the_field_on_its_line_or_below_it(tmp_path):
    comments = written(
        tmp_path,
        'config.seed = 3  # of everything',
        'config.model = ConfigDict(',
        '    dict(',
        '        # first line,',
        '        # second line',
        '        width=2,',
        '        depth=3,  # layers',
        '    )',
        ')',
        'config.eval.update(sampler=ConfigDict(dict(',
        '    steps=5,  # of the sampler',
        ')))',
    )
    assert comments == {
        'seed': 'of everything',
        'model.width': 'first line, second line',
        'model.depth': 'layers',
        'eval.sampler.steps': 'of the sampler',
    }


def test_a_comment_on_a_line_of_several_fields_is_ignored(tmp_path):
    assert not written(tmp_path, 'config.train.update(', '    steps=1, batch_size=2,  # tiny', ')')


def test_the_first_comment_counts_and_parents_are_read_after_the_file(tmp_path):
    comments = written(
        tmp_path,
        'from configs import vae',
        'config.hypers.beta = 4.0  # as in my paper',
        'config.hypers.beta = 1.0  # in debug',
    )
    assert comments['hypers.beta'] == 'as in my paper'
    assert comments['model.latent_dim'] == 'dimensions of z'  # from configs/vae.py
    assert comments['train.patience'].startswith('validations')  # from common


def test_comments_after_multibyte_characters_are_found(tmp_path):
    comments = written(
        tmp_path,
        'config.data.update(',
        "    name='ÄÖÜäöü',  # of the source",
        "    names=('Größe',",
        "    'x'),  # not of one line",
        ')',
    )
    assert comments == {'data.name': 'of the source'}


def test_the_source_is_not_run(tmp_path):
    assert written(tmp_path, 'raise SystemExit', 'config.seed = 1  # one') == {'seed': 'one'}


def test_linter_comments_are_ignored_and_any_encoding_is_read(tmp_path):
    assert not written(tmp_path, 'config.seed = 1  # noqa: E501')
    (tmp_path / 'mine.py').write_bytes(b'# coding: latin-1\nconfig.seed = 1  # Gr\xf6\xdfe\n')
    assert field_comments(tmp_path / 'mine.py') == {'seed': 'Größe'}
    (tmp_path / 'mine.py').write_bytes(b'\xef\xbb\xbfconfig.seed = 1\t# one\n')
    assert field_comments(tmp_path / 'mine.py') == {'seed': 'one'}
