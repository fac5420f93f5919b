"""xsd.hypervisor.emulated: what control clients ask for and are refused."""

import mmap

import pytest

from tests.support.descriptors import few_descriptors_left, open_descriptors
from tests.support.pretended import Host
from xsd.hypervisor import emulated
from xsd.hypervisor.base import RUNNING


def test_new_domain_is_told_with_its_port_and_descriptors(host: Host) -> None:
    """The daemon learns that there is one more; `list` and `state` tell of it."""
    reply = host.ask("create", domid=7)
    assert reply == {"domid": 7, "state": "running", "unique_id": 1, "port": 1}
    assert len(host.control.descriptors) == 3
    assert host.changed
    found = host.hypervisor.state(7)
    assert found is not None
    assert (found.state, found.unique_id) == (RUNNING, 1)
    host.create(0)

    assert host.hypervisor.domains() == [0, 7]
    assert host.ask("list") == {"domains": [0, 7]}
    assert host.ask("state", domid=7) == reply


def test_domids_that_are_not_chosen_count_up(host: Host) -> None:
    """As Xen's do: one that was in use comes last again, one in use is left out.

    0 is given only to who asks for it, 32,752 and above to nobody.
    """
    host.create(2)
    domids = [host.ask("create")["domid"] for _ in range(2)]
    host.ask("kill", domid=1)
    domids.append(host.ask("create")["domid"])
    host.hypervisor._last_domid = 32_750
    domids += [host.ask("create")["domid"] for _ in range(2)]

    assert domids == [1, 3, 4, 32_751, 1]


def test_unique_ids_are_never_used_again(host: Host) -> None:
    """That is what they are for. A second domain of a domid is EEXIST, and has none."""
    for unique_id in (1, 2, 3):
        assert host.ask("create", domid=5)["unique_id"] == unique_id
        assert host.ask("create", domid=5)["error"] == "EEXIST"
        assert host.ask("state", domid=5)["unique_id"] == unique_id
        host.ask("kill", domid=5)


def test_attach_hands_the_same_things_over_again(host: Host) -> None:
    """A guest may be another process than the one that made the domain."""
    created = host.ask("create", domid=5)
    page, *_ = host.control.descriptors

    assert host.ask("attach", domid=5) == created
    again, *_ = host.control.descriptors
    with mmap.mmap(page, 4096) as one, mmap.mmap(again, 4096) as other:
        one[7] = 42
        assert other[7] == 42


@pytest.mark.parametrize("do", ["attach", "shutdown", "resume", "kill", "state"])
def test_unknown_domain_is_esrch(host: Host, do: str) -> None:
    """Whatever is wanted of it."""
    assert host.ask(do, domid=5) == {
        "error": "ESRCH",
        "reason": "there is no domain 5",
    }


@pytest.mark.parametrize("domid", [-1, 32_752, 1.0, "5", True, None, [], 10**300])
def test_what_is_no_domid_is_einval(host: Host, domid: object) -> None:
    """Reserved ones are none either; only create chooses one that is left out."""
    assert host.ask("create", domid=domid)["error"] == "EINVAL"
    assert host.ask("kill", domid=domid)["error"] == "EINVAL"
    assert host.ask("kill")["error"] == "EINVAL"


@pytest.mark.parametrize("do", [None, 1, "destroy", {}, "Create"])
def test_unknown_request_is_enosys(host: Host, do: object) -> None:
    """The reason names those there are."""
    assert host.control.ask({"do": do}) == {
        "error": "ENOSYS",
        "reason": "do is one of create, attach, shutdown, resume, kill, state, list",
    }


def test_unknown_argument_is_einval(host: Host) -> None:
    """A misspelt one is not taken for one that was left out."""
    assert host.ask("create", domd=5)["error"] == "EINVAL"
    assert host.ask("list") == {"domains": []}


def test_domains_are_limited(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control client cannot fill our memory."""
    monkeypatch.setattr(emulated, "DOMAINS_MAX", 1)
    host.create(5)

    assert host.ask("create")["error"] == "ENOSPC"
    host.ask("kill", domid=5)
    assert host.ask("create")["domid"] == 1


@pytest.mark.parametrize("left", [0, 1, 2])
def test_want_of_descriptors_is_told_and_leaves_nothing(host: Host, left: int) -> None:
    """Nothing of the domain stays."""
    host.ask("list")
    before = open_descriptors()
    with few_descriptors_left(left):
        assert host.ask("create", domid=5)["error"] == "EMFILE"

    assert open_descriptors() == before
    assert host.hypervisor.domains() == []
    assert "unique_id" in host.ask("create", domid=5)
