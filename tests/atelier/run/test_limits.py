"""Sizes beyond any machine or beyond this one are refused before anything is allocated."""

import contextlib
import pathlib
import signal

import jax
import pytest
from config_variants import with_own_build
from marks import exhaustive_but
from support import assembled, contents, dotted, recipe_and_config

import train_lib
from atelier import checkout
from atelier.core import devices
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.run import experiment, limits, restore, run_folder
from atelier.run.config_values import flatten

KEPT = [f'configs/{name}.py' for name in ('diffusion', 'pixelcnn', 'spline_flow', 'vae')]


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('model__latent_dim', 10**20, 'model.latent_dim=1.*: the largest size is 16,777,216'),
        ('model__mixture_components', 2**31, 'model.mixture_components=2147483648'),
        ('model__hidden_sizes', (64, 2**40), 'model.hidden_sizes='),
        ('model__hidden_sizes', (1,) * 2000, 'hidden_sizes is a list of length 2,000, above 1,000'),
        ('eval__num_pictures', 2**64, 'eval.num_pictures=1844.*: the largest size is 1,000,000'),
        ('eval__num_importance_samples', 2**31 - 1, 'the largest size is 1,000,000'),
        ('train__steps', -(2**64), 'train.steps=-1844'),
        ('data__num_valid', 2**31, 'data.num_valid='),
    ],
)
def test_integers_beyond_any_machine_are_refused(tmp_path, complaint, field, value, message):
    """The line names the field, its value and the limit, in training and in a sweep."""
    config_file, config = recipe_and_config(**{field: value})
    with pytest.raises(UserError, match=message):
        experiment.assemble(tmp_path, config_file, config)


@pytest.mark.parametrize(
    ('name', 'field'),
    [
        ('dcgan', 'model__discriminator_turns'),
        ('dcgan', 'model__generator_turns'),
        ('dcgan', 'model__kernel_size'),
        ('pixelcnn', 'model__blocks'),
        ('pixelcnn', 'model__first_kernel_size'),
        ('gated_pixelcnn', 'model__blocks'),
        ('ladder_vae', 'model__hidden_layers'),
        ('pixel_transformer', 'model__blocks'),
        ('char_gru', 'model__layers'),
        ('sequence_vae', 'model__layers'),
        ('diffusion', 'model__mlp_blocks'),
    ],
)
def test_layers_that_python_would_build_for_hours(tmp_path, name, field):
    """A loop over so many layers would neither end nor fail."""
    change = {field: 2**24 - 1}
    with pytest.raises(UserError, match=rf'config.{dotted(field)}=16777215: .* at most 1,000'):
        restore.Start(assembled(tmp_path, name, 'debug', **change))


@contextlib.contextmanager
def within(seconds):
    """Raises TimeoutError in Python code that takes longer."""

    def too_long(*_):
        raise TimeoutError(f'more than {seconds} seconds')

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize('path', exhaustive_but(KEPT, with_own_build()))
def test_no_huge_integer_makes_building_long(tmp_path, path):
    """Each integer of each config's model, 2**24 - 1: the State's shapes are known, or one line."""
    name = pathlib.Path(path).stem
    model = flatten(checkout.ConfigFile(path, 'debug').config().model.to_dict())
    for field, value in model.items():
        many = [value] if isinstance(value, int) else value
        if isinstance(value, bool | str | float) or not all(type(each) is int for each in many):
            continue
        huge = 2**24 - 1 if isinstance(value, int) else type(value)([2**24 - 1] * len(value))
        with contextlib.suppress(UserError), within(60):
            restore.Start(assembled(tmp_path, name, 'debug', **{f'model__{field}': huge}))


def test_a_model_larger_than_memory_is_refused_before_files_are_written(tiny_run, monkeypatch):
    """The parameters are counted without allocating them, in training and in every later use."""
    run = tiny_run(model__hidden_sizes=(2**20, 2**20))
    with pytest.raises(
        UserError, match=r'2,199,\d+,\d+,\d+ parameters; .* 35,192.1 GB.*hidden_sizes'
    ):
        train_lib.train(run, jax.devices()[:1])
    assert contents(run.folder.parent) == {}
    monkeypatch.setattr(devices, 'memory_bytes', lambda device: 1000)
    with pytest.raises(UserError, match='a device has 0.0 GB'):
        restore.abstract_state(tiny_run())


@pytest.mark.parametrize(
    'error',
    [
        MemoryError('Unable to allocate 1 PiB'),
        OverflowError('Python int too large'),
        ValueError('array is too big; `arr.size` is larger than the maximum possible size'),
    ],
)
def test_sizes_that_overflow_while_a_model_is_built_are_refused(tmp_path, error):
    """NumPy and JAX raise several errors for such sizes; any other ValueError is a bug."""
    config_file, config = recipe_and_config(model__latent_dim=7)

    def build(config, spec):
        raise error

    with pytest.raises(UserError, match='does not fit into memory .*model.hidden_sizes'):
        experiment.assemble(tmp_path, config_file, config, build)
    error = ValueError('a bug')
    with pytest.raises(ValueError, match='a bug'):
        experiment.assemble(tmp_path, config_file, config, build)


def test_more_examples_than_memory_holds_are_refused():
    """The number of bytes is compared, whatever the type of the count."""
    spec = Spec((8, 8, 1), 17, None)
    limits.check_examples('--num_samples', 1000, spec)
    for count in (10**12, 2**64):
        with pytest.raises(UserError, match=rf'--num_samples: {count:,} examples take .* GB'):
            limits.check_examples('--num_samples', count, spec)


def test_a_refused_model_of_images_is_told_the_size_that_fits(tiny_run, monkeypatch):
    """If the need grew with the square of the number of values, it would fit into the memory."""
    run = tiny_run()
    needed = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(restore.abstract_state(run)))
    monkeypatch.setattr(devices, 'memory_bytes', lambda device: needed / 16.01)
    with pytest.raises(UserError, match=r'images of 3x3x1 are small enough .*docs/sizes.md'):
        restore.abstract_state(run)


def test_an_initial_state_that_cannot_be_computed_is_refused(tiny_run, monkeypatch):
    run = tiny_run()
    start = restore.Start(run)
    monkeypatch.setattr(limits, 'program_bytes', lambda program: 1e12)
    with pytest.raises(UserError, match='the initial State takes 1,000.0 GB, .* a smaller model'):
        start(run)


def refuse_to_train(run, monkeypatch):
    """Tries to train as if a step needed 1e15 bytes; returns the bytes that it needs."""
    needed, of = [], limits.program_bytes
    huge = lambda program: needed.append(of(program)) or (len(needed) > 1) * 1e15  # the step's
    monkeypatch.setattr(limits, 'program_bytes', huge)
    with pytest.raises(UserError, match='a training step takes .* smaller config.train.batch_size'):
        train_lib.train(run, jax.devices()[:1])
    return needed[1]


def test_a_step_that_does_not_fit_is_refused_before_it_is_taken(tiny_run, monkeypatch):
    run = tiny_run(train__steps=5, data__placement='device')
    needed = refuse_to_train(run, monkeypatch)
    assert not run_folder.has_begun(run.folder)
    assert needed > 100_000  # the data, the State and the gradients


@pytest.mark.slow
def test_near_the_limit_a_warning_says_so_and_the_corrected_command_may_use_the_folder(
    tiny_run, monkeypatch, caplog
):
    run = tiny_run(train__steps=5, data__placement='device')
    refuse_to_train(run, monkeypatch)
    memory = devices.memory_bytes(jax.devices()[0])
    monkeypatch.setattr(limits, 'program_bytes', lambda program: 0.9 * memory)
    train_lib.train(run, jax.devices()[:1])
    assert 'the system may end the process without a message' in caplog.text
