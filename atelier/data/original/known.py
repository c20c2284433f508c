"""What is known of the image sets that are read from their original files."""

from typing import NamedTuple


class Known(NamedTuple):
    """Facts about a set.

    name: in `config.data.name`.
    tfds_name: in TensorFlow Datasets (TFDS).
    image_shape: (height, width, channels).
    sizes: number of examples of each split.
    files: names of the original files, as they are published.
    address: where these files are fetched.
    home: page of the authors.
    hub_name: of the data set on huggingface.co that holds the same examples as parquet; '': none.
    class_names: of the labels 0, 1, ...; (): there are no labels.
    first_labels: of the training split in its original order; (): not compared.
    chiral: whether a mirrored example may be none of the set.
    """

    name: str
    tfds_name: str
    image_shape: tuple[int, int, int]
    sizes: dict[str, int]
    files: tuple[str, ...]
    address: str
    home: str
    hub_name: str
    class_names: tuple[str, ...] = ()
    first_labels: tuple[int, ...] = ()
    chiral: bool = True


DIGITS = tuple('0123456789')
IDX_FILES = (
    'train-images-idx3-ubyte.gz',
    'train-labels-idx1-ubyte.gz',
    't10k-images-idx3-ubyte.gz',
    't10k-labels-idx1-ubyte.gz',
)
SVHN = Known(
    name='svhn',
    tfds_name='svhn_cropped',
    image_shape=(32, 32, 3),
    sizes={'train': 73_257, 'test': 26_032},
    files=('train_32x32.mat', 'test_32x32.mat'),
    address='http://ufldl.stanford.edu/housenumbers/',
    home='http://ufldl.stanford.edu/housenumbers/',
    hub_name='ufldl-stanford/svhn',
    class_names=DIGITS,
)
SETS = (
    Known(
        name='mnist',
        tfds_name='mnist',
        image_shape=(28, 28, 1),
        sizes={'train': 60_000, 'test': 10_000},
        files=IDX_FILES,
        address='https://storage.googleapis.com/cvdf-datasets/mnist/',
        home='http://yann.lecun.com/exdb/mnist/',
        hub_name='ylecun/mnist',
        class_names=DIGITS,
        first_labels=(5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5, 3, 6, 1, 7, 2, 8, 6, 9),
    ),
    Known(
        name='fashion_mnist',
        tfds_name='fashion_mnist',
        image_shape=(28, 28, 1),
        sizes={'train': 60_000, 'test': 10_000},
        files=IDX_FILES,
        address='http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
        home='https://github.com/zalandoresearch/fashion-mnist',
        hub_name='zalando-datasets/fashion_mnist',
        class_names=(
            *('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat'),
            *('Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        ),
        first_labels=(9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9, 5, 5, 7, 9, 1, 0, 6, 4),
    ),
    Known(
        name='cifar10',
        tfds_name='cifar10',
        image_shape=(32, 32, 3),
        sizes={'train': 50_000, 'test': 10_000},
        files=('cifar-10-binary.tar.gz',),
        address='https://www.cs.toronto.edu/~kriz/',
        home='https://www.cs.toronto.edu/~kriz/cifar.html',
        hub_name='uoft-cs/cifar10',
        class_names=(
            *('airplane', 'automobile', 'bird', 'cat', 'deer'),
            *('dog', 'frog', 'horse', 'ship', 'truck'),
        ),
        chiral=False,
    ),
    SVHN,
    SVHN._replace(name='svhn_cropped'),
    Known(
        name='celeb_a',
        tfds_name='celeb_a',
        image_shape=(218, 178, 3),
        sizes={'train': 162_770, 'valid': 19_867, 'test': 19_962},
        files=('img_align_celeba.zip', 'list_eval_partition.txt'),
        address='http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html',
        home='http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html',
        hub_name='',
        chiral=False,
    ),
)
KNOWN = {known.name: known for known in SETS}
