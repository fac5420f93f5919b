"""The library that stands in for Xen, compiled when it is first needed."""

import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import find_program, skip_or_fail

SOURCES: Final = Path(__file__).with_name("shim")
PLACE: Final = Path(__file__).resolve().parents[2] / "build" / "peers"
"""Where the library is kept: it is compiled again when its sources change."""

HEADERS: Final = {
    "/usr/include/xenctrl.h": "libxen-dev",
    "/usr/include/stdlib.h": "libc6-dev",
}
"""Header -> the Debian package that has it."""

_LIBRARIES: Final = Path("/usr/lib")
_OPTIONS: Final = ("-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")

_SONAMES: Final = ("libxenevtchn.so.1", "libxengnttab.so.1", "libxenctrl.so.4.17")
_OTHER_RELEASES: Final = "*/libxenctrl.so.4.*"
"""What programs that look for Xen's libraries by name find in its place."""


def library() -> Path:
    """Return the compiled library; where it cannot be compiled, skip the test.

    Raises:
        Skipped: If a package is missing; the reason names it.
        Failed: The same in CI.
    """
    compiler = find_program("gcc", "gcc")
    for header, package in HEADERS.items():
        if not Path(header).is_file():
            skip_or_fail(f"{header} is missing: apt-get install {package}")
    return _compiled(compiler)


@cache
def _compiled(compiler: str) -> Path:
    sources = sorted(SOURCES.glob("*.[ch]"))
    read = [*sources, *map(Path, HEADERS)]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in read)).hexdigest()
    target = PLACE / f"xenshim-{digest[:16]}.so"
    if target.is_file():
        return target
    PLACE.mkdir(parents=True, exist_ok=True)
    # Another run may be compiling the same; whoever is last replaces equal by equal.
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        made = Path(scratch) / target.name
        units = [path for path in sources if path.suffix == ".c"]
        done = subprocess.run(
            [compiler, *_OPTIONS, "-o", made, *units, "-ldl"],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.fail(f"the library does not compile:\n{done.stderr}", pytrace=False)
        made.replace(target)
    return target


def preloaded(directory: Path) -> dict[str, str]:
    """Return the variables that put a program on a pretended Xen of its own.

    They are for a program that is linked to Xen's libraries, which go on to do what the
    pretended one does not.

    Args:
        directory: Gets the directory `shim`, the pretended Xen; what is in it is
            told in `shim/shim.h`.
    """
    found = library()
    shim = directory / "shim"
    shim.mkdir(exist_ok=True)
    # As if Linux had made domain 0's ring and port.
    (shim / "xsd_port").write_text("1", encoding="ascii")
    (shim / "ring-0").write_bytes(bytes(4096))
    return {
        "LD_PRELOAD": str(found),
        "XENSHIM_DIR": str(shim),
        "XENSTORED_PATH": str(directory / "socket"),
        "XENSTORED_RUNDIR": str(directory),
    }


def on_shim(directory: Path) -> dict[str, str]:
    """Return the same for a program that loads Xen's libraries by their names.

    None of them needs to be installed.
    """
    variables = preloaded(directory)
    links = directory / "lib"
    links.mkdir(exist_ok=True)
    for name in {*_SONAMES, *(path.name for path in _LIBRARIES.glob(_OTHER_RELEASES))}:
        (links / name).unlink(missing_ok=True)
        (links / name).symlink_to(variables["LD_PRELOAD"])
    others = os.environ.get("LD_LIBRARY_PATH")
    return {
        **variables,
        "LD_LIBRARY_PATH": f"{links}:{others}" if others else str(links),
    }
