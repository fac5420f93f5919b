"""A directory of very many nodes costs no more than a small one."""

import tracemalloc
from collections.abc import Callable

import pytest

from tests.store.support import Client, dom0_of
from xsd.store import Store

WIDTH = 100_000


@pytest.mark.slow
def test_a_change_in_a_very_wide_directory_costs_as_in_a_small_one() -> None:
    """After a snapshot no more than the way to the child is copied.

    What is measured is memory: a copy of 100,000 children takes several MiB.
    """
    store = Store()
    dom0 = dom0_of(store)
    for number in range(WIDTH):
        store.live.mkdir(dom0.caller, (b"", b"w", b"%d" % number))
    store.live.take_changes()
    requests: list[Callable[[Client], object]] = [
        lambda client: client.write(b"/w/7", b"1"),
        lambda client: client.set_perms(b"/w/7", b"r0"),
        lambda client: client.mkdir(b"/w/7/x"),
        lambda client: client.mkdir(b"/w/new"),
        lambda client: client.rm(b"/w/new"),
        lambda client: client.rm(b"/w/7"),
    ]
    costs: list[int] = []
    tracemalloc.start()
    try:
        for request in requests:
            reader, writer = dom0.start(), dom0.start()
            reader.read(b"/w/99999")
            tracemalloc.reset_peak()
            before, _peak = tracemalloc.get_traced_memory()
            request(writer)
            writer.commit()
            reader.commit()
            _after, peak = tracemalloc.get_traced_memory()
            costs.append(peak - before)
    finally:
        tracemalloc.stop()

    assert max(costs) < 64 * 1024
