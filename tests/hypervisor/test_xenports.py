"""xsd.hypervisor.xenports: which port of a domain one of ours is bound to."""

import ctypes

import pytest

from tests.hypervisor.fake import FakeLibrary
from xsd.hypervisor import xenports
from xsd.hypervisor.xenports import bound, remote_port


@pytest.mark.parametrize(
    ("port", "remote"), [(21, 7), (22, 0), (23, 0)], ids=["domain", "virq", "none"]
)
def test_xen_tells_the_other_end(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch, port: int, remote: int
) -> None:
    """Of a port that is bound to another domain; the library is closed again."""
    path = fake()
    libraries = ["libxenabsent.so.1", fake("-DOTHER_RELEASE"), path]
    monkeypatch.setattr(xenports, "control_sonames", lambda: libraries)

    assert remote_port(port) == remote
    assert ctypes.CDLL(path).fake_handles(None) == 0


def test_where_xen_does_not_tell_there_is_none(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon takes over all the same."""
    libraries = ["libxenabsent.so.1", fake("-DNO_DEVICE")]
    monkeypatch.setattr(xenports, "control_sonames", lambda: libraries)

    assert remote_port(21) == 0


def test_xen_tells_all_that_is_bound(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the other end, and by the interrupt."""
    monkeypatch.setattr(xenports, "control_sonames", lambda: [fake()])

    found = bound()

    assert found.ports == {(3, 7): 21}
    assert found.virqs == {3: 22}


def test_where_xen_does_not_tell_nothing_is_bound(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is all bound anew."""
    monkeypatch.setattr(xenports, "control_sonames", lambda: [fake("-DNO_DEVICE")])

    found = bound()

    assert (found.ports, found.virqs) == ({}, {})
