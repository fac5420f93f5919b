"""`make tables`: what files have from the tables of options and settings.

The manual pages, the completion and docs/configuration.md have such parts between two
comments. They are part of the tree, and the tests compare them with the tables.
"""

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from xsd.daemon.arguments import Option
from xsd.daemon.options import OPTIONS
from xsd.daemon.setting import Choices, File, Setting
from xsd.daemon.settings import ROWS, SECTIONS, SETTINGS

ROOT: Final = Path(__file__).resolve().parents[2]

_PART: Final = re.compile(
    r"(?<=begin: made by `make tables`)([^\n]*\n).*?(?=^[^\n\w]*end\b)",
    re.DOTALL | re.MULTILINE,
)


def roff(text: str) -> str:
    """Return text so that man prints it as it stands; `words` so are bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return "\\&" + text if text.startswith((".", "'")) else text


def options_in(text: str) -> set[str]:
    """Return the options that a help text explains."""
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", text, re.MULTILINE)
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", "\n".join(lines)))


def sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return roff(text if text.endswith(".") else text + ".")


def names(option: Option) -> list[str]:
    return [*(f"-{letter}" for letter in option.letters), f"--{option.name}"]


def page_of_options() -> Iterator[str]:
    for option in OPTIONS:
        if not option.gone:
            head = ", ".join(rf"\fB{roff(name)}\fR" for name in names(option))
            yield ".TP"
            yield head + (rf" \fI{roff(option.value)}\fR" if option.value else "")
            yield roff(option.text)
    gone = [str(option) for option in OPTIONS if option.gone]
    yield ".PP"
    yield "Options of older versions, which are ignored with a warning:"
    yield roff(", ".join(gone)) + "."


def page_of_settings() -> Iterator[str]:
    for section in SECTIONS:
        yield f".SS [{section}]"
        for setting in SETTINGS.values():
            if setting.section == section:
                yield ".TP"
                yield rf"\fB{roff(setting.name)}\fR"
                yield from _about(setting)


def _about(setting: Setting) -> Iterator[str]:
    yield sentence(setting.text)
    yield sentence(setting.expected)
    yield sentence(f"default: {setting.kind.render(setting.default)}")
    if setting.options:
        given = ", ".join(f"`--{option}`" for option in setting.options)
        yield sentence(f"option: {given}")
    if setting.variable:
        yield sentence(f"environment: {setting.variable}")
    yield sentence(f"changes {'by a reload' if setting.live else 'at the next start'}")


def tables_of_settings() -> Iterator[str]:
    for section in SECTIONS:
        yield f"### `[{section}]`"
        yield ""
        yield "| key | value | default | option | reload | |"
        yield "|---|---|---|---|---|---|"
        yield from (row(each) for each in SETTINGS.values() if each.section == section)
        yield ""


def row(setting: Setting) -> str:
    kind, default = setting.kind, setting.default
    cells = [
        f"`{setting.name}`",
        kind.expected + (f", {kind.unit}" if kind.unit else ""),
        "" if default is None else f"`{kind.render(default)}`",
        ", ".join(f"`--{option}`" for option in setting.options),
        "yes" if setting.live else "no",
        setting.text,
    ]
    return f"| {' | '.join(cells)} |"


def completion() -> Iterator[str]:
    known = [option for option in OPTIONS if not option.gone]
    words = " ".join(name for option in known for name in names(option))
    yield "# Options as for compgen."
    yield from textwrap.wrap(
        f'_xsd_serve_options="{words}"',
        88,
        subsequent_indent="    ",
        break_on_hyphens=False,
    )
    yield ""
    yield "# After an option of the daemon that takes a value: offers those, returns 0."
    yield "_xsd_serve_value() {"
    yield "    case $prev in"
    for option in known:
        if option.value:
            yield from textwrap.wrap(
                f"{' | '.join(names(option))}) {offer(option)};;",
                88,
                initial_indent="        ",
                subsequent_indent="            ",
                break_on_hyphens=False,
            )
    yield "        *) return 1 ;;"
    yield "    esac"
    yield "}"


def offer(option: Option) -> str:
    """Return the command that offers an option's values, with a space behind it."""
    given = [
        (row.kind, each.word)
        for row in ROWS.values()
        for each in row.given
        if each.option == option
    ]
    if not given:  # the file of settings itself
        return "_xsd_offer_files "
    kind, word = given[0]
    if word:
        return f'_xsd_offer_begun -S = -W "{" ".join(word for _, word in given)}" '
    if isinstance(kind, File):
        return "_xsd_offer_files "
    sign = "{+,-}" if isinstance(kind, Choices) else ""
    words = " ".join(sign + word for word in kind.words)
    return f'_xsd_offer -W "{words}" ' if words else ""


FILES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "man/xenstored.8": page_of_options,
    "man/xsd.toml.5": page_of_settings,
    "completion/xsd.bash": completion,
    "docs/configuration.md": tables_of_settings,
}


def renewed(name: str) -> str:
    made = "".join(f"{line}\n" for line in FILES[name]())
    text, count = _PART.subn(lambda found: found[1] + made, (ROOT / name).read_text())
    assert count == 1, name
    return text


def main() -> int:
    for name in FILES:
        (ROOT / name).write_text(renewed(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
