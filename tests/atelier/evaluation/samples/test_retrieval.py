"""Noisy copies are retrieved, others by chance; equal captions count as one."""

import numpy as np

from atelier.evaluation.samples.retrieval import AMONG, retrieval_share

N = 5 * AMONG
RANDOM = np.random.RandomState(0)
REAL = RANDOM.normal(size=(N, 4, 4)).astype(np.float32)
ALL_DIFFERENT = np.arange(N, dtype=np.int32)[:, None]


def test_noisy_copies_are_retrieved():
    noisy = REAL + 0.3 * RANDOM.normal(size=REAL.shape).astype(np.float32)
    assert retrieval_share(noisy, REAL, ALL_DIFFERENT).value > 0.98
    assert retrieval_share(REAL, REAL, ALL_DIFFERENT) == (1.0, 0.0)


def test_other_pictures_are_retrieved_by_chance():
    found = retrieval_share(RANDOM.permutation(REAL), REAL, ALL_DIFFERENT)
    assert abs(found.value - 1 / AMONG) < 4 * (1 / AMONG / N) ** 0.5


def test_any_picture_of_the_same_caption_is_right():
    swapped = REAL.reshape(-1, 2, 4, 4)[:, ::-1].reshape(REAL.shape)
    assert retrieval_share(swapped, REAL, ALL_DIFFERENT).value == 0
    assert retrieval_share(swapped, REAL, ALL_DIFFERENT // 2).value == 1


def test_few_pictures_are_one_group():
    assert retrieval_share(REAL[:7], REAL[:7], ALL_DIFFERENT[:7]).value == 1
