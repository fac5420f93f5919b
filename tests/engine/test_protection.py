"""xsd.engine.protection: what the requests of others might break."""

import pytest

from tests.engine.support import Client
from xsd.engine.protection import Protection
from xsd.protocol.ops import Op
from xsd.protocol.path import parse_path


@pytest.mark.parametrize(
    ("path", "concerns"),
    [(b"/before", True), (b"/now", True), (b"/other", False), (b"/now/below", False)],
)
def test_a_protection_is_of_what_was_relied_on_before_and_is_now(
    dom0: Client, path: bytes, *, concerns: bool
) -> None:
    """By the last attempt and by this one."""
    store, connection = dom0.engine.store, dom0.connection
    for name in (b"/before", b"/now"):
        dom0.ok(Op.WRITE, name + b"\0v")
    before, now = dom0.start(), dom0.start()
    dom0.ask(Op.READ, b"/before\0", before)
    dom0.ask(Op.READ, b"/now\0", now)
    transactions = connection.transactions
    footprint = transactions[before].footprint
    protection = Protection(1, connection, transactions[now], footprint, 250)

    top = store.live.tree.top
    assert protection.concerns(parse_path(path), top) is concerns
    assert (protection.number, protection.until_ms, protection.waiting) == (1, 250, {})
