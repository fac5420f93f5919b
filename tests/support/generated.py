"""`make tables`: what files have from the tables of options and settings.

The manual pages, the completion and some pages have such parts between two comments.
They are part of the tree, and the tests compare them with the tables.
"""

import contextlib
import io
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import report
from xsd.cli.control import COMMANDS as CONTROL
from xsd.cli.main import COMMANDS
from xsd.cli.main import main as xsd
from xsd.daemon.arguments import Option
from xsd.daemon.options import OPTIONS
from xsd.daemon.setting import Choices, File, Setting
from xsd.daemon.settings import ROWS, SECTIONS, SETTINGS
from xsd.engine.tracing import SWITCHES
from xsd.store import quota

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


def options_in(text: str) -> dict[str, bool]:
    """Return the options that a help text explains, and whether they take a value."""
    found = {}
    for line in re.findall(r"^  (-.*?)(?:  .*)?$", text, re.MULTILINE):
        for option in re.findall(r"(?<![\w-])--?\w[\w-]*", line):
            found[option] = bool(re.search(r"[ =][A-Z]", line))
    return found


def help_of(command: str) -> str:
    """Return what a command of xsd prints for `--help`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        xsd([command, "--help"])
    return printed.getvalue()


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


def wrapped(text: str, before: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        88,
        initial_indent=before,
        subsequent_indent=before + "    ",
        break_on_hyphens=False,
    )


def completion() -> Iterator[str]:
    known = [option for option in OPTIONS if not option.gone]
    words = " ".join(name for option in known for name in names(option))
    yield "# Words as for compgen."
    yield from wrapped(f'_xsd_serve_options="{words}"')
    yield from _commands()
    yield ""
    yield "# After an option of the daemon that takes a value: offers those, returns 0."
    yield "_xsd_serve_value() {"
    yield "    case $prev in"
    for option in known:
        if option.value:
            text = f"{' | '.join(names(option))}) {offer(option)};;"
            yield from wrapped(text, "        ")
    yield "        *) return 1 ;;"
    yield "    esac"
    yield "}"


def _commands() -> Iterator[str]:
    """What the commands of `xsd` take; between blanks, to be looked for."""
    options = {name: options_in(help_of(name)) for name in COMMANDS if name != "serve"}
    lists: dict[str, Iterable[str]] = {
        "commands": COMMANDS,
        "control_commands": CONTROL,
        "switches": [f"{{+,-}}{name}" for name in SWITCHES],
        "quotas": quota.DEFAULTS,
        "soft_quotas": quota.SOFT_DEFAULTS,
    }
    for name, words in lists.items():
        yield from wrapped(f'_xsd_{name}="{" ".join(words)}"')
    yield "# Those of the clients that take a value."
    valued = {
        name for each in options.values() for name, is_so in each.items() if is_so
    }
    yield from wrapped(f'_xsd_valued=" {" ".join(sorted(valued))} "')
    yield "declare -gA _xsd_options=("
    for name, each in options.items():
        yield from wrapped(f'[{name}]="{" ".join(each)}"', "    ")
    yield ")"


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
    "README.md": report.committed_block,
    "docs/performance.md": report.committed_table,
}


def renewed(name: str) -> str:
    """Return a file as it is to be."""
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
