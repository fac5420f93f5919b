"""`make man`: what the manual pages have from the tables of options and settings.

It stands in the pages between two comments, so that they are whole in the repository
and need nothing but `man` to be read.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from xsd.daemon.options import OPTIONS
from xsd.daemon.settings import SECTIONS, SETTINGS, Setting, render

MAN: Final = Path(__file__).resolve().parents[2] / "man"

_BEGIN: Final = '.\\" begin: made by `make man`\n'
_END: Final = '.\\" end\n'


def roff(text: str) -> str:
    """Return text so that man prints it as it stands; `words` so are bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return "\\&" + text if text.startswith((".", "'")) else text


def sentence(text: str) -> str:
    """Return words as a sentence of their own."""
    text = text[0].upper() + text[1:]
    return roff(text if text.endswith(".") else text + ".")


def options() -> Iterator[str]:
    """Yield the lines about the options of `xenstored`."""
    for option in OPTIONS:
        if not option.gone:
            names = [f"-{letter}" for letter in option.letters] + [f"--{option.name}"]
            head = ", ".join(rf"\fB{roff(name)}\fR" for name in names)
            yield ".TP"
            yield head + (rf" \fI{roff(option.value)}\fR" if option.value else "")
            yield roff(option.text)
    gone = [str(option) for option in OPTIONS if option.gone]
    yield ".PP"
    yield "Options of older versions, which are ignored with a warning:"
    yield roff(", ".join(gone)) + "."


def settings() -> Iterator[str]:
    """Yield the lines about the settings."""
    for section in SECTIONS:
        yield f".SS [{section}]"
        for setting in SETTINGS.values():
            if setting.section == section:
                yield ".TP"
                yield rf"\fB{roff(setting.name)}\fR"
                yield from _about(setting)


def _about(setting: Setting) -> Iterator[str]:
    yield sentence(setting.text)
    unit = f" ({setting.unit})" if setting.unit else ""
    yield sentence(setting.expected + unit)
    yield sentence(f"default: {render(setting.default)}")
    if setting.options:
        given = ", ".join(f"`--{option}`" for option in setting.options)
        yield sentence(f"option: {given}")
    if setting.variable:
        yield sentence(f"environment: {setting.variable}")
    yield sentence(f"changes {'by a reload' if setting.live else 'at the next start'}")


PAGES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "xenstored.8": options,
    "xsd.toml.5": settings,
}


def renewed(name: str) -> str:
    """Return a page with its part made anew."""
    head, rest = (MAN / name).read_text().split(_BEGIN)
    _, tail = rest.split(_END)
    lines = "".join(f"{line}\n" for line in PAGES[name]())
    return head + _BEGIN + lines + _END + tail


def main() -> int:
    """Write the pages."""
    for name in PAGES:
        (MAN / name).write_text(renewed(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
