"""`xsd domain`: domains on a host without Xen."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run
from tests.support.daemons import start_xsd
from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import PretendedHost

OWN = ["attr", "control/shutdown", "data", "drivers", "error", "feature"]
READABLE = ["", "name", "domid", "control", "device"]


@pytest.fixture(scope="module")
def daemon_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """That of a daemon that pretends a hypervisor."""
    with start_xsd(tmp_path_factory.mktemp("xs"), "--hypervisor=emulated") as daemon:
        yield daemon.socket


@pytest.fixture
def host(daemon_socket: Path) -> Iterator[PretendedHost]:
    with PretendedHost(f"{daemon_socket}.hypervisor") as host:
        yield host


@pytest.fixture
def dom0(daemon_socket: Path) -> Iterator[Client]:
    with Client(str(daemon_socket), timeout=10.0) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_left(host: PretendedHost, dom0: Client) -> None:
    """No test sees domains and homes of the one before."""
    for domid in host.domains():
        host.kill(domid)
    dom0.rm("/local")


def test_a_new_domain_has_a_socket_at_once(
    xsd: Run, dom0: Client, daemon_socket: Path
) -> None:
    """Whoever connects there is that domain, in a home that is furnished."""
    path = f"{daemon_socket}.dom5"
    assert xsd("domain", "create", "5", "--name", "web") == Result(
        f"5 {path}\n".encode()
    )

    with Client(path, timeout=10.0) as guest:
        assert guest.read("name") == b"web"
        guest.write("data/a", b"1")
        with pytest.raises(PermissionError):
            guest.write("name", b"other")
    assert dom0.read("/local/domain/5/data/a") == b"1"
    assert dom0.is_domain_introduced(5)


def test_a_home_has_the_permissions_that_a_toolstack_gives(
    xsd: Run, dom0: Client
) -> None:
    """Of dom0's and readable, but for what is the guest's own."""
    assert xsd("domain", "create", "5").status == 0

    for names, wanted in ((READABLE, [b"n0", b"r5"]), (OWN, [b"n5"])):
        for name in names:
            path = f"/local/domain/5/{name}".rstrip("/")
            assert dom0.get_permissions(path) == wanted, path


def test_what_is_told_of_is_there_already(
    xsd: Run, dom0: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for @introduceDomain finds a whole home."""
    found = []
    introduce = Client.introduce

    def look(self: Client, domid: int, gfn: int, port: int) -> None:
        found.append(dom0.exists("/local/domain/5/feature"))
        introduce(self, domid, gfn, port)

    monkeypatch.setattr(Client, "introduce", look)
    dom0.watch("@introduceDomain", "token")
    assert dom0.next_event(10) is not None

    assert xsd("domain", "create", "5").status == 0

    assert found == [True]
    assert dom0.next_event(10) is not None


def test_without_an_id_it_is_the_next(xsd: Run, host: PretendedHost) -> None:
    """As Xen counts; the id is printed."""
    first, second = (int(xsd("domain", "create").out.split()[0]) for _ in range(2))

    assert second == first + 1
    assert host.domains() == [first, second]


def test_a_home_that_is_there_is_completed(xsd: Run, dom0: Client) -> None:
    """Its name, and what somebody has put there, stay; unless another is given."""
    dom0.write("/local/domain/5/name", b"mine")
    dom0.write("/local/domain/5/data/a", b"1")

    assert xsd("domain", "create", "5").status == 0

    assert dom0.read("/local/domain/5/name") == b"mine"
    assert dom0.read("/local/domain/5/data/a") == b"1"


def test_domains_are_listed(xsd: Run, host: PretendedHost, daemon_socket: Path) -> None:
    """With their states, ports, names and sockets, or a dash; in order."""
    assert xsd("domain", "list") == Result(b"DOMID  STATE  PORT  NAME  SOCKET\n")
    for words in (["12", "--name", "a b"], ["5"]):
        assert xsd("domain", "create", *words).status == 0
    assert xsd("domain", "kill", "--shutdown", "12").status == 0
    host.create(7).close()

    lines = xsd("domain", "list").out.decode().splitlines()

    found = [re.split(r"  +", line) for line in lines]
    assert [[*row[:2], *row[3:]] for row in found] == [
        ["DOMID", "STATE", "NAME", "SOCKET"],
        ["5", "running", "Domain-5", f"{daemon_socket}.dom5"],
        ["7", "running", "-", f"{daemon_socket}.dom7"],
        ["12", "shutdown", "a b", f"{daemon_socket}.dom12"],
    ]
    for row in found[1:]:
        report = host.state(int(row[0]))
        assert report is not None
        assert row[2] == str(report.port)


def test_a_domain_that_is_killed_is_gone_with_its_home(
    xsd: Run, dom0: Client, host: PretendedHost, daemon_socket: Path
) -> None:
    """And with what it owned elsewhere; who waits for it is told."""
    assert xsd("domain", "create", "5").status == 0
    dom0.write("/t", b"")
    dom0.set_permissions("/t", ["n5"])
    dom0.watch("@releaseDomain", "token")
    assert dom0.next_event(10) is not None

    assert xsd("domain", "kill", "5") == Result(b"")

    assert dom0.next_event(10) is not None
    assert not dom0.exists("/local/domain/5")
    assert not dom0.exists("/t")
    assert host.domains() == []
    assert not Path(f"{daemon_socket}.dom5").exists()


def test_a_domain_that_stops_by_itself_stays(
    xsd: Run, dom0: Client, host: PretendedHost
) -> None:
    """Until it is killed, as a toolstack does; who waits for that is told."""
    assert xsd("domain", "create", "5").status == 0
    dom0.watch("@releaseDomain", "token")
    assert dom0.next_event(10) is not None

    assert xsd("domain", "kill", "--shutdown", "5") == Result(b"")

    assert dom0.next_event(10) is not None
    report = host.state(5)
    assert report is not None
    assert report.state == "shutdown"
    assert dom0.read("/local/domain/5/name") == b"Domain-5"
    assert xsd("domain", "kill", "5") == Result(b"")
    assert host.domains() == []


def test_a_domain_that_somebody_else_has_made_is_introduced(
    xsd: Run, dom0: Client, host: PretendedHost
) -> None:
    """Then its ring is served; without a home it is ended all the same."""
    with host.create(5) as guest:
        assert not dom0.is_domain_introduced(5)
        assert xsd("domain", "introduce", "5") == Result(b"")
        assert dom0.is_domain_introduced(5)
        assert guest.get_domain_path(5) == b"/local/domain/5"
    assert xsd("domain", "kill", "5") == Result(b"")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("kill 5", "there is no domain 5"),
        ("kill --shutdown 5", "there is no domain 5"),
        ("introduce 5", "there is no domain 5"),
        ("create 0", "argument DOMID: '0' is no number from 1 to 32751"),
        ("create 32752", "argument DOMID: '32752' is no number from 1 to 32751"),
        ("create x", "argument DOMID: 'x' is no number from 1 to 32751"),
        ("kill", "which domain? kill takes its id"),
        ("introduce", "which domain? introduce takes its id"),
        ("list 5", "list takes no id: it prints them all"),
        ("kill 5 --name x", "--name is for create"),
        ("create 5 --shutdown", "--shutdown is for kill"),
    ],
)
def test_what_cannot_be_is_said(xsd: Run, words: str, reason: str) -> None:
    """With exit status 1."""
    found = xsd("domain", *words.split())

    assert (found.out, found.status) == (b"", 1)
    assert found.err.decode().splitlines()[-1] == f"xsd domain: {reason}"


def test_a_domain_that_is_there_is_not_made_again(xsd: Run, dom0: Client) -> None:
    """It and its home stay as they are."""
    assert xsd("domain", "create", "5", "--name", "web").status == 0

    found = xsd("domain", "create", "5", "--name", "other")

    assert found == Result(b"", b"xsd domain: there is a domain 5\n", 1)
    assert dom0.read("/local/domain/5/name") == b"web"


def test_nothing_is_left_of_a_domain_that_cannot_be_introduced(
    xsd: Run, host: PretendedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be there, and nobody would serve it."""

    def refuse(*_: object) -> None:
        raise XenStoreError(Errno.EINVAL, "INTRODUCE refused")

    monkeypatch.setattr(Client, "introduce", refuse)

    assert xsd("domain", "create", "5").status == 1
    assert host.domains() == []


def test_a_daemon_that_pretends_no_hypervisor_is_named(
    xsd: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As on a host with Xen, whose toolstack makes the domains."""
    with start_xsd(tmp_path_factory.mktemp("xs")) as daemon:
        Path(f"{daemon.socket}.hypervisor").unlink()
        found = xsd("--socket", str(daemon.socket), "domain", "list")

    assert (found.out, found.status) == (b"", 1)
    assert found.err.decode() == (
        f"xsd domain: the daemon at {daemon.socket} pretends no hypervisor (No such"
        " file or directory): its domains are Xen's, to be made by Xen's toolstack, or"
        " it serves none\n"
    )
