"""Titles that say how many events are not finite, as those of a model that has diverged."""

from collections.abc import Mapping

import numpy as np

from atelier.report.views.view import View


def with_gaps(view: View) -> View:
    """Returns a view whose titles say how many events have a value that is not finite."""

    def samples(sets, spec, title, labels=None, density=None):
        return view.samples(sets, spec, noting_gaps(title, sets), labels, density)

    def pairs(x, reconstruction, spec, title):
        sets = {'examples': x, 'reconstructions': reconstruction}
        return view.pairs(x, reconstruction, spec, noting_gaps(title, sets))

    def rows(x, spec, title, row_names, column_names, among=None, across=''):
        title = noting_gaps(title, {'rows': x})
        return view.rows(x, spec, title, row_names, column_names, among, across)

    def ranked(x, captions, spec, title, among=None):
        return view.ranked(x, captions, spec, noting_gaps(title, {'examples': x}), among)

    return view._replace(samples=samples, pairs=pairs, rows=rows, ranked=ranked)


def noting_gaps(title: str, sets: Mapping[str, np.ndarray]) -> str:
    """Returns the title with the numbers of events of each set [n, ...] that are not finite.

    An empty title, of a figure without text, stays empty.
    """
    numbers = {name: num_gaps(x) for name, x in sets.items()} if title else {}
    found = [f'{n:,} of {len(sets[name]):,} {name}' for name, n in numbers.items() if n]
    return f'{title} (not finite: {", ".join(found)})' if found else title


def num_gaps(x: np.ndarray) -> int:
    """Returns how many of the events [n, ...] have a value that is not finite."""
    return int(np.sum(~np.isfinite(x).reshape(len(x), -1).all(1)))
