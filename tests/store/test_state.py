"""All of a store as plain values."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.store.script import play
from tests.store.support import Client, at, dom0_of, guest_of
from xsd.protocol.errors import XenStoreError
from xsd.store import Store, Transaction
from xsd.store.quota import TRANSACTION_NODES
from xsd.store.state import describe

Act = Callable[[Store], object]


def stage() -> tuple[Store, Client, Client]:
    """A store with something of everything in it, and two open transactions."""
    store = Store()
    dom0 = dom0_of(store)
    guest = guest_of(store, 1)
    guest_of(store, 2)
    play(dom0, "write /a/b 1; write /a/c 2; mkdir /local/domain/1; rm /a/b; write /a/b")
    dom0.set_perms(b"/local/domain/1", b"n1", b"r2", b"r9")
    guest.watch(b"w", b"token", 3)
    of_dom0 = dom0.start()
    play(of_dom0, "write /t/u 1; rm /a/c; read /missing -> ENOENT; set /a n0 r2")
    of_guest = guest.start()
    play(of_guest, "write own 1; write own/x 2; rm own")
    return store, of_dom0, of_guest


def test_the_same_requests_lead_to_the_same_state() -> None:
    """Every generation, order and count."""
    assert describe(stage()[0]) == describe(stage()[0])


def fail(store: Store) -> None:
    store.quotas.set(1, TRANSACTION_NODES, 1)
    (guest,) = [each for each in store.transactions.all() if each.caller.domid == 1]
    with pytest.raises(XenStoreError):
        guest.read(guest.caller, at(b"/other"))


def features(store: Store) -> None:
    store.know(7)
    store.set_features(7, 1)


def script(text: str) -> Act:
    """Requests of dom0."""
    return lambda store: play(dom0_of(store), text)


def with_open(index: int, act: Callable[[Transaction], object]) -> Act:
    """Something of an open transaction."""
    return lambda store: act(store.transactions.all()[index])


CHANGES: Final[dict[str, Act]] = {
    "a value": script("write /a/b 2"),
    "the same value": script("write /a/b"),
    "permissions": script("set /a/b n0 r1"),
    "a special node": script("set @releaseDomain n0"),
    "the order of siblings": script("rm /a/c; mkdir /a/c"),
    "a watch": script("watch /"),
    "a watch less": lambda store: store.unwatch(store.watches.all()[0]),
    "a transaction": script("start t"),
    "a transaction less": lambda store: store.abort(store.transactions.all()[0]),
    "what one read": with_open(0, lambda it: it.read(it.caller, at(b"/tool"))),
    "what one wrote": with_open(0, lambda it: it.write(it.caller, at(b"/t/u"), b"2")),
    "what one removed": with_open(0, lambda it: it.rm(it.caller, at(b"/t/u"))),
    "one that failed": fail,
    "one that kept too much": with_open(1, lambda it: it.expel()),
    "a known domain": lambda store: store.know(7),
    "an introduced domain": script("introduce 7"),
    "another port": lambda store: store.introduce(2, 5),
    "a domain less": script("release 2"),
    "a shut down domain": script("shut 2"),
    "a target": script("target 2 1"),
    "features": features,
    "a quota": script("quota -1 nodes 7"),
    "a soft quota": script("quota -1 soft-memory 7"),
    "a quota of one": script("quota 2 nodes 7"),
    "a maximum": lambda store: store.saw_path(1, 1000),
    "maxima that begin anew": lambda store: store.usage.reset_peaks(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_it_differs_by_each_change_and_the_pulse_shows_it(what: str) -> None:
    """Nothing that matters later is left out of either."""
    store, _of_dom0, _of_guest = stage()
    before, pulse = describe(store), store.pulse
    CHANGES[what](store)

    assert describe(store) != before
    assert store.pulse > pulse


def test_what_changes_nothing_leaves_the_pulse_alone() -> None:
    """Reading outside transactions, the same once more inside, what is refused."""
    store, of_dom0, _of_guest = stage()
    dom0 = dom0_of(store)
    of_dom0.read(b"/a")
    before, pulse = describe(store), store.pulse
    dom0.read(b"/a/b")
    dom0.directory_part(b"/a", 0)
    dom0.mkdir(b"/a")
    of_dom0.read(b"/a")
    store.usage.unsent.add(1, 100)
    for request in (lambda: dom0.read(b"/x"), lambda: store.set_target(2, 9)):
        with pytest.raises(XenStoreError):
            request()

    assert describe(store) == before
    assert store.pulse == pulse


def test_a_deep_store_is_described() -> None:
    """Without recursion."""
    store = Store()
    dom0 = dom0_of(store)
    dom0.mkdir(b"/x" * 1500)
    dom0.start().rm(b"/x")

    assert len(str(describe(store)["tree"])) > 1500
