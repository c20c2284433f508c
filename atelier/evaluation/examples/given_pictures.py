"""Pictures in place of a run's test split: read as those of training, in the run's levels."""

import collections
import pathlib
from collections.abc import Sequence

import numpy as np

from atelier.data import dataset, folder_layout, images, inspection, picture_files
from atelier.data.inspection import ImageSplit, StoredImage
from atelier.data.origins import Origins, named
from atelier.data.sources import decodes_pictures
from atelier.errors import UserError
from atelier.evaluation.examples import given_conditions
from atelier.log import counted, listed, log
from atelier.names import stored_names
from atelier.report import image_grids
from atelier.run.experiment import Run

MAX_NAMED = 8  # folders that a line names


def of_folder(run: Run, root: pathlib.Path) -> tuple[dict[str, np.ndarray], Origins]:
    """Reads the pictures below a folder: x [n, *event], and label [n] if its folders are classes.

    If a file beside them has the condition of the run, it is 'condition' [n, columns].

    Raises:
      UserError: there are no pictures, one of them or its condition cannot be used, or
        config.data.strict refuses one.
    """
    sources = given_conditions.beside(run, root)
    found = picture_files.below(root, [source.path for source in sources])
    if not found.pictures:
        raise UserError(f'it has no images ({", ".join(sorted(picture_files.SUFFIXES))})')
    picture_files.say_passed_over(root, [found], _is_strict(run))
    condition = given_conditions.of_pictures(run, sources, found.pictures)
    split = {'x': pictures(run, [root / name for name in found.pictures], root.name), **condition}
    label = labels(run, root, found.pictures)
    if label is not None:
        split['label'] = label
    return split, named(found.pictures)


def pictures(run: Run, files: Sequence[pathlib.Path], name: str = '') -> np.ndarray:
    """Decodes picture files to x [n, *event], as `of_images` does.

    `name` is what the line about conversions calls them; by default the name of the first.

    Raises:
      UserError: names the files that cannot be used, or the data are not images with levels.
    """
    read = lambda indices: [StoredImage(str(files[i]), files[i], None) for i in indices]
    return of_images(run, ImageSplit(len(files), read), name or files[0].name)


def of_images(run: Run, stored: ImageSplit, name: str) -> np.ndarray:
    """Decodes images to x [n, *event], in the levels that the run's data have when stored.

    The largest centred crop with the data's aspect ratio is resized to the data's image size, and
    its 256 levels are rescaled to the data's levels. Light and dark stay as they are.

    Args:
      run: its Spec and config.data.strict count.
      stored: the images, still encoded.
      name: what the line about conversions calls them.

    Raises:
      UserError: names the images that cannot be used, or the data are not images with levels.
    """
    spec, levels = run.data.spec, unbinarised_levels(run)
    if not image_grids.is_image(spec) or levels is None:
        raise UserError(f'the data set {run.data.name} does not hold images with discrete levels')
    x = np.empty((stored.count, *spec.image_shape), np.int32)
    changes, problems = inspection.Changes(), inspection.Problems()
    for i in range(stored.count):
        with problems.noted('test', i):
            (image,) = stored.read([i])
            pixels, found = images.picture(image.name, image.raw, spec.image_shape, resize=True)
            x[i] = np.round(pixels.astype(np.float64) * (levels - 1) / (images.LEVELS - 1))
            changes.add(found, 'test', i)
    problems.refuse()
    refusing = (lambda: ({'test': stored}, None)) if _is_strict(run) else None
    inspection.say_changes(name, changes.metadata(), refusing)
    return x.reshape(-1, *spec.event_shape)


def labels(run: Run, root: pathlib.Path, files: Sequence[str]) -> np.ndarray | None:
    """Returns the class [n] of each file, a path below `root`: that of its sub-folder.

    Every file has a class or none has one. If none has one although there are sub-folders, a line
    says why.
    """
    parts = [name.partition('/') for name in files]
    counts = collections.Counter(first for first, slash, _ in parts if slash)
    if not counts or run.data.spec.num_classes is None:
        return None
    classes = {name: index for index, name in enumerate(_classes(run, root, counts))}
    reason = _why_unlabelled(run, counts, classes, len(files))
    if reason:
        log.warning('%s: the pictures have no labels: %s', root, reason)
        return None
    return np.array([classes[_stored(first)] for first, _, _ in parts], np.int32)


def _classes(run: Run, root: pathlib.Path, folders: collections.Counter) -> Sequence[str]:
    """Returns the names of the run's classes, in order; () if nothing tells their order.

    A run on a folder whose classes have no names knows them by the order of the sub-folders alone.
    """
    spec, config = run.data.spec, run.config.data
    if spec.class_names:
        return spec.class_names
    if config.name != 'folder':
        return [str(number) for number in range(spec.num_classes)]
    if len(folders) != spec.num_classes:
        return ()
    is_natural = config.get('classes', 'declared') == 'trained'
    return [*map(_stored, folder_layout.classes_of({'test': [*folders]}, is_natural, root))]


def _why_unlabelled(run: Run, counts: collections.Counter, classes: dict, n: int) -> str:
    """Returns why the pictures have no labels, or ''."""
    if not classes:
        return (
            f'the classes of {run.folder} have no names, only the order of their folders, and of '
            f'its {counted(run.data.spec.num_classes, "folder")} there are {len(counts):,}'
        )
    unknown = [name for name in sorted(counts) if _stored(name) not in classes]
    if unknown:
        each = [f'{name} ({counted(counts[name], "picture")})' for name in unknown]
        is_one = len(unknown) == 1
        return (
            f'{listed(each, MAX_NAMED)} {"is no class" if is_one else "are no classes"} of '
            f'{run.folder}, which has {listed([*classes], MAX_NAMED)}'
        )
    beside = n - counts.total()
    return f'{counted(beside, "picture")} beside the sub-folders' if beside else ''


def _stored(name: str) -> str:
    """Returns the name of a folder as a Spec holds it."""
    return (*stored_names([name]), name)[0]


def _is_strict(run: Run) -> bool:
    return bool(run.config.data.get('strict', False))


def unbinarised_levels(run: Run) -> int | None:
    """Returns the levels of the run's data before binarisation and dequantisation; None: reals."""
    config = run.config
    if config.data.binarize == 'none':
        return run.data.spec.levels or run.data.spec.dequantized_levels
    if decodes_pictures(config.data.name):
        return images.LEVELS
    if run.data.stored_levels is not None:
        return run.data.stored_levels
    config = config.copy_and_resolve_references()
    config.data.update(binarize='none', dequantize='none')
    return dataset.load(config).spec.levels  # the data were not read
