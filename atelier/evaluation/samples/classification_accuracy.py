"""Classification accuracy score: the accuracy on real data of a classifier trained on samples."""

from collections.abc import Sequence

import jax
import numpy as np

from atelier import checkout, leftovers
from atelier.core import game
from atelier.core.abilities import Classify
from atelier.core.randomness import Stream, key_for
from atelier.data import preprocess
from atelier.data.dataset import Dataset
from atelier.data.units import converter
from atelier.evaluation.samples.sampling import sampler
from atelier.log import counted, log, warnings_only
from atelier.run import restore, run_data
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

SPLITS = ('train', 'valid')  # the splits that are replaced by samples


def accuracy_score(
    run: Run, state: game.State, devices: Sequence[jax.Device], classifier: Run
) -> dict[str, float]:
    """Returns the test accuracy of a classifier trained on samples: Ravuri and Vinyals (2019).

    The new classifier has the architecture and settings of `classifier`, which was trained on real
    data. The accuracy of `classifier` is returned as 'floor', for comparison. The new classifier's
    training and validation splits are samples, as many per class as there are real examples, and it
    sees no real example before the test.

    Returns:
      {'samples': its accuracy, 'floor': that of `classifier`, 'num_taught': number of training and
      validation samples, 'num_tested': number of real test examples}.
    """
    classifier = run_data.with_data(
        classifier, 'a classifier that is trained on samples is tested on them'
    )
    real = without_classes(classifier.data, run.data.spec.left_out)
    classifier = classifier._replace(data=real)
    data = sampled_data(run, state, devices, real)
    log.info('training a classifier on %s', counted(data.size('train'), 'labelled sample'))
    with leftovers.new_folder() as parent, warnings_only():
        folder = parent / f'{classifier.folder.name}-on-samples'  # warnings name it
        learner = classifier._replace(folder=folder, data=data, init_from=None)
        checkout.train_lib().train(learner, devices)
        learner_state = restore.load(learner).state
    classifier_state = restore.load(classifier).state
    return {
        'samples': accuracy(learner._replace(data=real), learner_state, devices),
        'floor': accuracy(classifier, classifier_state, devices),
        'num_taught': sum(data.size(name) for name in SPLITS),
        'num_tested': real.size('test'),
    }


def without_classes(data: Dataset, left_out: tuple[int, ...]) -> Dataset:
    """Removes examples of classes that the model never saw and cannot sample."""
    if not left_out:
        return data
    splits = {}
    for name, split in data.splits.items():
        keep = ~np.isin(split['label'], left_out)
        splits[name] = {key: np.asarray(array)[keep] for key, array in split.items()}
    return data._replace(splits=splits)


def sampled_data(run: Run, state, devices, real: Dataset) -> Dataset:
    """Returns `real` with its training and validation examples replaced by samples of `run`."""
    sample, splits = sampler(run, devices), dict(real.splits)
    converted = converter(run.data.spec, real.spec)
    for index, name in enumerate(SPLITS):
        label = np.asarray(real.splits[name]['label'], np.int32)
        key = key_for(state.key, Stream.SAMPLE, 1 + index)  # no other samples use this key
        x = converted(sample(state, key, len(label), label))
        splits[name] = {'x': np.asarray(x), 'label': label}
    return real._replace(splits=splits, preprocess=preprocess.as_float)


def accuracy(run: Run, state: game.State, devices: Sequence[jax.Device]) -> float:
    """Returns the accuracy of a classifier on its test split."""
    split, n = run.data.splits['test'], run.data.size('test')

    def is_correct(weights, batch, rng):
        logits = run.family.ability(Classify).logits(weights, batch, rng)
        return logits.argmax(-1) == batch['label']

    apply = over_examples(is_correct, run.data, run.config.eval.batch_size, devices)
    return float(np.mean(apply(state, key_for(state.key, Stream.EVALUATE), split, n)))
