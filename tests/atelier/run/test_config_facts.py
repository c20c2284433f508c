"""What the config file of a run says: its defaults, and the flags of what differs."""

from support import begin, make_run

from atelier.run import config_values, run_folder
from atelier.run.config_facts import changed_fields, config_facts, config_flags


def test_changed_fields_are_flags(tiny_run, tmp_path):
    run = tiny_run(hypers__beta=4.0, model__hidden_sizes=(7,))
    begin(run)
    record = run_folder.load(run.folder)
    config, facts = config_values.flatten(record['values']), config_facts(record, run.folder)
    assert facts.headline == 'VAE with fully connected networks (Kingma and Welling 2014).'
    assert facts.defaults['hypers.beta'] == 1.0 and 'KL' in facts.comments['hypers.beta']
    assert changed_fields(config, facts) == ['hypers.beta', 'model.hidden_sizes']
    assert config_flags(config, facts) == [
        '--config=configs/vae.py:digits,debug',
        '--config.hypers.beta=4.0',
        '--config.model.hidden_sizes=7,',
    ]


def test_a_run_from_python_has_no_config_file(tmp_path):
    run = make_run(tmp_path / 'run')
    begin(run)
    record = {**run_folder.load(run.folder), 'path': '', 'argument': None}
    facts = config_facts(record, run.folder)
    assert facts.defaults is None and facts.problem == 'the run was trained from Python'
    assert config_flags({'seed': 3}, facts) == [] == changed_fields({'seed': 3}, facts)


def test_a_config_file_that_is_gone_is_said(tmp_path):
    run = make_run(tmp_path / 'run')
    begin(run)
    record = {**run_folder.load(run.folder), 'path': 'configs/nothing_like_it.py'}
    facts = config_facts(record, run.folder)
    assert facts.defaults is None and 'no config file' in facts.problem
