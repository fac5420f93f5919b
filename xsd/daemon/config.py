"""The daemon's settings: defaults < file < environment < command line.

What each is called and may be stands in `settings.py`.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from xsd.daemon.configfile import DEFAULT_FILE, ConfigFileError, read_file
from xsd.daemon.settings import (
    HYPERVISORS,
    INT_MAX,
    LOG_FORMATS,
    LOG_LEVELS,
    QUOTAS,
    RUNDIR,
    SETTINGS,
    SOCKET_PATH_MAX,
    SOFT_QUOTAS,
    TRACE_SWITCHES,
    Value,
)
from xsd.engine.tracing import DEFAULT_SWITCHES
from xsd.protocol.limits import DOMID_FIRST_RESERVED, REL_PATH_MAX

TRACE_DIRECTORY: Final = Path("/var/lib/xen/xenstore")

BY_DEFAULT: Final = "default"
"""The source of a setting that nobody has made."""


class ConfigError(Exception):
    """A setting has a value that it cannot have.

    Attributes:
        key: The setting, `quota` or `XENSTORED_PATH`.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@final
@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set before the start.

    Attributes:
        rundir: Directory for the socket.
        socket: Where clients connect, at most 107 bytes.
        foreground: Do not fork.
        pid_file: Locked and filled while the daemon runs, if given.
        trace_file: Where the log goes, if given.
        trace_switches: What is traced, once tracing is on.
        quotas: Global hard quotas that somebody has set, by the names of `QUOTAS`;
            0 is no limit.
        soft_quotas: The same for soft quotas.
        watch_event_timeout_s: Seconds that a watch event may wait for its reader.
        keep_orphans: Keep the nodes of domains that are gone.
        control_event_channel: Event channel of the control domain, if given.
        control_domid: The domain that is privileged and owns the root.
        privileged_domid: A second domain with all rights; 0 for none.
        live_update: State is taken over from the process before.
        hypervisor: `xen`, `emulated`, or `auto`: Xen where there is one.
        log_format: `auto` (console on a terminal, else JSON), `console` or `json`.
        log_level: The least severe level that is logged.
        record_file: Where everything that comes in is recorded, if given.
    """

    rundir: Path = RUNDIR
    socket: Path = RUNDIR / "socket"
    foreground: bool = False
    pid_file: Path | None = None
    trace_file: Path | None = None
    trace_switches: frozenset[str] = DEFAULT_SWITCHES
    quotas: Mapping[str, int] = field(default_factory=dict)
    soft_quotas: Mapping[str, int] = field(default_factory=dict)
    watch_event_timeout_s: int = 20
    keep_orphans: bool = False
    control_event_channel: int | None = None
    control_domid: int = 0
    privileged_domid: int = 0
    live_update: bool = False
    hypervisor: str = "auto"
    log_format: str = "auto"
    log_level: str = "info"
    record_file: Path | None = None


FIELDS: Final = {
    "daemon.rundir": "rundir",
    "daemon.socket": "socket",
    "daemon.pid-file": "pid_file",
    "daemon.foreground": "foreground",
    "domains.hypervisor": "hypervisor",
    "domains.control": "control_domid",
    "domains.control-event-channel": "control_event_channel",
    "domains.privileged": "privileged_domid",
    "domains.keep-orphans": "keep_orphans",
    "log.level": "log_level",
    "log.format": "log_format",
    "log.file": "trace_file",
    "log.trace": "trace_switches",
    "log.record": "record_file",
    "timeout.watch-event": "watch_event_timeout_s",
}
"""Setting -> field of `Config`; the quotas are in two fields together."""


@final
class Settings:
    """All settings, and who has made them.

    Attributes:
        origin: Where they can be read again, if anywhere.
        file: The file that was read, if any.
        values: Every setting of `SETTINGS` by its key.
        sources: By the same key: `default`, a path, a variable, or an option.
        live_update: State is taken over from the process before; no setting, since
            only a daemon says so to its successor.
    """

    __slots__ = ("file", "live_update", "origin", "sources", "values")

    def __init__(self, file: Path | None = None) -> None:
        self.origin: Origin | None = None
        self.file = file
        self.values = {key: setting.default for key, setting in SETTINGS.items()}
        self.sources = dict.fromkeys(SETTINGS, BY_DEFAULT)
        self.live_update = False

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
            name: self.values[key] for key, name in FIELDS.items()
        }
        return Config(
            **fields,
            quotas=self._made("quota.", QUOTAS),
            soft_quotas=self._made("quota.soft.", SOFT_QUOTAS),
            live_update=self.live_update,
        )

    def _made(self, prefix: str, names: Iterable[str]) -> dict[str, int]:
        made: dict[str, int] = {}
        for name in names:
            value = self.values[prefix + name]
            if isinstance(value, int) and self.sources[prefix + name] != BY_DEFAULT:
                made[name] = value
        return made


@final
@dataclass(frozen=True, slots=True)
class Origin:
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
        named = [value for name, value in given if name == "config"]
        name = named[-1] if named else environ.get("XSD_CONFIG", "")
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
        environ: The environment; XENSTORED_RUNDIR and XENSTORED_PATH are used, an
            empty value counts as none.
        options: The long names of the command line's options and their values.

    Raises:
        ConfigError: For an unknown option or an impossible value.
        ConfigFileError: If a value of the file cannot be used.
    """
    settings = Settings(file)
    # In this order: who names a socket means more than who names a directory.
    for key in sorted(in_file, key=lambda key: key == "daemon.socket"):
        _take(settings, key, in_file[key], str(file))
    for name in ("XENSTORED_RUNDIR", "XENSTORED_PATH"):
        if environ.get(name):
            _take(settings, *_checked(name, environ[name], settings), name)
    for name, value in options:
        if name == "live-update":
            settings.live_update = True
        elif name != "config":
            _take(settings, *_checked(name, value, settings), f"--{name}")
    _check_socket(settings)
    return settings


def _take(settings: Settings, key: str, value: Value, source: str) -> None:
    settings.set(key, value, source)
    if key == "daemon.rundir" and isinstance(value, Path):
        settings.set("daemon.socket", value / "socket", source)


def _check_socket(settings: Settings) -> None:
    path = settings.config().socket
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_MAX:
        reason = f"{path} has {size} bytes, a socket's path at most {SOCKET_PATH_MAX}"
        if settings.sources["daemon.socket"] == str(settings.file):
            raise ConfigFileError([f"{settings.file}: daemon.socket: {reason}"])
        raise ConfigError("socket", reason)


def _checked(name: str, text: str, settings: Settings) -> tuple[str, Value]:
    """Return the setting that an option or a variable makes, and its value."""
    try:
        return _read(name, text, settings)
    except ValueError as error:
        raise ConfigError(name, str(error)) from None


def _read(name: str, text: str, settings: Settings) -> tuple[str, Value]:
    if name in _OPTIONS:
        key, read = _OPTIONS[name]
        return key, read(text)
    match name:
        case "trace-control":
            before = settings.config().trace_switches
            return "log.trace", _switched(before, text)
        case "quota-soft":
            quota, number = _named_number(text, SOFT_QUOTAS)
            return f"quota.soft.{quota}", number
        case _:
            quota, number = _quota(name, text)
            return f"quota.{quota}", number


def _quota(name: str, text: str) -> tuple[str, int]:
    if name == "quota":
        # C's help text says path-length, its table path-max: both are in use.
        quota, number = _named_number(text, (*QUOTAS, "path-length"))
        return quota.replace("-length", "-max"), number
    if name not in _QUOTA_OPTIONS:
        raise ValueError("no such setting")
    number = _number(text)
    if name == "path-max":
        # As the C daemon does for this option, though not for `quota`.
        number = min(number, REL_PATH_MAX)
    return _QUOTA_OPTIONS[name], number


def _switched(before: frozenset[str], text: str) -> frozenset[str]:
    sign, name = text[:1], _one_of(text[1:], TRACE_SWITCHES)
    if sign not in {"+", "-"}:
        raise ValueError(f"{text!r} begins neither with + nor with -")
    return before | {name} if sign == "+" else before - {name}


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise ValueError(f"{value!r} is no path")
    return Path(value).absolute()


def _trace_path(value: str) -> Path:
    _path(value)
    return TRACE_DIRECTORY / value


def _number(value: str) -> int:
    # Stricter than strtoul: no sign, no blanks.
    if value.isascii() and value.isdigit() and int(value) <= INT_MAX:
        return int(value)
    raise ValueError(f"{value!r} is no decimal number from 0 to {INT_MAX}")


def _domid(value: str) -> int:
    number = _number(value)
    if number >= DOMID_FIRST_RESERVED:
        raise ValueError(f"{value} is no domain id: they end before 32752")
    return number


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    return value


def _named_number(value: str, allowed: tuple[str, ...]) -> tuple[str, int]:
    name, equals, number = value.partition("=")
    if not equals:
        raise ValueError(f"{value!r} is not of the form name=number")
    return _one_of(name, allowed), _number(number)


def _timeout(value: str) -> int:
    return _named_number(value, ("watch-event",))[1]


def _yes(_: str) -> bool:
    return True


def _hypervisor(value: str) -> str:
    return _one_of(value, HYPERVISORS)


def _log_format(value: str) -> str:
    return _one_of(value, LOG_FORMATS)


def _log_level(value: str) -> str:
    return _one_of(value, LOG_LEVELS)


# Option or variable -> setting and how its text is read.
_OPTIONS: Final[dict[str, tuple[str, Callable[[str], Value]]]] = {
    "XENSTORED_RUNDIR": ("daemon.rundir", _path),
    "XENSTORED_PATH": ("daemon.socket", _path),
    "socket": ("daemon.socket", _path),
    "no-fork": ("daemon.foreground", _yes),
    "pid-file": ("daemon.pid-file", _path),
    "trace-file": ("log.file", _trace_path),
    "timeout": ("timeout.watch-event", _timeout),
    "keep-orphans": ("domains.keep-orphans", _yes),
    "event": ("domains.control-event-channel", _number),
    "master-domid": ("domains.control", _domid),
    "priv-domid": ("domains.privileged", _domid),
    "hypervisor": ("domains.hypervisor", _hypervisor),
    "log-format": ("log.format", _log_format),
    "record": ("log.record", _path),
    "log-level": ("log.level", _log_level),
}

_QUOTA_OPTIONS: Final = {
    "entry-nb": "nodes",
    "entry-size": "node-size",
    "watch-nb": "watches",
    "transaction": "transactions",
    "perm-nb": "node-permissions",
    "path-max": "path-max",
}
