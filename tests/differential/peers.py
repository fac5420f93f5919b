"""The two daemons of a comparison: starting, emptying between sequences, stopping."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, final

from tests.differential.compare import Comparison, Report
from tests.differential.model import Sequence as Steps
from tests.differential.model import Step, ask
from tests.differential.session import CLOSED, SILENT, Session
from tests.peers.domu import DomU, interrupt
from tests.support.daemons import Daemon, start_c_peer, start_xsd
from xsd.protocol.ops import Op

USED: Final[list[str]] = []
"""Row of each difference that was explained, of C and ours only."""

_JANITOR: Final = -1


@final
class Peer:
    """A running daemon.

    Attributes:
        socket: Path of its socket.
        shim: Directory that stands for the hypervisor, where there is one.
    """

    def __init__(self, folder: Path, daemon: Daemon, shim: Path | None) -> None:
        self.folder = folder
        self.socket = str(daemon.socket)
        self.shim = shim
        self._daemon = daemon
        self._guests: list[DomU] = []

    def add_domain(self, domid: int) -> None:
        """Have the hypervisor know a domain, with port 100 + domid."""
        if self.shim is not None:
            self._guests.append(DomU(self.shim, domid))

    def remove_domains(self) -> None:
        """Have the hypervisor forget these domains."""
        if self.shim is not None and self._guests:
            while self._guests:
                self._guests.pop().close()
            # The daemon looks which domains are left before it reads requests.
            interrupt(self.shim)

    def empty(self, domids: Sequence[int]) -> bool:
        """Make the store as it was at the start; False if that was not possible."""
        session = Session(self.socket)
        try:
            for domid in domids:
                session.perform(ask(_JANITOR, "release", str(domid)))
            names = _reply(session, ask(_JANITOR, "ls", "/")).split(b"\0")[:-1]
            # The last one leaves C with another errno than after a success: 4.17
            # tells a client about leftovers, and ends itself where there is none.
            steps = [
                *[ask(_JANITOR, "rm", b"/" + name) for name in names],
                ask(_JANITOR, "write", "/tool/xenstored"),
                ask(_JANITOR, "write", "/"),
                ask(_JANITOR, "set_perms", "/", "n0"),
            ]
            replies = [_reply(session, step) for step in steps]
            _reply(session, ask(_JANITOR, "read", "/nothing"))
        finally:
            session.close()
            self.remove_domains()
        return all(reply == b"OK\0" for reply in replies)

    def stop(self) -> None:
        """End the daemon and remove its files."""
        self._daemon.stop()
        shutil.rmtree(self.folder)


def _reply(session: Session, step: Step) -> bytes:
    messages = session.perform(step).get(step.connection, [])
    if not messages or messages[-1].op in {CLOSED, SILENT}:
        return b""
    return messages[-1].payload if messages[-1].op != Op.ERROR else b""


def _start(start: Callable[[Path], Daemon], shim: str = "") -> Peer:
    # A socket's path must be shorter than those that pytest makes.
    folder = Path(tempfile.mkdtemp(prefix="xs-"))
    try:
        daemon = start(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Peer(folder, daemon, folder / shim if shim else None)


def start_reference() -> Peer:
    """Start Xen's C daemon on a pretended hypervisor, or skip the test."""
    return _start(start_c_peer, "shim")


def start_subject() -> Peer:
    """Start our daemon."""
    return _start(start_xsd)


@final
class Pair:
    """Two daemons for many sequences, replaced when they may not be the same."""

    def __init__(self, *, against_itself: bool = False) -> None:
        self._against_itself = against_itself
        self._peers: list[Peer] = []

    def compare(self, sequence: Steps) -> Report:
        """Run a sequence on both."""
        self._start()
        for peer in self._peers:
            for domid in sequence.domains:
                peer.add_domain(domid)
        reference, subject = (Session(peer.socket) for peer in self._peers)
        try:
            report = Comparison(reference, subject).run(sequence)
        finally:
            reference.close()
            subject.close()
        if not self._against_itself:
            USED.extend(row.row for row in report.used)
        if report.text or not all(p.empty(sequence.domains) for p in self._peers):
            self.stop()
        return report

    def _start(self) -> None:
        if not self._peers:
            reference = start_reference()
            try:
                same = self._against_itself
                subject = start_reference() if same else start_subject()
            except BaseException:
                reference.stop()
                raise
            self._peers = [reference, subject]

    def stop(self) -> None:
        """End both."""
        while self._peers:
            self._peers.pop().stop()


@contextlib.contextmanager
def pair(*, against_itself: bool = False) -> Iterator[Pair]:
    """Two daemons: C and ours, or C and another C."""
    daemons = Pair(against_itself=against_itself)
    try:
        yield daemons
    finally:
        daemons.stop()
