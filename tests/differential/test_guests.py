"""Guests of Xen's C daemon and of ours: what is theirs, and what is kept from them.

The sequences of the other tests are dom0's, on a socket. Here a guest of C's talks
through its ring, and one of ours through a socket of its own: rings have their tests.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, final

import pytest

from tests.differential.session import PATIENCE_S
from tests.differential.test_explained import DOCUMENT
from tests.engine.script import request, shown
from tests.peers.domu import DomU
from tests.support.daemons import start_c_peer, start_xsd
from xsd.client import Client, Transport
from xsd.client.transport import SocketTransport
from xsd.testing import PretendedHost, Session

STEPS: Final = """
5 read /pub; 5 read /sec; 5 read /sec/none; 5 read /none; 5 read /pub/none
5 write /pub x; 5 write /pub/n x; 5 write a/b/c v; 5 get_perms a/b; 5 directory a
5 mkdir a/m; 5 mkdir a/m; 5 mkdir /pub; 5 mkdir /sec/a; 5 rm a/none; 5 rm zz/none
5 rm /pub; 5 rm /pub/none; 5 rm /sec/none; 5 rm /; 5 rm a/m; 5 rm a/m

5 write /all/n/m v; 5 get_perms /all/n/m; 5 get_perms /all/n; 0 get_perms /all/n
5 write /in v; 5 read /in; 5 write /in/x v; 5 get_perms /in/x; 5 read /in/none
5 rm /all/n; 6 read /all; 6 write /all/x v

5 perms a n5 r6; 5 perms a n6; 5 perms a; 5 perms a x5; 5 perms a n77; 5 perms a n5 r77
5 get_perms a; 5 perms /pub n5; 5 perms /sec n5; 5 perms /all n5; 5 perms /none n5
5 perms a n5 r6 r6 r6 r6 r6; 5 perms a n5 r6 r6 r6 r6; 0 perms a/b n6; 5 perms a/b n5

5 watch /sec t; 5 watch /sec t; 5 unwatch /sec t; 5 unwatch /sec t; 5 watch a rel
5 write a/b/c q; 5 rm a/b/c; 6 watch /local/domain/5 six; 5 write a new
6 get_domain_path 5; 5 write own v; 6 get_domain_path 5; 5 perms own n5 r6
6 get_domain_path 5; 5 rm own; 6 get_domain_path 5; 0 write /sec/x v; 5 read /sec/x
5 watch @introduceDomain t; 5 unwatch @introduceDomain t
5 read /none; 5 perms @introduceDomain n5

5 control check; 5 introduce 7 1 1; 5 release 6; 5 resume 6; 5 set_target 5 6
5 is_domain_introduced 5; 5 get_domain_path 6; 5 watch_event a; 5 reset
5 get_quota; 5 set_quota nodes 1; 5 set_feature 6 0; 5 get_feature 6

5 start; 5 t1 write tx/a v; 5 t1 read tx/a; 5 read tx/a; 5 t1 start; 5 t9 read a
5 t1 end X; 5 t1 end T; 5 t1 end T; 5 read tx/a; 5 start; 5 t2 write /pub x
5 t2 read /sec/a; 5 t2 end T; 5 start; 5 t3 mkdir tx/b; 5 t3 end F; 5 read tx/b

5 read a//b; 5 read a/; 5 read ''; 5 read @x; 5 write big {big}; 5 write big {fits}
5 read {path}; 5 read {path}x; 5 get_perms @releaseDomain; 5 perms @releaseDomain n5
5 watch a t 1; 5 watch @a/ t; 5 get_feature
""".format(big="x" * 2100, fits="x" * 2000, path="p" * 2047)
"""Whose requests, in order; `t1` is a transaction.

SET_PERMS of a special name follows a refusal, or 4.17 ends itself (see `Peer.empty`).
"""

EINVAL, ENOSYS, EACCES = "EINVAL", "ENOSYS", "EACCES"

DIFFERENCES: Final = {
    "5 get_quota": (ENOSYS, EACCES, "features-and-quotas"),
    "5 set_quota nodes 1": (ENOSYS, EACCES, "features-and-quotas"),
    "5 set_feature 6 0": (ENOSYS, EACCES, "features-and-quotas"),
    "5 get_feature 6": (ENOSYS, EACCES, "features-and-quotas"),
    "5 get_feature": (ENOSYS, "15,", "features-and-quotas"),
    "5 get_perms @releaseDomain": (EINVAL, "n0,r32757,", "special-permissions"),
    "5 perms @releaseDomain n5": (EINVAL, EACCES, "special-permissions"),
    "5 watch a t 1": (EINVAL, "OK a:t", "watch-depth"),
    "5 watch @a/ t": ("OK @a/:t", EINVAL, "special-names"),
}
"""What 4.17 says, what ours does, and the row that is about it."""


@final
class Ring(Transport):
    """A guest's ring on the pretended Xen."""

    def __init__(self, guest: DomU) -> None:
        self._guest = guest

    def send(self, data: bytes, timeout: float | None) -> None:
        self._guest.send(data, timeout)

    def receive(self, timeout: float | None) -> bytes:
        deadline = time.monotonic() + (timeout or 0)
        if data := self._guest.receive_some(deadline):
            return data
        raise TimeoutError

    def close(self) -> None:
        self._guest.close()


def prepare(path: Path, ports: dict[int, int]) -> Session:
    """Introduce guests and make nodes; return dom0's session."""
    with Client(str(path)) as dom0:
        for domid, port in ports.items():
            dom0.introduce(domid, 1, port)
            dom0.write(f"/local/domain/{domid}", b"")
            dom0.set_permissions(f"/local/domain/{domid}", [f"n{domid}"])
        dom0.write("/sec/a", b"x")
        for name, perms in (
            *(("pub", ["r0"]), ("all", ["n0", "b5"]), ("in", ["n0", "w5"])),
        ):
            dom0.write(f"/{name}", b"p")
            dom0.set_permissions(f"/{name}", perms)
    return Session(SocketTransport(str(path), PATIENCE_S))


def answers(sessions: dict[str, Session]) -> Iterator[tuple[str, str]]:
    """Each step, and what came of it to who asked."""
    for step in STEPS.replace("\n", ";").split(";"):
        who, _, text = step.strip().partition(" ")
        if not who:
            continue
        number = 0
        if text[0] == "t" and text[1].isdigit():
            number = int(text[1])
            text = text[2:].strip()
        op, payload = request(text)
        yield step.strip(), shown(sessions[who].ask(op, payload, number), op)


@pytest.fixture
def theirs(directory: Path) -> Iterator[dict[str, Session]]:
    """Dom0 and two guests of Xen's C daemon."""
    with ExitStack() as held:
        daemon = held.enter_context(start_c_peer(directory))
        guests = {domid: DomU(directory / "shim", domid) for domid in (5, 6)}
        for guest in guests.values():
            held.callback(guest.close)
        dom0 = prepare(daemon.socket, {n: each.port for n, each in guests.items()})
        held.callback(dom0.transport.close)
        sessions = {n: Session(Ring(each), n) for n, each in guests.items()}
        yield {"0": dom0, **{str(n): each for n, each in sessions.items()}}


@pytest.fixture
def ours(directory: Path) -> Iterator[dict[str, Session]]:
    """The same of ours."""
    with ExitStack() as held:
        place = directory / "ours"
        place.mkdir()
        daemon = held.enter_context(start_xsd(place, "--hypervisor", "emulated"))
        host = held.enter_context(PretendedHost(f"{daemon.socket}.hypervisor"))
        ports = {n: held.enter_context(host.create(n)).port for n in (5, 6)}
        sessions = {"0": prepare(daemon.socket, ports)}
        for domid in ports:
            transport = SocketTransport(f"{daemon.socket}.dom{domid}", PATIENCE_S)
            sessions[str(domid)] = Session(transport, domid)
        for each in sessions.values():
            held.callback(each.transport.close)
        yield sessions


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("xs")


def test_a_guest_is_answered_as_by_c(
    theirs: dict[str, Session], ours: dict[str, Session]
) -> None:
    """But for what 4.17 does not have yet, each with its row."""
    both = zip(answers(theirs), answers(ours), strict=True)
    found = {step: (c, xsd) for (step, c), (_, xsd) in both if c != xsd}

    assert found == {step: answer[:2] for step, answer in DIFFERENCES.items()}
    page = DOCUMENT.read_text("utf-8")
    assert all(f"`{row}`" in page for _, _, row in DIFFERENCES.values())
