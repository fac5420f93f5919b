"""The daemon's settings: defaults < environment < command line, in a frozen record."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from protocol.limits import DOMID_FIRST_RESERVED, REL_PATH_MAX
from xsd.store.quota import DEFAULTS, SOFT_DEFAULTS

INT_MAX: Final = 2**31 - 1

SOCKET_PATH_MAX: Final = 107
"""Most bytes of a Unix socket's path: `sun_path` of unix(7) less its NUL."""

RUNDIR: Final = Path("/var/run/xenstored")
TRACE_DIRECTORY: Final = Path("/var/lib/xen/xenstore")

QUOTAS: Final = tuple(DEFAULTS)
SOFT_QUOTAS: Final = tuple(SOFT_DEFAULTS)
TRACE_SWITCHES: Final = ("obj", "io", "wrl", "acc", "tdb")
HYPERVISORS: Final = ("auto", "xen", "emulated")
LOG_FORMATS: Final = ("auto", "console", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


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
        trace_switches: Kinds of traces that are wanted.
        quotas: Global hard quotas that differ from the store's defaults, by the
            names of `QUOTAS`; 0 is no limit.
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
    trace_switches: frozenset[str] = frozenset({"obj", "io"})
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


def load(environ: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> Config:
    """Put the settings together and check them.

    Args:
        environ: The environment; XENSTORED_RUNDIR and XENSTORED_PATH are used, an
            empty value counts as none.
        settings: Keys, which are the long names of the command line's options, and
            their values, the later of two the stronger.

    Raises:
        ConfigError: For an unknown key or an impossible value.
    """
    config = Config()
    # In this order: XENSTORED_PATH wins over the socket in XENSTORED_RUNDIR.
    for key in ("XENSTORED_RUNDIR", "XENSTORED_PATH"):
        if environ.get(key):
            config = _checked(config, key, environ[key])
    for key, value in settings:
        config = _checked(config, key, value)
    size = len(os.fsencode(config.socket))
    if size > SOCKET_PATH_MAX:
        reason = f"{config.socket} has {size} bytes, a socket's path at most"
        raise ConfigError("socket", f"{reason} {SOCKET_PATH_MAX}")
    return config


def _checked(config: Config, key: str, value: str) -> Config:
    try:
        return _changed(config, key, value)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None


def _changed(config: Config, key: str, value: str) -> Config:
    if key in _FIELDS:
        name, read = _FIELDS[key]
        return replace(config, **{name: read(value)})
    match key:
        case "XENSTORED_RUNDIR":
            rundir = _path(value)
            return replace(config, rundir=rundir, socket=rundir / "socket")
        case "trace-control":
            return replace(config, trace_switches=_switched(config, value))
        case "quota-soft":
            soft = dict((_named_number(value, SOFT_QUOTAS),))
            return replace(config, soft_quotas={**config.soft_quotas, **soft})
        case _:
            quota, number = _quota(key, value)
            return replace(config, quotas={**config.quotas, quota: number})


def _quota(key: str, value: str) -> tuple[str, int]:
    if key == "quota":
        # C's help text says path-length, its table path-max: both are in use.
        quota, number = _named_number(value, (*QUOTAS, "path-length"))
        return quota.replace("-length", "-max"), number
    if key not in _QUOTA_OPTIONS:
        raise ValueError("no such setting")
    number = _number(value)
    if key == "path-max":
        # As the C daemon does for this option, though not for `quota`.
        number = min(number, REL_PATH_MAX)
    return _QUOTA_OPTIONS[key], number


def _switched(config: Config, value: str) -> frozenset[str]:
    sign, name = value[:1], _one_of(value[1:], TRACE_SWITCHES)
    if sign not in {"+", "-"}:
        raise ValueError(f"{value!r} begins neither with + nor with -")
    before = config.trace_switches
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


# Setting -> field of Config and how its text is read.
_FIELDS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "XENSTORED_PATH": ("socket", _path),
    "socket": ("socket", _path),
    "no-fork": ("foreground", _yes),
    "pid-file": ("pid_file", _path),
    "trace-file": ("trace_file", _trace_path),
    "timeout": ("watch_event_timeout_s", _timeout),
    "keep-orphans": ("keep_orphans", _yes),
    "event": ("control_event_channel", _number),
    "master-domid": ("control_domid", _domid),
    "priv-domid": ("privileged_domid", _domid),
    "live-update": ("live_update", _yes),
    "hypervisor": ("hypervisor", _hypervisor),
    "log-format": ("log_format", _log_format),
    "log-level": ("log_level", _log_level),
    "record": ("record_file", _path),
}

_QUOTA_OPTIONS: Final = {
    "entry-nb": "nodes",
    "entry-size": "node-size",
    "watch-nb": "watches",
    "transaction": "transactions",
    "perm-nb": "node-permissions",
    "path-max": "path-max",
}
