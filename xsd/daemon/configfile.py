"""The configuration file: TOML, checked against the table of settings.

All mistakes of a file are found at once, each a line that names the file, the key
and what was expected there.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

from xsd.daemon.setting import Value
from xsd.daemon.settings import SECTIONS, SETTINGS

DEFAULT_FILE: Final = Path("/etc/xen/xsd.toml")
"""Is read if it is there and no other is named."""

FILE_VARIABLE: Final = "XSD_CONFIG"
"""Names another one in the environment."""


_LIST_OF_SECTIONS: Final = f"the sections are {', '.join(SECTIONS)}"


@final
class ConfigFileError(Exception):
    """A file cannot be used.

    Attributes:
        problems: One line for each mistake, beginning with the path.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_file(path: Path, *, optional: bool = False) -> dict[str, Value] | None:
    """Read a file.

    Args:
        path: The file.
        optional: It need not be there.

    Returns:
        What it sets, by the keys of `SETTINGS`; None if it is optional and missing.

    Raises:
        ConfigFileError: If it cannot be read or has a mistake.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return None
        raise ConfigFileError([f"{path}: {error.strerror}"]) from None
    values: dict[str, Value] = {}
    problems = []
    for key, value, problem in _settings(_parsed(path, data), ""):
        if problem:
            problems.append(f"{path}: {key}: {problem}")
        else:
            values[key] = value
    if problems:
        raise ConfigFileError(problems)
    return values


def _parsed(path: Path, data: bytes) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415  most hosts have no such file

    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        where = _position(data[: error.start].decode())
        problem = f"{where}: the byte 0x{data[error.start]:02x} is no UTF-8"
    except tomllib.TOMLDecodeError as error:
        # The place stands at the end of the text, "(at line 3, column 5)".
        said, _, at = str(error).rpartition(" (at ")
        found = re.fullmatch(r"line ([0-9]+), column ([0-9]+)\)", at)
        where = ":".join(found.groups()) if found else _position(data.decode())
        problem = f"{where}: no TOML: {said}"
    except RecursionError:
        problem = " no TOML: nested too deeply"
    raise ConfigFileError([f"{path}:{problem}"])


def _position(before: str) -> str:
    """Return line and column of what comes after some text."""
    lines = before.split("\n")
    return f"{len(lines)}:{len(lines[-1]) + 1}"


def _settings(
    table: Mapping[str, object], prefix: str
) -> Iterator[tuple[str, Value, str]]:
    """Yield for each entry its key, and its value or what is wrong with it."""
    for name, value in table.items():
        key = prefix + name
        if key in SETTINGS:
            try:
                yield key, SETTINGS[key].kind.check(value), ""
            except ValueError as error:
                yield key, None, str(error)
        elif key not in SECTIONS:
            yield key, None, _unknown(key, is_section=isinstance(value, dict))
        elif isinstance(value, dict):
            yield from _settings(value, key + ".")
        else:
            yield key, None, f"is a section, to be written as [{key}]"


def _unknown(key: str, *, is_section: bool) -> str:
    import difflib  # noqa: PLC0415  for typing mistakes alone

    if is_section:
        near = difflib.get_close_matches(key, SECTIONS, 1)
        hint = f"did you mean [{near[0]}]?" if near else _LIST_OF_SECTIONS
        return f"no such section; {hint}"
    section, _, name = key.rpartition(".")
    here = [each.name for each in SETTINGS.values() if each.section == section]
    # Right, but in the wrong section or in none?
    there = {each.name: each.key for each in reversed(SETTINGS.values())}
    if near := difflib.get_close_matches(name, here, 1):
        hint = f"did you mean {section}.{near[0]}?"
    elif near := difflib.get_close_matches(name, there, 1, 0.75):
        hint = f"did you mean {there[near[0]]}?"
    elif here:
        hint = f"[{section}] has {', '.join(here)}"
    else:
        hint = _LIST_OF_SECTIONS
    return f"no such key; {hint}"
