"""Xen's own daemons, as they are run where there is no Xen.

Both are Debian's, of the package xen-utils-4.17. Another release's daemon answers
otherwise in places, so that it is not taken instead.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

from tests.conftest import skip_or_fail
from tests.peers.build import preloaded

PACKAGE: Final = "xen-utils-4.17"
PLACE: Final = Path("/usr/lib/xen-4.17/bin")
"""Where Debian 12 and Ubuntu 24.04 have its programs."""

_CONFIGURATION: Final = Path("/etc/xen/oxenstored.conf")
_PATHS: Final = re.compile(
    r"^ *(?:pid-file|xenstored-(?:kva|port|log-file)|access-log-file) *=.*\n",
    re.MULTILINE,
)


def _found(name: str) -> str:
    path = PLACE / name
    if not path.is_file():
        others = sorted(map(str, PLACE.parents[1].glob(f"xen-*/bin/{name}")))
        but = f", not {' '.join(others)} of another Xen" if others else ""
        skip_or_fail(f"{path} is missing{but}: apt-get install {PACKAGE}")
    return str(path)


class Program(NamedTuple):
    """What is run, and the variables that it takes beside those that there are."""

    words: list[str]
    variables: dict[str, str]


def c_xenstored(directory: Path) -> Program:
    """Xen's C xenstored, with its socket and all its files in a directory.

    Raises:
        Skipped: If a package is missing; the reason names it.
        Failed: The same in CI.
    """
    # Not -D: without a ring of domain 0 it has neither a root node nor event channels.
    words = [_found("xenstored"), "-N"]
    return Program(words, preloaded(directory))


def oxenstored(directory: Path) -> Program:
    """Xen's OCaml xenstored; otherwise as `c_xenstored`."""
    words = [_found("oxenstored"), "--no-fork"]
    if not _CONFIGURATION.is_file():
        skip_or_fail(f"{_CONFIGURATION} is missing: apt-get install xen-utils-common")
    variables = preloaded(directory)
    shim = variables["XENSHIM_DIR"]
    changed = directory / "oxenstored.conf"
    changed.write_text(
        _PATHS.sub("", _CONFIGURATION.read_text(encoding="utf-8"))
        + f"\npid-file = {directory}/oxenstored.pid\n"
        f"xenstored-kva = {shim}/ring-0\n"
        f"xenstored-port = {shim}/xsd_port\n"
        f"xenstored-log-file = {directory}/xenstored.log\n"
        f"access-log-file = {directory}/access.log\n",
        encoding="utf-8",
    )
    variables["XENSHIM_SOCKET"] = variables["XENSTORED_PATH"]
    return Program([*words, "--config-file", str(changed)], variables)
