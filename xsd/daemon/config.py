"""Putting settings together: defaults < file < environment < command line.

What each is called and may be stands in `settings.py`.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from xsd.daemon.configfile import (
    DEFAULT_FILE,
    FILE_VARIABLE,
    ConfigFileError,
    read_file,
)
from xsd.daemon.options import CONFIG
from xsd.daemon.setting import Given, Setting, Value, one_of
from xsd.daemon.settings import ROWS, SETTINGS, SOCKET_PATH_MAX, Config

BY_DEFAULT: Final = "default"
"""The source of a setting that nobody has made."""

_RUNDIR: Final = SETTINGS["daemon.rundir"]
_SOCKET: Final = SETTINGS["daemon.socket"]


class ConfigError(Exception):
    """A setting has a value that it cannot have.

    Attributes:
        key: The option, `entry-nb`, or the variable.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@final
class Settings:
    """All settings, and who has made them.

    Attributes:
        origin: Where they can be read again, if anywhere.
        file: The file that was read, if any.
        values: Every row of the table by its key.
        sources: By the same key: `default`, a path, a variable, or an option.
    """

    __slots__ = ("file", "origin", "sources", "values")

    def __init__(self, file: Path | None = None) -> None:
        self.origin: Origin | None = None
        self.file = file
        self.values = {key: row.default for key, row in ROWS.items()}
        self.sources = dict.fromkeys(ROWS, BY_DEFAULT)

    def set(self, key: str, value: Value, source: str) -> None:
        """Take a value in the place of the one before."""
        self.values[key] = value
        self.sources[key] = source

    def again(self) -> "Settings":
        """Read them again.

        Raises:
            ConfigFileError: As `Origin.read`.
            ConfigError: As `Origin.read`.
        """
        return self if self.origin is None else self.origin.read()

    def config(self) -> Config:
        """Return them as the daemon's parts want them."""
        fields: dict[str, Any] = {
            row.field: self.values[key] for key, row in ROWS.items()
        }
        return Config(**fields)


@final
class Origin(NamedTuple):
    """Where settings come from; they can be read again.

    Attributes:
        path: The file.
        named: The user has named it, so it has to be there.
        environ: The environment of the start.
        options: Options of the command line and their values, in order.
    """

    path: Path
    named: bool
    environ: Mapping[str, str]
    options: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, environ: Mapping[str, str], options: Iterable[tuple[str, str]]
    ) -> "Origin":
        """Return the origin for an environment and a command line.

        The file is named by `--config`, else by XSD_CONFIG.
        """
        given = tuple(options)
        named = [value for name, value in given if name == CONFIG.name]
        name = named[-1] if named else environ.get(FILE_VARIABLE, "")
        path = Path(name).absolute() if name else DEFAULT_FILE
        return cls(path, bool(name), dict(environ), given)

    def read(self) -> Settings:
        """Put the settings together and check them.

        Raises:
            ConfigFileError: If the file is missing or has a mistake.
            ConfigError: If the environment or the command line has one.
        """
        found = read_file(self.path, optional=not self.named)
        file = None if found is None else self.path
        settings = gather(file, found or {}, self.environ, self.options)
        settings.origin = self
        return settings


def load(environ: Mapping[str, str], options: Iterable[tuple[str, str]]) -> Config:
    """Put the settings of an environment and a command line together, without a file.

    Raises:
        ConfigError: For an unknown option or an impossible value.
    """
    return gather(None, {}, environ, options).config()


def gather(
    file: Path | None,
    in_file: Mapping[str, Value],
    environ: Mapping[str, str],
    options: Iterable[tuple[str, str]],
) -> Settings:
    """Put settings together, the later of two the stronger.

    Args:
        file: Where `in_file` comes from.
        in_file: Values of settings by their keys.
        environ: The environment; the variables of the table are used, an empty value
            counts as none.
        options: The long names of the command line's options and their values.

    Raises:
        ConfigError: For an unknown option or an impossible value.
        ConfigFileError: If a value of the file cannot be used.
    """
    settings = Settings(file)
    # In the table's order: who names a socket means more than who names a directory.
    for row in SETTINGS.values():
        if row.key in in_file:
            _take(settings, row, in_file[row.key], str(file))
    for row in SETTINGS.values():
        if text := environ.get(row.variable):
            _take(settings, row, _read(row.variable, row, text, settings), row.variable)
    for name, text in options:
        if name != CONFIG.name:
            row, value = _given(name, text, settings)
            _take(settings, row, value, f"--{name}")
    _check_socket(settings)
    return settings


def _take(settings: Settings, row: Setting, value: Value, source: str) -> None:
    settings.set(row.key, value, source)
    if row is _RUNDIR and isinstance(value, Path):
        settings.set(_SOCKET.key, value / "socket", source)


def _check_socket(settings: Settings) -> None:
    path = settings.config().socket
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_MAX:
        reason = f"{path} has {size} bytes, a socket's path at most {SOCKET_PATH_MAX}"
        if settings.sources[_SOCKET.key] == str(settings.file):
            raise ConfigFileError([f"{settings.file}: {_SOCKET.key}: {reason}"])
        raise ConfigError(_SOCKET.name, reason)


def _read(name: str, row: Setting, text: str, settings: Settings) -> Value:
    """Return what an option or a variable makes of a setting."""
    try:
        return row.kind.read(text, settings.values[row.key])
    except ValueError as error:
        raise ConfigError(name, str(error)) from None


def _given(name: str, text: str, settings: Settings) -> tuple[Setting, Value]:
    """Return the setting that an option makes, and its value."""
    words = _BY_OPTION.get(name)
    if words is None:
        raise ConfigError(name, "no such setting")
    word = ""
    if "" not in words:
        word, equals, number = text.partition("=")
        if not equals:
            known = ", ".join(words)
            reason = f"{text!r} is not of the form name=number; names are {known}"
            raise ConfigError(name, reason)
        try:
            one_of(word, tuple(words))
        except ValueError as error:
            raise ConfigError(name, str(error)) from None
        text = number
    row, given = words[word]
    value = not given.off and _read(name, row, text, settings)
    if given.most is not None and isinstance(value, int):
        value = min(value, given.most)
    return row, value


def _by_option() -> dict[str, dict[str, tuple[Setting, Given]]]:
    found: dict[str, dict[str, tuple[Setting, Given]]] = {}
    others: dict[str, dict[str, tuple[Setting, Given]]] = {}
    for row in ROWS.values():
        for given in row.given:
            name = given.option.name
            found.setdefault(name, {})[given.word] = row, given
            if given.also:
                others.setdefault(name, {})[given.also] = row, given
    # A message has them behind the usual words.
    return {name: {**words, **others.get(name, {})} for name, words in found.items()}


_BY_OPTION: Final = _by_option()
"""Option -> the word before its value, "" if it has none -> setting."""
