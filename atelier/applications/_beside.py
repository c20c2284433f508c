"""Opens another run on the same examples, for `--beside`."""

import numpy as np

from atelier.applications._application import Application, require
from atelier.data.conditions.condition import KEY
from atelier.errors import UserError, about
from atelier.evaluation.examples import given
from atelier.paths import user_path
from atelier.run import run_folder
from atelier.run.experiment import Run


def opened(application: Application, run: Run, beside: str, verb: str) -> Run:
    """Opens the run to compare with.

    Args:
      application: what both runs are used for.
      run: the run itself.
      beside: folder of the other run.
      verb: what is done with the test split, such as 'classifies'.

    Raises:
      UserError: it is not a run, is `run` itself, does not fit the application, or has other test
        examples.
    """
    with about(f'--beside={beside}'):
        other = run_folder.reopen(user_path(beside), reads=f'it {verb} the test split')
        require(application, other)
    if other.folder.resolve() == run.folder.resolve():
        raise UserError(f'--beside={beside}: that is the run itself, give another run')
    if run.data.origins is not None and run.data.origins.suffix:  # not the examples of the run
        with about(f'--beside={beside}'):
            test, spec = run.data.splits['test'], run.data.spec
            condition = test.get(KEY) if other.data.spec.condition == spec.condition else None
            given_test = given.from_arrays(other, test['x'], test.get('label'), condition)
            return given.with_given(other, given_test)
    label, other_label = (each.data.splits['test'].get('label') for each in (run, other))
    if run.data.name != other.data.name or not np.array_equal(label, other_label):
        raise UserError(
            f'--beside={beside} {verb} the test split of {other.data.name}, {run.folder} that '
            f'of {run.data.name}: give a run on the same examples'
        )
    return other


def names_of(runs: list[Run]) -> list[str]:
    """Returns the last part of each folder if these differ, else the whole paths."""
    names = [each.folder.name for each in runs]
    return names if len({*names}) == len(names) else [str(each.folder) for each in runs]
