"""Writes small sets in the formats in which well-known image sets are published."""

import gzip
import io
import json
import pathlib
import tarfile
import zipfile

import numpy as np

from benchmarks.tfds_files import png

STEMS = {'train': 'train', 'test': 't10k'}


def idx(array):
    """Returns the content of an IDX file of bytes."""
    array = np.asarray(array, np.uint8)
    header = bytes([0, 0, 8, array.ndim])
    return header + b''.join(n.to_bytes(4, 'big') for n in array.shape) + array.tobytes()


def write_idx(folder, splits, suffix='.gz'):
    """Writes the files of MNIST: splits is {'train' or 'test': (x [n, rows, columns], label)}."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, (x, label) in splits.items():
        for kind, array in (('images-idx3', x), ('labels-idx1', label)):
            content = idx(array)
            content = gzip.compress(content, mtime=0) if suffix == '.gz' else content
            (folder / f'{STEMS[split]}-{kind}-ubyte{suffix}').write_bytes(content)
    return folder


def cifar_batches(x, label, test_x, test_label):
    """Returns {name of a file of records: content}, for x [n, 32, 32, 3] with n divisible by 5."""

    def records(images, labels):
        flat = np.asarray(images, np.uint8).transpose(0, 3, 1, 2).reshape(len(images), -1)
        return np.column_stack([np.asarray(labels, np.uint8), flat]).tobytes()

    parts = zip(np.split(x, 5), np.split(np.asarray(label), 5), strict=True)
    batches = {f'data_batch_{i}.bin': records(*part) for i, part in enumerate(parts, 1)}
    return {**batches, 'test_batch.bin': records(test_x, test_label)}


def write_tar(path, members, kind=tarfile.REGTYPE):
    """Writes a gzip-compressed tar archive of {name: content}."""
    with tarfile.open(path, 'w:gz') as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_mat(path, x, label, compressed=True):
    """Writes x [n, 32, 32, 3] and labels as X [32, 32, 3, n] and y [n, 1] of a MATLAB 5 file."""
    from scipy.io import savemat

    arrays = {'X': np.moveaxis(x, 0, -1), 'y': np.asarray(label)[:, None]}
    savemat(path, arrays, do_compression=compressed)
    return path


def write_celeb_a(folder, pictures, partition):
    """Writes img_align_celeba.zip of {name: content} and the list of {name: 0, 1 or 2}."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ''.join(f'{name} {split}\n' for name, split in partition.items())
    (folder / 'list_eval_partition.txt').write_text(lines)
    with zipfile.ZipFile(folder / 'img_align_celeba.zip', 'w') as archive:
        for name, content in pictures.items():
            archive.writestr(f'img_align_celeba/{name}', content)
    return folder


def write_parquet(path, x, label=None, column='image', names=(), **options):
    """Writes x [n, height, width, channels] as PNG files in a parquet file of huggingface.co."""
    import pyarrow
    from pyarrow import parquet

    squeezed = x[..., 0] if x.shape[-1] == 1 else x
    kind = pyarrow.struct([('bytes', pyarrow.binary()), ('path', pyarrow.string())])
    rows = [{'bytes': png(image), 'path': '../../etc/passwd'} for image in squeezed]
    columns = {column: pyarrow.array(rows, kind)}
    if label is not None:
        columns['label'] = pyarrow.array(np.asarray(label, np.int64))
    table = pyarrow.table(columns)
    if names:
        info = {'info': {'features': {'label': {'names': list(names), '_type': 'ClassLabel'}}}}
        table = table.replace_schema_metadata({'huggingface': json.dumps(info)})
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, **options)
    return path
