"""Options of the compiler: only for a GPU, never against the user's, and never fatal."""

import jax
import pytest

from atelier.core import compilation
from atelier.errors import UserError


@pytest.fixture
def lowered():
    return jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda i, y: 2 * y, x)).lower(1.0)


@pytest.mark.parametrize('name', compilation.COMMAND_BUFFERS)
def test_xla_knows_every_option(lowered, monkeypatch, name):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    options = compilation.training_options({'command_buffers': name})
    assert options['xla_gpu_exclude_nondeterministic_ops'] is True
    assert lowered.compile(compiler_options=options)(1.0) == 8


def test_options_are_for_a_gpu_alone(monkeypatch):
    assert compilation.training_options({'command_buffers': 'scan'}) == {}
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    options = compilation.training_options({'command_buffers': 'scan'})
    assert 'WHILE' in options['xla_gpu_enable_command_buffer'].split(',')
    assert compilation.training_options({'command_buffers': 'auto'}) == compilation.REPEATABLE
    with pytest.raises(UserError, match='config.train.command_buffers'):
        compilation.training_options({'command_buffers': 'all'})


@pytest.mark.parametrize('options', [{'xla_no_such_option': 1}, {'xla_gpu_autotune_level': 'x'}])
def test_a_refused_option_is_left_out(lowered, caplog, options):
    assert compilation.compiled(lowered, options)(1.0) == 8
    assert 'XLA refuses' in caplog.text and next(iter(options)) in caplog.text


def test_the_other_options_stay(lowered, monkeypatch, caplog):
    used, compile_it = [], type(lowered).compile

    def watched(self, compiler_options=None):
        used.append([*(compiler_options or {})])
        return compile_it(self, compiler_options)

    monkeypatch.setattr(type(lowered), 'compile', watched)
    options = {'xla_no_such_option': 1, 'xla_gpu_graph_min_graph_size': 1}
    assert compilation.compiled(lowered, options)(1.0) == 8
    assert used == [[*options], ['xla_gpu_graph_min_graph_size']]
    assert len(caplog.records) == 1


def test_flags_of_the_user_stay(lowered, monkeypatch, caplog):
    monkeypatch.setenv('XLA_FLAGS', '--xla_no_such_option=3')
    assert compilation.compiled(lowered, {'xla_no_such_option': 1})(1.0) == 8
    assert not caplog.text


def test_other_errors_of_the_compiler_are_raised(lowered, monkeypatch):
    def refuse(self, compiler_options=None):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')

    monkeypatch.setattr(type(lowered), 'compile', refuse)
    with pytest.raises(jax.errors.JaxRuntimeError, match='RESOURCE_EXHAUSTED'):
        compilation.compiled(lowered, {'xla_gpu_autotune_level': 2})
