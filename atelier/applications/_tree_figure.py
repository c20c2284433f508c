"""Figures of a dependence tree: over the pixels of images, or in layers."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from atelier.data.spec import Spec
from atelier.report import figures, image_grids
from atelier.report.views import drawing

MAX_NODES = 40  # of a tree in layers
LETTERS_PER_INCH = 9
WIDEST, TALLEST = 10.0, 16.0  # inches
NEAR, BEND, POINTS = 1.5, 0.08, 24  # of edges: straight up to a length; height and points of arcs
Parent = Int[np.ndarray, 'dims']
Nats = Float[np.ndarray, 'dims']
CMAP = f'{figures.SEQUENTIAL}_r'  # strong edges are dark
LABEL = 'mutual information (nats)'


def names(spec: Spec) -> Callable[[int], str]:
    """Returns the name of each dimension: (row, column) of a pixel, that of a column, or x[i]."""
    if not image_grids.is_drawn_as_image(spec):
        is_named = len(spec.column_names) == spec.num_dims
        return lambda i: spec.column_name(int(i)) if is_named else f'x[{int(i)}]'
    _, width, channels = spec.image_shape
    place = lambda i: f'({int(i) // channels // width}, {int(i) // channels % width})'
    return lambda i: place(i) + (f' channel {int(i) % channels}' if channels > 1 else '')


def figure(parent: Parent, nats: Nats, spec: Spec):
    """Returns the matplotlib figure of a tree whose root is its own parent."""
    draw = _on_pixels if image_grids.is_drawn_as_image(spec) else _in_layers
    with figures.style():
        return draw(parent, nats, spec)


def _edges(axis, start, end, nats: Nats, thickest: float, bend: float = 0.0):
    """Draws edges from `start` to `end` [edges, 2], wide and dark by their nats.

    The strongest are drawn last; `bend` is that of `curves`.
    """
    from matplotlib.collections import LineCollection

    largest = max(nats.max(initial=0), 1e-12)
    order = np.argsort(nats, kind='stable')
    start, end, nats = start[order], end[order], nats[order]
    lines = LineCollection(
        curves(start, end, bend),
        array=nats,
        cmap=CMAP,
        linewidths=thickest * (0.15 + 0.85 * nats / largest),
        capstyle='round',
    )
    lines.set_clim(0, largest)
    return axis.add_collection(lines)


def curves(start: np.ndarray, end: np.ndarray, bend: float) -> np.ndarray:
    """Returns points [edges, POINTS, 2] of edges.

    An edge longer than `NEAR` is an arc whose height is `bend` times its length, so that it can be
    told from those of the nodes between its ends.
    """
    t = np.linspace(0, 1, POINTS)[:, None]
    along = (end - start)[:, None]
    across = np.stack([-along[..., 1], along[..., 0]], -1)
    is_long = np.linalg.norm(along, axis=-1, keepdims=True) > NEAR
    return start[:, None] + t * along + np.where(is_long, bend, 0) * 4 * t * (1 - t) * across


def _on_pixels(parent: Parent, nats: Nats, spec: Spec):
    """Draws an edge between the pixels of each dimension and its parent."""
    height, width, channels = spec.image_shape
    (row, column, channel) = np.unravel_index(np.arange(len(parent)), spec.image_shape)
    shift = (channel - (channels - 1) / 2) * 0.3  # the channels of a pixel lie side by side
    place = np.stack([column + shift, row], 1).astype(float)
    figure, (axis,) = figures.panels(1, size=(6.6, 5.0 * min(max(height / width, 0.5), 1.5) + 0.6))
    axis.plot(*place.T, '.', color='0.8', markersize=min(8, 160 / width), zorder=0)
    root = parent == np.arange(len(parent))
    thickest = min(6.0, 75 / max(height, width))
    lines = _edges(axis, place[~root], place[parent[~root]], nats[~root], thickest, BEND)
    axis.plot(*place[root].T, 's', color=figures.colour(3), markersize=7)
    axis.set(xlim=(-0.7, width - 0.3), ylim=(height - 0.3, -0.7), aspect='equal')
    axis.set(
        xlabel='column', ylabel='row', title='Chow-Liu tree over the pixels (square: the root)'
    )
    for each, length in ((axis.xaxis, width), (axis.yaxis, height)):
        each.set_major_locator(_integers(length))
    figures.colour_bar(figure, lines, axis, label=LABEL, shrink=0.8)
    return figure


def _integers(length: int):
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(min(8, length), integer=True)


def _in_layers(parent: Parent, nats: Nats, spec: Spec):
    """Draws the tree from left to right, from the node in its middle."""
    name, shown = names(spec), strongest_subtree(parent, nats, MAX_NODES)
    neighbours = _neighbours(parent, shown)
    above, depth, height = layers(neighbours, middle(neighbours))
    rows, deepest = max(height.values()) + 1, max(max(depth.values()), 1)
    size = (min(2.0 + 1.5 * deepest, WIDEST), min(1.4 + 0.36 * rows, TALLEST))
    figure, (axis,) = figures.panels(1, size=size)
    place = {i: np.array([depth[i], height[i]]) for i in shown}
    children = [i for i in shown if i in above]
    if children:
        # an edge belongs to the end whose parent in the model is the other one
        of_edge = np.array([nats[i] if parent[i] == above[i] else nats[above[i]] for i in children])
        ends = [np.array([place[i] for i in each]) for each in (children, map(above.get, children))]
        lines = _edges(axis, *ends, of_edge, 6.0)
        figures.colour_bar(figure, lines, axis, label=LABEL, shrink=min(1.0, 3 / size[1]))
    box = dict(boxstyle='round,pad=0.25', facecolor='white', edgecolor='0.5')
    letters = max(6, int(LETTERS_PER_INCH * 0.8 * size[0] / (deepest + 1)))
    for i in shown:
        axis.text(*place[i], drawing.name(name(i), letters), ha='center', va='center', bbox=box)
    axis.set(xlim=(-0.4, deepest + 0.4), ylim=(rows - 0.4, -0.6))
    axis.set_axis_off()
    part = '' if len(shown) == len(parent) else f': {len(shown)} of {len(parent)} dimensions'
    axis.set_title(f'Chow-Liu tree{part}')
    return figure


def strongest_subtree(parent: Parent, nats: Nats, most: int) -> list[int]:
    """Returns at most `most` connected dimensions, grown from the strongest edge by the next."""
    if len(parent) <= most:
        return list(range(len(parent)))
    inside = {int(nats.argmax())}
    neighbours = _neighbours(parent, range(len(parent)))
    strength = lambda i, j: nats[i] if parent[i] == j else nats[j]
    while len(inside) < most:
        edges = [(strength(i, j), j) for i in inside for j in neighbours[i] if j not in inside]
        inside.add(max(edges, key=lambda edge: edge[0])[1])
    return sorted(inside)


def _neighbours(parent: Parent, shown) -> dict[int, list[int]]:
    neighbours = {int(i): [] for i in shown}
    for i in neighbours:
        j = int(parent[i])
        if j != i and j in neighbours:
            neighbours[i].append(j)
            neighbours[j].append(i)
    return neighbours


def middle(neighbours: dict[int, list[int]]) -> int:
    """Returns a node in the middle of the longest path of a tree, so that it has few layers."""
    far = _path(neighbours, next(iter(neighbours)))[-1]
    path = _path(neighbours, far)
    return path[len(path) // 2]


def _path(neighbours: dict[int, list[int]], start: int) -> list[int]:
    """Returns the path from a node to one that is farthest from it."""
    before, waiting = {start: start}, [start]
    for node in waiting:
        new = [each for each in neighbours[node] if each not in before]
        before.update(dict.fromkeys(new, node))
        waiting += new
    path = [waiting[-1]]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def layers(
    neighbours: dict[int, list[int]], root: int
) -> tuple[dict[int, int], dict[int, int], dict[int, float]]:
    """Returns the node above each node, its layer and its height.

    Leaves have the heights 0, 1, ...; another node has the mean height of those below it.
    """
    above, depth, order = {}, {root: 0}, [root]
    stack = [root]
    while stack:
        node = stack.pop()
        below = [each for each in neighbours[node] if each not in depth]
        above.update(dict.fromkeys(below, node))
        depth.update(dict.fromkeys(below, depth[node] + 1))
        order += below if node == root else []
        stack += below[::-1]
    return above, depth, _heights(neighbours, above, root)


def _heights(neighbours, above: dict[int, int], root: int) -> dict[int, float]:
    height, num_leaves, stack = {}, 0, [(root, False)]
    while stack:
        node, is_done = stack.pop()
        below = [each for each in neighbours[node] if above.get(each) == node]
        if not below:
            height[node], num_leaves = float(num_leaves), num_leaves + 1
        elif is_done:
            height[node] = sum(height[each] for each in below) / len(below)
        else:
            stack += [(node, True), *((each, False) for each in below[::-1])]
    return height
