"""Domain states by each of the libraries that tell them."""

import ctypes
from pathlib import Path

import pytest

from tests.hypervisor.fake import FakeLibrary
from xsd.hypervisor import xendomains
from xsd.hypervisor.base import DYING, RUNNING, SHUT_DOWN
from xsd.hypervisor.xendomains import (
    Domains,
    ListedDomains,
    ManagedDomains,
    control_sonames,
    open_domains,
)


def install(monkeypatch: pytest.MonkeyPatch, manage: str, *control: str) -> None:
    """Let these be the libraries of this host."""
    monkeypatch.setattr(xendomains, "MANAGE_SONAME", manage)
    monkeypatch.setattr(xendomains, "control_sonames", lambda: list(control))


def states(domains: Domains, *domids: int) -> list[int | None]:
    """Return the states of domains, None for those that do not exist."""
    found = [domains.state(domid) for domid in domids]
    return [None if each is None else each.state for each in found]


@pytest.mark.parametrize(
    ("manages", "unique_id"),
    [(True, 2**63 + 7), (False, 0)],
    ids=["libxenmanage", "libxenctrl"],
)
def test_each_library_tells_states_and_the_first_unique_ids_too(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch, unique_id: int, *, manages: bool
) -> None:
    """A domain is dying when it is dead, as in C. The first is preferred.

    Where a domain is gone, libxenctrl answers with the next one.
    """
    path = fake()
    libraries = (path, fake()) if manages else ("libxenabsent.so.1", path)
    install(monkeypatch, *libraries)
    domains = open_domains()
    assert isinstance(domains, ManagedDomains if manages else ListedDomains)
    last = domains.state(7)

    assert states(domains, 0, 3, 5, 7) == [RUNNING, SHUT_DOWN, SHUT_DOWN, DYING]
    assert states(domains, 1, 4, 8, 0x7FEF) == [None, None, None, None]
    assert last is not None
    assert last.unique_id == unique_id
    # Xen tells libxenmanage of each change once, so the list is kept.
    for _ in range(2):
        assert domains.ids() == [0, 3, 5, 7]
    ctypes.CDLL(path).fake_vanish(3)
    assert domains.ids() == [0, 5, 7]
    assert domains.state(3) is None
    domains.close()


def test_libraries_that_xen_does_not_answer_are_passed_over(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several releases may be installed beside the one that runs."""
    other, good = fake("-DOTHER_RELEASE"), fake()
    install(monkeypatch, other, "libxenabsent.so.1", other, good)
    domains = open_domains()

    assert isinstance(domains, ListedDomains)
    assert domains.ids() == [0, 3, 5, 7]
    assert ctypes.CDLL(other).fake_handles(None) == 0
    domains.close()


def test_why_no_library_works_is_told(
    fake: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason of the likeliest one, not that others are not installed."""
    other = fake("-DOTHER_RELEASE")

    install(monkeypatch, other, other)
    with pytest.raises(PermissionError, match=r"xenmanage_get_domain_info\(0\)"):
        open_domains()
    install(monkeypatch, "libxenabsent.so.1", other, "libxenabsent.so.2")
    with pytest.raises(PermissionError, match=r"xc_domain_getinfolist\(0, 1\)"):
        open_domains()
    # Hosts without Xen have neither.
    install(monkeypatch, "libxenabsent.so.1", "libxenabsent.so.2")
    with pytest.raises(FileNotFoundError, match="libxenctrl"):
        open_domains()


def test_the_libxenctrl_of_the_running_xen_is_the_likeliest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Xen says which release it is; without its word, newer ones are likelier."""
    monkeypatch.setattr(xendomains, "_VERSION", tmp_path)
    names = list(control_sonames())
    assert names.index("libxenctrl.so.4.21") < names.index("libxenctrl.so.4.17")
    assert names[-1] == "libxenctrl.so.4.14"

    (tmp_path / "major").write_text("5\n", "ascii")
    (tmp_path / "minor").write_text("1\n", "ascii")
    assert next(control_sonames()) == "libxenctrl.so.5.1"
