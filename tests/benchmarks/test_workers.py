"""Arms in processes of their own: order, answers, failures and the time limit."""

import io
import json
import math
import os
import textwrap

import numpy as np
import pytest

from benchmarks import worker, workers

ARMS = """
import os, time
from benchmarks.worker import Arm, main

def make(path, name, sleep=0.0, dies_after=99):
    calls = []
    def call():
        print('a library prints this')
        calls.append(name)
        if len(calls) > dies_after:
            raise RuntimeError('no memory is left')
        time.sleep(sleep)
        with open(path, 'a') as file:
            file.write(name)
        return [[len(calls), 0.5]]
    return Arm(call, dict(process=os.getpid(), variable=os.environ.get('ARM_VARIABLE')))

if __name__ == '__main__':
    main(make)
"""


@pytest.fixture
def arm(tmp_path):
    """A function that returns the spec of an arm, which writes its name at every call."""
    (tmp_path / 'tiny_arms.py').write_text(textwrap.dedent(ARMS))

    def spec(name, **settings):
        environment = {'PYTHONPATH': str(tmp_path), 'ARM_VARIABLE': name}
        settings = dict(path=str(tmp_path / 'calls'), name=name, **settings)
        return workers.Spec('tiny_arms:make', settings, environment)

    return spec


def test_arms_alternate_in_processes_of_their_own(arm, tmp_path):
    measured = workers.measure({'a': arm('a'), 'b': arm('b')}, 2)
    assert (tmp_path / 'calls').read_text() == 'ababab'
    processes = {each.facts['process'] for each in measured.values()}
    assert len(processes) == 2 and os.getpid() not in processes
    for name, each in measured.items():
        assert each.facts['variable'] == name
        assert each.failure == '' and len(each.seconds) == 2 and each.first > 0
        np.testing.assert_allclose(np.concatenate(each.losses), [[1, 0.5], [2, 0.5], [3, 0.5]])


def test_an_arm_whose_process_dies_says_why_and_the_others_go_on(arm):
    unknown = workers.Spec('tiny_arms:absent', {}, arm('x').environment)
    specs = {'a': arm('a'), 'dies': arm('d', dies_after=1), 'unknown': unknown}
    measured = workers.measure(specs, 2)
    assert len(measured['a'].seconds) == 2
    dead = measured['dies']
    assert dead.failure == 'exit status 1: RuntimeError: no memory is left'
    assert not len(dead.seconds) and len(dead.losses) == 1
    assert measured['unknown'].failure == "exit status 1: KeyError: 'absent'"
    assert math.isnan(measured['unknown'].first)


def test_arms_that_are_made_side_by_side_have_one_more_call(arm, tmp_path):
    specs = {'a': arm('a'), 'b': arm('b'), 'dies': arm('d', dies_after=0)}
    measured = workers.measure(specs, 1, at_once=3)
    assert sorted((tmp_path / 'calls').read_text()[:2]) == ['a', 'b']
    assert (tmp_path / 'calls').read_text()[2:] == 'abab'
    assert all(len(measured[name].losses) == 3 for name in 'ab')
    assert measured['dies'].failure == 'exit status 1: RuntimeError: no memory is left'


@pytest.mark.slow
def test_an_arm_that_does_not_finish_is_ended(arm):
    measured = workers.measure({'slow': arm('s', sleep=600)}, 1, 5.0)
    assert measured['slow'].failure == 'not finished within 5 s'
    assert not len(measured['slow'].seconds)


def test_the_child_makes_its_arm_at_the_first_order():
    made = []

    def make(size):
        made.append(size)
        return worker.Arm(lambda: np.full(size, len(made)), {'size': size})

    class Orders:
        """Before the first order, nothing is made."""

        def __iter__(self):
            assert not made
            yield 'go'
            yield 'go'

    answers = io.StringIO()
    worker.serve(make, json.dumps({'size': 2}), Orders(), answers)
    ready, *calls = map(json.loads, answers.getvalue().splitlines())
    assert ready == {'ready': True} and made == [2]
    assert [call['losses'] for call in calls] == [[1, 1], [1, 1]]
    assert all(call['seconds'] >= 0 and call['facts'] == {'size': 2} for call in calls)
