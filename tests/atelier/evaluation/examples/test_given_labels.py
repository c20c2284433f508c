"""Labels that are given to a trained run."""

import numpy as np
import pytest
from support import assembled

from atelier.errors import UserError
from atelier.evaluation.examples.given_labels import check_class_names, checked_labels


@pytest.fixture
def run(tmp_path):
    run = assembled(tmp_path / 'run', 'cvae')
    names = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
    spec = run.data.spec._replace(class_names=names)
    return run._replace(data=run.data._replace(spec=spec))


def test_names_in_the_order_of_the_run_are_accepted(run):
    check_class_names(run, run.data.spec.class_names)
    check_class_names(run, ())


def test_names_in_another_order_are_refused(run):
    with pytest.raises(UserError, match='number the labels as the run does'):
        check_class_names(run, run.data.spec.class_names[::-1])


@pytest.mark.parametrize(
    'label', [np.arange(10) + 1, np.arange(10) - 1, np.zeros(10), np.zeros((10, 1), int)], ids=str
)
def test_labels_that_are_no_classes_are_refused(run, label):
    with pytest.raises(UserError, match='classes are 0 to 9|give integers'):
        checked_labels(run, label, 10)
