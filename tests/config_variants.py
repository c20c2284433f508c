"""Which configs are variants of another: what is proved of a `build` need not be repeated."""

import re

from atelier import checkout


def parent_of(path: str) -> str | None:
    """The config whose `build` a variant reuses; None for a config that defines its own."""
    text = (checkout.ROOT / path).read_text()
    match = re.search(r'^build = (\w+)\.build$', text, re.MULTILINE)
    return match and f'configs/{match.group(1)}.py'


def with_own_build() -> list[str]:
    """The paths of all configs that are no variants."""
    return [path for path in checkout.configs() if not parent_of(path)]
