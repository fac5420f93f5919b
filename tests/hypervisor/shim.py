"""Tests that run on a pretended Xen, in processes of their own.

A library takes the place of Xen's ones (tests/peers/shim): so the code that would talk
to Xen talks to it, through the same functions, and `DomU` of tests/peers/domu.py plays
the guests. What it cannot show, as it is kinder than Xen:

* events that are lost, or told once for two: its event channels are a queue, and
  nothing is ever masked, so nothing shows that ports are unmasked;
* memory order, and a page that is unmapped under a view;
* a port that is bound already: it can be bound again;
* a second daemon: the virtual interrupt can be bound twice;
* the list of domains, which ends where an id is free; libxenmanage and unique ids.
  `test_xendomains.py` has a stand-in of its own for these.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

import pytest

from tests.peers.build import on_shim
from tests.peers.domu import DomU
from tests.support.daemons import CHECKOUT, environment

PATIENCE_S: Final = 10.0
"""Most seconds to wait for something that is under way."""

_BODY_S: Final = 60
"""Seconds after which a test that hangs is ended."""


@final
class Shim:
    """The pretended Xen, seen by a test that runs on it.

    Attributes:
        directory: The files that stand for domains and event channels.
    """

    def __init__(self) -> None:
        self.directory = Path(os.environ["XENSHIM_DIR"])

    def guest(self, domid: int) -> DomU:
        """Create a domain whose port is 100 + domid."""
        return DomU(self.directory, domid)

    def kernel(self) -> DomU:
        """Return dom0's kernel, which has port 1."""
        return DomU(self.directory, 0, port=1)


def kicks(guest: DomU) -> int:
    """Take the notifications that came to a guest; return how many."""
    try:
        return len(os.read(guest.kick, 4096))
    except BlockingIOError:
        return 0


def is_readable(fd: int, timeout_s: float = PATIENCE_S) -> bool:
    """Wait until a descriptor is readable, and tell whether it is."""
    return bool(select.select([fd], [], [], timeout_s)[0])


@final
class ShimProcess:
    """A process on a pretended Xen; it forks for each test, which gets its own one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, module: str, name: str, directory: Path) -> None:
        """Run the body of a test; fail if it fails or says anything.

        Args:
            module: Where the test is.
            name: What it is called.
            directory: For the files of its own pretended Xen.
        """
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None
        assert replies is not None
        requests.write(json.dumps([module, name, str(directory)]) + "\n")
        requests.flush()
        code = replies.readline().strip()
        said = (directory / "output").read_text("utf-8")
        if code != "0" or said:
            pytest.fail(f"ended with {code}:\n{said}", pytrace=False)


@pytest.fixture(scope="session")
def on_xen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShimProcess]:
    """A process on the pretended Xen, which runs the tests made by `under_shim`."""
    variables = on_shim(tmp_path_factory.mktemp("xen"))
    paths = f"{environment()['PYTHONPATH']}{os.pathsep}{CHECKOUT}"
    call = f"from {__name__} import serve; serve()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", call],
        env={**os.environ, **variables, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield ShimProcess(process)  # it ends at the end of its input


def under_shim(body: Callable[[Shim], None]) -> Callable[..., None]:
    """Make a test of a function that shall run on the pretended Xen."""

    def test(on_xen: ShimProcess, tmp_path: Path) -> None:
        on_xen.run(body.__module__, body.__name__, tmp_path)

    test.__name__ = body.__name__
    test.__qualname__ = body.__qualname__
    test.__module__ = body.__module__
    test.__doc__ = body.__doc__
    test.body = body  # type: ignore[attr-defined]
    return test


def serve() -> None:
    """Fork for each test that is asked for, and tell how it ends."""
    for line in sys.stdin:
        module, name, directory = json.loads(line)
        body = getattr(importlib.import_module(module), name).body
        child = os.fork()
        if child == 0:
            os._exit(_run(body, Path(directory)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _run(body: Callable[[Shim], None], directory: Path) -> int:
    """Run the body of a test in this process; return its exit status."""
    signal.alarm(_BODY_S)
    shim = directory / "shim"
    shim.mkdir()
    os.environ["XENSHIM_DIR"] = str(shim)
    with (directory / "output").open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        try:
            body(Shim())
        except BaseException:  # noqa: BLE001 - also what pytest.fail raises
            traceback.print_exc(file=output)
            return 1
    return 0
