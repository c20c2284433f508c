"""The checks of the pictures and labels of a well-known set."""

import numpy as np
import pytest

from atelier.data.original.known import KNOWN
from atelier.data.original.pictures import check_labels, checked


def test_pictures_of_the_set_are_returned(tmp_path):
    x, label = np.zeros((7, 28, 28, 1), np.uint8), np.arange(7, dtype=np.uint8)
    pictures = checked(KNOWN['mnist'], 'train', x, label, tmp_path)
    assert pictures.x is x
    assert pictures.label is label


@pytest.mark.parametrize(
    'x',
    [np.zeros((7, 28, 28), np.uint8), np.zeros((7, 28, 28, 1)), np.zeros((0, 28, 28, 1), np.uint8)],
)
def test_other_pictures_are_refused(tmp_path, complaint, x):
    line = complaint(checked, KNOWN['mnist'], 'train', x, np.arange(len(x)), tmp_path)
    assert 'expected uint8 pictures [n, 28x28x1]' in line


def test_labels_of_another_set_are_refused(tmp_path, complaint):
    mnist, fashion = KNOWN['mnist'], KNOWN['fashion_mnist']
    label = np.array(mnist.first_labels)
    check_labels(mnist, 'train', label, 20, tmp_path)
    line = complaint(check_labels, fashion, 'train', label, 20, tmp_path)
    assert 'holds the labels of mnist, not of fashion_mnist: fetch the files of fashion' in line
    check_labels(fashion, 'test', label, 20, tmp_path)  # only the training labels are compared


@pytest.mark.parametrize(
    'label',
    [
        None,
        np.zeros(3),
        np.zeros((3, 1), int),
        np.arange(4),
        np.array([0, 1, -1]),
        np.array([0, 1, 10]),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, complaint, label):
    assert 'is not mnist' in complaint(check_labels, KNOWN['mnist'], 'test', label, 3, tmp_path)
