"""The page of config fields, generated from the configs, is up to date."""

from docs import config_fields


def test_the_page_equals_the_config_comments():
    message = 'python -m docs.config_fields brings it up to date'
    assert config_fields.PAGE.read_text() == config_fields.page() + '\n', message


def test_common_fields_are_listed_once_and_changed_values_under_their_config():
    common, vae, *_ = (
        part for part in config_fields.page().split('\n## ') if part.startswith(('Fields', 'vae\n'))
    )
    assert '| `train.steps` | `1000` |' in common and "| `eval.classifier` | `''` |" in common
    assert '| `train.steps` | `1500` |' in vae and '`eval.classifier`' not in vae
    assert '| `hypers.beta` | `1.0` | weight of the KL; 1: the evidence lower bound |' in vae
