"""A folder of emoji with captions, from the npm packages of Cal Henderson's emoji-data.

    npm pack emoji-datasource-twitter && tar xzf emoji-datasource-twitter-*.tgz
    python -m docs.emoji_folder package emoji
    python main.py --config=configs/text_to_image.py:folder --config.data.path=emoji \\
        --config.data.image_shape=32,32,3

The folder has each emoji on white, as NAME.png, and `metadata.jsonl` with its caption as `text`,
its `category`, `subcategory` and `skin` tone. With `--only=tone` it has the emoji with one skin
tone, and `tone` from 1 (light) to 5 (dark); with `--only=hands` it has the hands among these. With
`--only=age` it has persons, and `age`: 0 (baby), 1 (child), 2 (adult) or 3 (older).

The pictures of Twitter (Twemoji) are under CC-BY 4.0: whoever shows them names "Twitter, Inc and
other contributors". Those of `emoji-datasource-google` are under the Apache license.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

from atelier import files
from atelier.errors import UserError, first_line, reading
from atelier.log import counted

SIZE = 64  # pixels
TONES = {  # code points of the modifiers of Unicode's emoji, Fitzpatrick's scale
    '1F3FB': 'light',
    '1F3FC': 'medium light',
    '1F3FD': 'medium',
    '1F3FE': 'medium dark',
    '1F3FF': 'dark',
}
NO_TONE = 'none'
PERSONS = 'person'  # subcategory
HANDS = 'hand'  # beginning of the subcategories
AGES = {'baby': 0, 'boy': 1, 'girl': 1, 'child': 1, 'older': 3}  # by first word; any other: ADULT
ADULT = 2


class Emoji(NamedTuple):
    """A picture of the package, and what is known of it."""

    image: str
    text: str
    category: str
    subcategory: str
    skin: str

    @property
    def tone(self) -> int | None:
        """The skin tone, from 1 (light) to 5 (dark); None without, or of several persons."""
        return [*TONES.values()].index(self.skin) + 1 if self.skin in TONES.values() else None

    @property
    def age(self) -> int | None:
        """The age of a person, from 0 (baby) to 3 (older); None of other pictures."""
        first, *_ = self.text.split() or ['']
        return AGES.get(first.rstrip(':,'), ADULT) if self.subcategory == PERSONS else None


def emoji_of(entry: dict[str, Any]) -> Iterator[Emoji]:
    """Yields an entry of `emoji.json` and its variations of skin tone."""
    name = (entry.get('name') or entry['short_name'].replace('_', ' ')).lower()
    kind = entry['category'].lower(), entry.get('subcategory', '').lower()
    yield Emoji(entry['image'], name, *kind, NO_TONE)
    for modifiers, variation in entry.get('skin_variations', {}).items():
        tones = [TONES[each] for each in modifiers.split('-')]
        skin = tones[0] if len({*tones}) == 1 else 'several'
        text = f'{name}, {" and ".join(dict.fromkeys(tones))} skin tone'
        yield Emoji(variation['image'], text, *kind, skin)


def all_emoji(path: pathlib.Path) -> list[Emoji]:
    """Returns the entries of the file `emoji.json` and their variations.

    Raises:
      UserError: it cannot be read, or an entry is not what it should be.
    """
    with reading(path):
        content = path.read_bytes()
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: invalid JSON: {first_line(error)}') from error
    if not isinstance(entries, list):
        raise UserError(f'{path} holds no list of emoji')
    found = []
    for number, entry in enumerate(entries):
        try:
            new = [*emoji_of(entry)]
            if not all(isinstance(value, str) for emoji in new for value in emoji):
                raise TypeError('a value is no text')
            found += new
        except (KeyError, TypeError, AttributeError) as error:
            fault = f'no {error.args[0]}' if isinstance(error, KeyError) else first_line(error)
            raise UserError(f'{path}, entry {number}: {fault}: unpack the package anew') from error
    return found


def on_white(path: pathlib.Path) -> Image.Image:
    """Returns a picture with transparency on a white ground, of `SIZE` pixels."""
    with reading(path), Image.open(path) as image:
        picture = image.convert('RGBA').resize((SIZE, SIZE))
    ground = Image.new('RGBA', picture.size, 'white')
    return Image.alpha_composite(ground, picture).convert('RGB')


ONLY = {  # name and value of the number that pictures of a kind have; None: of another kind
    'tone': ('tone', lambda emoji: emoji.tone),
    'hands': ('tone', lambda emoji: emoji.tone if emoji.subcategory.startswith(HANDS) else None),
    'age': ('age', lambda emoji: emoji.age),
}


def write(package: pathlib.Path, folder: pathlib.Path, only: str | None = None) -> int:
    """Writes the pictures and their metadata; returns the number of pictures.

    Args:
      package: the unpacked npm package.
      folder: which is made.
      only: a key of `ONLY`: only pictures of this kind are written, with their number.

    Raises:
      UserError: the package is not there or damaged, or the folder exists.
    """
    sheets = sorted((package / 'img').glob(f'*/{SIZE}')) if package.is_dir() else []
    if not sheets:
        raise UserError(f'{package} has no folder img/*/{SIZE}: unpack emoji-datasource-twitter')
    if folder.exists():
        raise UserError(f'{folder} exists: give another name, or remove it')
    name_of_number, number_of = ONLY[only] if only else ('', lambda emoji: 0)
    found = [
        emoji
        for emoji in all_emoji(package / 'emoji.json')
        if pathlib.Path(emoji.image).name == emoji.image
        and (sheets[0] / emoji.image).is_file()
        and number_of(emoji) is not None
    ]
    pictures = [on_white(sheets[0] / emoji.image) for emoji in found]  # before anything is written
    folder.mkdir(parents=True)
    lines = []
    for emoji, picture in zip(found, pictures, strict=True):
        picture.save(folder / emoji.image)
        about = {name: value for name, value in emoji._asdict().items() if name != 'image'}
        about |= {name_of_number: number_of(emoji)} if only else {}
        lines.append(json.dumps({'file_name': emoji.image, **about}))
    files.write_text(folder / 'metadata.jsonl', '\n'.join(lines) + '\n')
    return len(found)


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser('python -m docs.emoji_folder', allow_abbrev=False)
    parser.add_argument('package', type=pathlib.Path, help='the unpacked npm package')
    parser.add_argument('folder', type=pathlib.Path, help='which is made')
    parser.add_argument('--only', choices=ONLY, help='only pictures of a kind, with a number')
    given = parser.parse_args()
    try:
        count = write(given.package, given.folder, given.only)
    except UserError as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{counted(count, "picture")}: {given.folder}')


if __name__ == '__main__':
    main()
