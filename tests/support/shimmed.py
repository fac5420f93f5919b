"""Daemons on a pretended Xen, with guests whose ring and event channel are files.

`with-shim` and `domu.py`, which do that, are looked for in the directory XSD_PEERS,
else in `shared/peers` beside the checkout.
"""

import contextlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, final

import pytest

from tests.conftest import find_program
from tests.hypervisor.shim import need_compiler, peers_directory
from tests.support.daemons import Daemon, environment
from xsd.client import Client, NotListeningError

PATIENCE_S: Final = 20.0
"""Most seconds to wait for something that is under way."""


@final
class Shim:
    """The pretended Xen of one daemon."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        location = peers_directory() / "domu.py"
        spec = importlib.util.spec_from_file_location("domu", location)
        assert spec is not None
        assert spec.loader is not None
        self._domu = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._domu)
        self.closed: type[Exception] = self._domu.Closed

    def guest(self, domid: int) -> Any:
        """Create a domain, a `domu.DomU`, whose port is 100 + domid."""
        return self._domu.DomU(str(self.directory), domid, timeout=PATIENCE_S)

    def kernel(self) -> Any:
        """Return dom0's kernel, a `domu.DomU` with port 1."""
        return self._domu.DomU(str(self.directory), 0, port=1, timeout=PATIENCE_S)

    def client(self, socket: Path) -> Any:
        """Return a `domu.SocketClient`."""
        return self._domu.SocketClient(str(socket), timeout=PATIENCE_S)


def start_xsd_on_shim(directory: Path, *options: str) -> Daemon:
    """Start our daemon as if on Xen."""
    starter = peers_directory() / "with-shim"
    need_compiler(find_program)
    path = directory / "socket"
    words = ["-m", "xsd", "serve", "--socket", str(path), "--hypervisor", "xen"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(starter), str(directory), sys.executable, *words, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(path):
            daemon = Daemon(path, process.pid)
            process.returncode = 0  # `Daemon.stop` waits for it
            return daemon
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
    process.kill()
    process.wait()
    text = (directory / "log").read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"the daemon does not start:\n{text}", pytrace=False)


def _answers(path: Path) -> bool:
    try:
        with Client(str(path), timeout=PATIENCE_S) as client:
            return client.get_domain_path(0) == b"/local/domain/0"
    except NotListeningError:
        return False
