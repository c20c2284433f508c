"""Writes small data sets in TFDS's prepared format, without TensorFlow."""

import io
import json

import numpy as np
from PIL import Image

NAMES = {'Image': 'image_feature', 'ClassLabel': 'class_label_feature', 'Text': 'text_feature'}


def feature(kind, **about):
    """Returns the entry of `features.json` for a feature of a kind in `NAMES`."""
    return {'pythonClassName': f'tensorflow_datasets.core.features.{NAMES[kind]}.{kind}', **about}


IMAGE = feature('Image', image={'dtype': 'uint8', 'shape': {'dimensions': ['-1', '-1', '3']}})
LABEL = feature('ClassLabel', classLabel={'numClasses': '10'})
TEXT = feature('Text', text={})


def png(array):
    """Returns the PNG file of an image [height, width, channels], as bytes."""
    raw = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(raw, 'png')
    return raw.getvalue()


def pictures(count, first=0):
    """Returns examples whose image [4, 5, 3] is filled with the example's index."""
    return [{'image': png(np.full((4, 5, 3), n))} for n in range(first, first + count)]


def write_set(root, name, splits, features, version='1.0.0'):
    """Writes a prepared TFDS set: one array_record file per split, and its metadata as JSON."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

    def packed(value):
        if isinstance(value, bytes):
            values = tf_feature_pb2.BytesList(value=[value])
            return tf_feature_pb2.Feature(bytes_list=values)
        return tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=[value]))

    folder, stem = root / name / version, name.split('/')[0]
    folder.mkdir(parents=True)
    for split, examples in splits.items():
        path = folder / f'{stem}-{split}.array_record-00000-of-00001'
        writer = ArrayRecordWriter(str(path), 'group_size:1')
        for example in examples:
            fields = {key: packed(value) for key, value in example.items()}
            record = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=fields))
            writer.write(record.SerializeToString())
        writer.close()
    template = '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'
    info = {
        'name': stem,
        'version': version,
        'fileFormat': 'array_record',
        'moduleName': f'mine.{stem}',
        'splits': [
            {'name': split, 'shardLengths': [str(len(rows))], 'filepathTemplate': template}
            for split, rows in splits.items()
        ],
    }
    kind = 'tensorflow_datasets.core.features.features_dict.FeaturesDict'
    about = {'pythonClassName': kind, 'featuresDict': {'features': features}}
    (folder / 'dataset_info.json').write_text(json.dumps(info))
    (folder / 'features.json').write_text(json.dumps(about))
    return folder
