"""PCA's reconstruction error on the test split: a baseline for autoencoders of this code size.

    python -m benchmarks.pca_error --config=configs/conv_autoencoder.py:mnist --components=32

PCA is fitted on the training split of the config's data. The error is 1/2 ||x - x^||^2 of
normalized x, like the `squared_error` of an autoencoder. Reconstructions are scored unchanged, and
once more clipped to the data's interval, which can only lower the error.
"""

import jax
import numpy as np
from absl import flags
from jaxtyping import Float

from atelier import checkout
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data import dataset
from atelier.data.dataset import Dataset
from atelier.evaluation.evaluate import summary
from atelier.evaluation.latents.pca import principal_components
from atelier.evaluation.samples.features import coordinates
from benchmarks import outcome
from losses.reconstruction import half_squared_error

flags.DEFINE_string('config', 'configs/autoencoder.py', 'config whose data are used')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_multi_integer('components', [8], 'number of PCA components; may be repeated')


def normalized(data: Dataset, split: str) -> Float[np.ndarray, 'n dims']:
    """Returns x of a split as networks receive it, one row per example."""
    key, n = (
        key_for(jax.random.PRNGKey(0), Stream.PREPROCESS),
        data.size(split),
    )
    keys = rng_for(key, np.arange(n), n).keys
    return coordinates(np.asarray(data.preprocess(data.splits[split], keys)['x']), data.spec)


def mean_and_error(values) -> str:
    """Formats the mean over examples and its standard error."""
    statistics = summary(np.asarray(values, np.float64))
    return f'{statistics["mean"]:.4f} +- {statistics["standard_error"]:.4f}'


def main(_):
    """Prints a line for each number of components."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('pca_error')
    config = checkout.config_file(values.config).config()
    with config.unlocked():
        config.data.data_dir = values.data_dir
    data = dataset.load(config)
    pca, x = principal_components(normalized(data, 'train')), normalized(data, 'test')
    print(f'{len(x)} test examples of {data.description}: PCA fit to {data.size("train")} others')
    for components in values.components:
        if not result.left():
            print('  time was up')
            break
        reconstruction = pca.rotate_back(pca.rotate(x)[:, :components]).astype(np.float32)
        errors = [half_squared_error(x, reconstruction)]
        if data.spec.interval is not None:
            errors.append(half_squared_error(x, np.clip(reconstruction, 0, 1)))
        result.add_arm(f'{components} components', [float(np.mean(errors[0]))], 'squared_error')
        if len(errors) > 1:
            result.add_arm(f'{components} components', [float(np.mean(errors[1]))], 'clipped')
        summary_text = ', clipped to the interval '.join(map(mean_and_error, errors))
        print(f'  {components:5} components: squared_error {summary_text}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
