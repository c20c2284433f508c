"""Shared fixtures: simulated devices, strict promotion, tiny runs, main.py as a subprocess."""

import gc
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile

import hypothesis
import pytest

# Hypothesis draws the same examples in every run: a failing test fails until it is fixed.
hypothesis.settings.register_profile('atelier', derandomize=True, deadline=None)
hypothesis.settings.load_profile('atelier')

ROOT = pathlib.Path(__file__).resolve().parent.parent
NUM_DEVICES = 8

# Compilation takes most of a test's time. Fewer optimizations halve it, for tests of results, and
# so do these flags. XLA aborts on unknown flags.
IS_KNOWN = importlib.metadata.version('jaxlib') == '0.10.2'
QUICKER = (
    '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 '
    '--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE'
    if IS_KNOWN
    else ''
)

# Set before jax is imported. Workers and subprocesses share private caches: the user's cache may
# hold data decoded by an earlier run.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'
os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={NUM_DEVICES} {QUICKER}'
if 'PYTEST_XDIST_WORKER' not in os.environ:
    CACHES = tempfile.TemporaryDirectory(prefix='atelier-tests-', ignore_cleanup_errors=True)
    os.environ['XDG_CACHE_HOME'] = f'{CACHES.name}/data'
    os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', f'{CACHES.name}/compiled')
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'


# A traced program is many objects that live on; looking for garbage among them takes a tenth of
# the time.
gc.set_threshold(100_000, 50, 100)


@pytest.fixture(autouse=True)
def legible_figures(monkeypatch):
    """Checks every figure that a test draws: no text is cut, none overlaps another."""
    from figure_checks import check_texts

    from atelier.report import figures

    draw = figures.drawn

    def checked(figure):
        canvas = draw(figure)
        check_texts(figure, canvas)
        return canvas

    monkeypatch.setattr(figures, 'drawn', checked)


@pytest.fixture(autouse=True)
def own_trust(monkeypatch):
    """What a test trusts is trusted in no other."""
    from atelier import checkout

    monkeypatch.setattr(checkout, '_trusted', {*checkout.trusted()})


@pytest.fixture(autouse=True)
def drawn_pictures(monkeypatch):
    """An error of the thread that draws in training, else a warning, fails the test."""
    from atelier.training.drawing_thread import DrawingThread

    errors = []
    monkeypatch.setattr(DrawingThread, '_warn', lambda self, error: errors.append(error))
    yield
    if errors:
        raise errors[0]


@pytest.fixture
def main():
    """Runs `python main.py ARGUMENTS`, on one device by default; returns the finished process."""

    def run(*arguments, cwd=ROOT, num_devices=1, timeout=300, **variables):
        flags = f'--xla_force_host_platform_device_count={num_devices} {QUICKER}'
        environment = {**os.environ, 'XLA_FLAGS': flags, **variables}
        return subprocess.run(
            [sys.executable, str(ROOT / 'main.py'), *map(str, arguments)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def tiny_run(tmp_path):
    """Makes the debug VAE as a Run in a fresh folder; keywords like `train__steps=40`."""

    from support import make_run  # imported late: it imports jax

    return lambda folder=None, **changes: make_run(folder or tmp_path / 'run', **changes)


@pytest.fixture(scope='module')
def vae(tmp_path_factory):
    """The debug VAE as a Run; writes nothing."""
    from support import assembled

    return assembled(tmp_path_factory.mktemp('vae'), 'vae')


@pytest.fixture(scope='module')
def gan(tmp_path_factory):
    """The debug GAN as a Run; writes nothing."""
    from support import assembled

    return assembled(tmp_path_factory.mktemp('gan'), 'gan')


@pytest.fixture
def strict_promotion():
    """Forbids implicit dtype and rank promotion in Atelier's own mathematics.

    Unsuitable for the optimizer: optax raises a traced beta to an integer power.
    """
    import jax

    with jax.numpy_dtype_promotion('strict'), jax.numpy_rank_promotion('raise'):
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Path of an empty data cache private to this test."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'atelier' / 'data'


@pytest.fixture
def one_device(monkeypatch):
    """Makes `jax.devices()` return only the first device."""
    import jax

    one = jax.devices()[:1]
    monkeypatch.setattr(jax, 'devices', lambda *arguments: one)


@pytest.fixture
def untrained(monkeypatch, one_device):
    """`restore.load` returns the initial State (which may have no weights), on one device."""
    from atelier.run import restore

    first = lambda run: restore.TrainedRun(run, restore.initial_state(run), 'first weights')
    monkeypatch.setattr(restore, 'load', first)


@pytest.fixture
def scattered_weights(monkeypatch, untrained):
    """As `untrained`, but with noise in all-zero layers, which would hide other layers' effects."""
    from support import scattered

    from atelier.run import restore

    def load(run):
        state = restore.initial_state(run)
        state = state.replace(params=scattered(state.params), ema=scattered(state.ema))
        return restore.TrainedRun(run, state, 'scattered')

    monkeypatch.setattr(restore, 'load', load)


@pytest.fixture
def complaint():
    """Calls a function that must raise `UserError`; returns its one-line message."""

    from atelier.errors import UserError

    def call(function, *arguments, **keywords) -> str:
        with pytest.raises(UserError) as caught:
            function(*arguments, **keywords)
        message = str(caught.value)
        assert message
        assert '\n' not in message, message
        return message

    return call


@pytest.fixture(autouse=True, scope='module')
def forget_programs():
    """Clears JAX's caches after each module: a worker's memory would grow to five gigabytes."""
    yield
    if 'jax' in sys.modules:
        sys.modules['jax'].clear_caches()
