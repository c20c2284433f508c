"""What an untrusted checkpoint can do when it is read: be refused, before memory is taken."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorstore
from checkpointing import saved, state_of

from atelier import checkout
from atelier.errors import UserError
from atelier.run.checkpoint import Checkpoints, Memory


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    """A folder with checkpoint 10. Tests must not modify it."""
    return saved(tmp_path_factory.mktemp('clean') / 'checkpoints', 10)


@pytest.fixture
def folder(clean, tmp_path):
    """A copy of the folder with checkpoint 10."""
    return shutil.copytree(clean, tmp_path / 'checkpoints')


def refusal(folder, like, step=10):
    with (
        contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints,
        pytest.raises(UserError) as error,
    ):
        checkpoints.restore(step, like)
    assert '\n' not in str(error.value)
    return str(error.value)


def never(*arguments, **options):
    raise AssertionError('the arrays were read')


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_arrays_of_other_shapes_or_dtypes_are_refused_unread(folder, dtype, monkeypatch):
    like = state_of(10, size=4 if dtype is np.float16 else 5)
    other = like.replace(ema={'model': {'kernel': like.ema['model']['kernel'].astype(dtype)}})
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    message = refusal(folder, other)
    assert 'does not fit the model: the config file or the code has changed' in message
    declared = 'float16(4, 2)' if dtype is np.float16 else 'float32(5, 2)'
    assert f'ema/model/kernel is float32(4, 2) there and {declared} here' in message


def test_a_missing_and_an_unknown_array_are_refused(folder):
    like = state_of(10)
    assert 'hypers/gamma is missing there' in refusal(
        folder, like.replace(hypers={**like.hypers, 'gamma': np.float32(1)})
    )
    assert 'hypers/beta is float32() there and missing here' in refusal(
        folder, like.replace(hypers={})
    )


def test_an_array_without_elements_is_named_before_it_is_saved(tmp_path):
    state = state_of(10).replace(extra={'model': {'mask': np.zeros((0, 3))}})
    with (
        contextlib.closing(Checkpoints(tmp_path / 'checkpoints')) as checkpoints,
        pytest.raises(UserError, match=r'extra/model/mask of the model has the shape \(0, 3\)'),
    ):
        checkpoints.save(state, Memory())


def rewritten(folder, name, **changes):
    """Changes the checkpoint's metadata of one array."""
    base = {'driver': 'file', 'path': f'{folder}/10/state/'}
    store = tensorstore.KvStore.open({'driver': 'ocdbt', 'base': base}).result()
    key = f'{name}/.zarray'
    record = json.loads(store.read(key).result().value)
    store.write(key, json.dumps({**record, **changes}).encode()).result()


HUGE = [dict(shape=[2**40, 2]), dict(shape=[2**62, 2**62]), dict(chunks=[2**40, 2])]


@pytest.mark.parametrize('changes', HUGE)
@pytest.mark.parametrize('is_known', [True, False])
def test_harmful_sizes_are_refused_unread(folder, changes, is_known, monkeypatch):
    """With and without a model whose shapes are known."""
    rewritten(folder, 'params.model.kernel', **changes)
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    message = refusal(folder, state_of(10) if is_known else None)
    assert 'does not fit the model' in message or 'is damaged' in message
    assert 'were read' not in message


@pytest.mark.parametrize('kind', ['blosc', 'zlib', 'bz2'])
def test_other_compressions_are_refused_unread(folder, kind, monkeypatch):
    """Decompressed, 50 KB of blosc take 1 GB of memory, whatever the shape of the array."""
    rewritten(folder, 'params.model.kernel', compressor={'id': kind})
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    message = refusal(folder, state_of(10))
    assert f"params.model.kernel/.zarray has the compression '{kind}'" in message


def test_another_format_of_arrays_is_refused_unread(folder, monkeypatch):
    """It has compressions of its own."""
    path = folder / '10' / 'state' / 'params.model.kernel' / 'zarr.json'
    path.parent.mkdir()
    path.write_text('{}')
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    assert 'its arrays have the format zarr 3' in refusal(folder, state_of(10))


@pytest.mark.skipif(not pathlib.Path('/proc/self/clear_refs').exists(), reason='needs Linux')
def test_a_chunk_that_inflates_takes_no_more_memory_than_its_array(folder):
    """tensorstore stops at the size of the chunk: 256 MB of zeros from 25 KB are not held."""
    size = 2**26
    compressor = {'id': 'zstd', 'level': 1}
    metadata = dict(shape=[size], chunks=[size], dtype='<f4', compressor=compressor)
    store = {'driver': 'memory'}
    spec = {'driver': 'zarr', 'kvstore': store, 'metadata': metadata, 'create': True}
    context = tensorstore.Context()
    array = tensorstore.open(spec, context=context).result()
    array[:].write(np.ones(size, np.float32)).result()
    chunk = tensorstore.KvStore.open(store, context=context).result().read('0').result().value
    assert len(chunk) < 10**5
    del array
    base = {'driver': 'file', 'path': f'{folder}/10/state/'}
    kvstore = tensorstore.KvStore.open({'driver': 'ocdbt', 'base': base}).result()
    kvstore.write('params.model.kernel/0.0', chunk).result()
    pathlib.Path('/proc/self/clear_refs').write_text('5')  # forgets the peak of the memory
    before = peak_bytes()
    assert 'is damaged' in refusal(folder, state_of(10))
    assert peak_bytes() - before < 2**26


def peak_bytes():
    """The peak of this process's resident memory."""
    lines = pathlib.Path('/proc/self/status').read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith('VmHWM'))


def test_oversized_metadata_are_refused_unread(folder, monkeypatch):
    with (folder / '10' / 'host' / 'metadata').open('ab') as file:
        file.truncate(2**33)  # a hole
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    assert 'host/metadata has 8,589,934,592 bytes' in refusal(folder, None)


DEEP = '{"a":' + '[' * 10**5 + ']' * 10**5 + '}'


@pytest.mark.parametrize('name', ['host/metadata', 'state/_METADATA'])
def test_deep_metadata_are_refused_unread(folder, name, monkeypatch):
    (folder / '10' / name).write_text(DEEP)
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    assert f'{name}: it is nested too deeply' in refusal(folder, state_of(10))


def test_deep_and_oversized_metadata_are_refused_when_the_folder_is_opened(folder, complaint):
    """Orbax reads those of every checkpoint when it opens the folder."""
    path = folder / '10' / '_CHECKPOINT_METADATA'
    path.write_text(DEEP)
    assert 'a description of a checkpoint is damaged' in complaint(Checkpoints, folder, True)
    with path.open('ab') as file:
        file.truncate(2**33)  # a hole
    line = complaint(Checkpoints, folder, True)
    assert '10/_CHECKPOINT_METADATA has 8,589,934,592 bytes' in line


@pytest.mark.parametrize('text', [DEEP, '[]', '3', '{"compressor": [1]}', ' ' * 2**25])
def test_a_damaged_description_of_an_array_is_refused_unread(folder, text, monkeypatch):
    base = {'driver': 'file', 'path': f'{folder}/10/state/'}
    store = tensorstore.KvStore.open({'driver': 'ocdbt', 'base': base}).result()
    store.write('params.model.kernel/.zarray', text.encode()).result()
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    assert 'checkpoint 10 in' in refusal(folder, state_of(10))


@pytest.mark.parametrize(
    ('name', 'entry'), [('state/_METADATA', 'key'), ('host/metadata', 'digest')]
)
def test_a_missing_entry_is_named_in_words(folder, name, entry):
    """The reader's own message is the name alone."""
    path = folder / '10' / name
    path.write_text(path.read_text().replace(f'"{entry}"', '"other"'))
    message = refusal(folder, state_of(10))
    assert message.endswith(f"is damaged: its description lacks the entry '{entry}'"), message


def test_files_far_larger_than_the_arrays_are_refused_unread(folder, monkeypatch):
    """A file with holes takes nothing of the disk."""
    with (folder / '10' / 'state' / 'd' / 'x').open('wb') as file:
        file.truncate(2**33)
    monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', never)
    assert 'its files have 8,589,9' in refusal(folder, state_of(10))


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path('/proc/self/clear_refs').exists(), reason='needs Linux')
def test_an_index_that_inflates_is_refused_unread(folder):
    """A node of the index with 1 GB of zeros, from 32 KB, in the format that tensorstore writes."""
    state = folder / '10' / 'state'
    shutil.rmtree(state / 'd')
    (state / 'manifest.ocdbt').unlink()
    config = {'max_inline_value_bytes': 2**20, 'max_decoded_node_bytes': 2**31 - 1}
    config['compression'] = {'id': 'zstd', 'level': 1}
    spec = {'driver': 'ocdbt', 'base': {'driver': 'file', 'path': f'{state}/'}, 'config': config}
    store = tensorstore.KvStore.open(spec).result()
    with tensorstore.Transaction() as transaction:
        for i in range(1000):
            store.with_transaction(transaction).write(f'{i}', bytes(2**20)).result()
    assert sum(path.stat().st_size for path in (state / 'd').iterdir()) < 10**5
    pathlib.Path('/proc/self/clear_refs').write_text('5')
    before = peak_bytes()
    line = refusal(folder, state_of(10))
    assert 'its index may have more than 536,870,912 bytes once decompressed' in line
    assert peak_bytes() - before < 2**26


@pytest.mark.parametrize(
    'change',
    [
        dict(memory=3),
        dict(memory={'best_step': '1'}),
        dict(memory={'best_value': [1]}),
        dict(memory={'evaluations_since_best': None}),
        dict(memory={'unknown': 1}),
        dict(run=['x']),
        dict(digest='x'),
    ],
    ids=str,
)
def test_json_of_other_types_is_refused(folder, change):
    path = folder / '10' / 'host' / 'metadata'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert 'checkpoint 10 in' in refusal(folder, state_of(10))


@pytest.mark.slow
def test_reading_an_untrusted_checkpoint_runs_nothing_of_it(folder, clean, tmp_path):
    """An audit of the interpreter: the same imports as for a clean one, no code, no process.

    One checkpoint names classes that read its items, the other classes of its arrays as well. The
    control shows that the audit does notice an import from the folder.
    """
    handlers = {'state': 'evil.Handler', 'host': 'os.system'}
    path = folder / '10' / '_CHECKPOINT_METADATA'
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, 'item_handlers': handlers, 'custom_metadata': handlers}))
    for subfolder in (folder, *(folder / '10' / name for name in ('', 'state', 'host'))):
        for name in ('evil.py', 'sitecustomize.py', 'os.py', 'model.pkl'):
            (subfolder / name).write_text('raise SystemExit(99)')
        (subfolder / '_sharding').write_text('{"evil": "evil.Sharding"}')
    other = shutil.copytree(folder, tmp_path / 'other')
    path = other / '10' / 'state' / '_METADATA'
    path.write_text(path.read_text().replace('np.ndarray', 'evil.Array'))
    result = subprocess.run(
        [sys.executable, '-c', AUDIT, str(clean), str(folder), str(other)],
        cwd=folder,
        env={'PYTHONPATH': f'{checkout.ROOT}:{checkout.ROOT}/tests', 'JAX_PLATFORMS': 'cpu'},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    events = json.loads(result.stdout)
    assert events['unexpected'] == []
    assert events['refusals'][:2] == ['', ''] and 'evil.Array' in events['refusals'][2]
    assert ['import', 'evil'] in events['control']


AUDIT = """
import contextlib, json, pathlib, sys
sys.path.remove('')
from checkpointing import state_of
from atelier.errors import UserError
from atelier.run.checkpoint import Checkpoints

KINDS = ('import', 'exec', 'compile', 'pickle.find_class', 'subprocess.Popen', 'os.system',
         'os.exec', 'os.posix_spawn', 'os.fork', 'ctypes.dlopen', 'marshal.loads')
events = None

def audit(kind, arguments):
    if events is not None and kind in KINDS:
        name = getattr(arguments[0], 'co_filename', arguments[0]) if arguments else ''
        events.append([kind, str(name)])

sys.addaudithook(audit)

refusals = []

def read(folder):
    global events
    events = []
    with contextlib.closing(Checkpoints(pathlib.Path(folder), read_only=True)) as checkpoints:
        for like in (state_of(10), None):
            refusal = ''
            try:
                checkpoints.restore(10, like)
            except UserError as error:
                refusal = str(error)
            refusals.append(refusal)
    read_events, events = events, None
    return read_events

for _ in range(2):  # the first time, libraries import what they need
    clean = read(sys.argv[1])
del refusals[:]
unexpected = [event for path in sys.argv[2:] for event in read(path) if event not in clean]
events = []
sys.path.insert(0, sys.argv[2])
with contextlib.suppress(SystemExit):
    import evil
print(json.dumps({'unexpected': unexpected, 'control': events, 'refusals': refusals}))
"""
