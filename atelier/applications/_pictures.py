"""Pictures of samples, pairs, paths and ranked examples, for data of any kind (`report.views`)."""

import numpy as np

from atelier.data.spec import Spec
from atelier.data.stand_in import StandIn
from atelier.errors import UserError
from atelier.evaluation.examples.density import density_of
from atelier.evaluation.samples.sampling import order_of_known, preprocessed
from atelier.log import log
from atelier.report.views.choose import MANY, shows_distribution, view_of
from atelier.report.views.view import DATA, Picture, Sets
from atelier.run import run_data
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

MAX_DATA = 2000  # test examples beside samples
MAX_VALUES = 1 << 22  # of these examples: fewer of large events
FEW = 64  # samples by default, unless their distribution is shown


def usual_number(spec: Spec) -> int:
    """Returns the number of samples that a figure of such data needs."""
    return MANY if shows_distribution(spec) else FEW


def of_samples(
    trained: TrainedRun, x: np.ndarray, title: str, label: np.ndarray | None = None
) -> Picture:
    """Returns the picture of samples x [n, *event] beside test data, with p(x) if it is known.

    Data that are gone are left out. With `label` [n], colours tell classes.
    """
    run, spec = trained.run, trained.run.data.spec
    data, data_label = test_data(trained)
    sets: Sets = {} if data is None else {DATA: data}
    sets = {**sets, 'samples': x}
    labels = {} if label is None else {'samples': label}
    if labels and data_label is not None:
        labels[DATA] = data_label
    density = density_of(trained, sets)
    return view_of(run.data.spec).samples(sets, spec, title, labels, density)


def among(trained: TrainedRun) -> np.ndarray | None:
    """Returns test x [n, *event] for a picture that shows events among data, if they are there."""
    view = view_of(trained.run.data.spec)
    return test_data(trained)[0] if view is not None and view.is_among_data else None


def test_data(trained: TrainedRun) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Returns up to `MAX_DATA` test x [n, *event] and their labels [n].

    They are of the classes of training, if the split has any of these. The x are preprocessed as in
    evaluation. Both are None if the data are gone, and the labels if there are none.
    """
    run = _with_data_if_there(trained.run)
    if run is None or not run.data.size('test'):
        return None, None
    split = run.data.splits['test']
    label = np.asarray(split['label']) if 'label' in split else None
    index = order_of_known(run, 'test')[
        : min(MAX_DATA, max(FEW, MAX_VALUES // run.data.spec.num_dims))
    ]
    x = preprocessed(run, trained.state, trained.devices, np.asarray(split['x'])[index])
    return x, None if label is None else label[index]


def _with_data_if_there(run: Run) -> Run | None:
    """Returns the run with its data, or None, after a line in the log, if they are gone."""
    if not isinstance(run.data, StandIn):
        return run
    try:
        return run_data.with_data(run, 'the figure shows them')
    except UserError as error:
        log.info('the figure is without data: %s', error)
        return None
