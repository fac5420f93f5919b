"""xsd.daemon.collector: nothing is left to the cyclic collector, nor done by it."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.daemons import environment
from tests.transport.rings import EAGER, Rings, on_rings
from tests.transport.support import event, told
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

TOO_LONG = encode_frame(Op.READ, 99, 0, b"x" * PAYLOAD_MAX)[:12] + b"\x01\x10\0\0"

PROGRAM = """
import gc
from xsd.daemon import collector
passes = [each["collections"] for each in gc.get_stats()]
with collector.paused():
    store = [[number] for number in range(100_000)]
    assert passes == [each["collections"] for each in gc.get_stats()]
    collector.restrain()
    store += [[number] for number in range(500_000)]
print(*[each["collections"] - before for each, before in zip(gc.get_stats(), passes)])
"""


@pytest.fixture
def kept() -> Iterator[None]:
    """The collector does nothing but keep what it finds."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.collect()


def ours() -> list[str]:
    """What the collector finds of ours."""
    gc.garbage.clear()
    gc.collect()
    found = [type(each) for each in gc.garbage]
    return [each.__qualname__ for each in found if each.__module__.startswith("xsd")]


@pytest.mark.usefixtures("kept")
@on_rings(EAGER)
async def test_what_is_gone_leaves_nothing_to_the_collector(rings: Rings) -> None:
    """Guests and clients, with all that they had, however they end."""
    for domid in (5, 6, 7):
        guest = await rings.guest(domid)
        await rings.make(b"/local/domain/%d" % domid, b"n%d" % domid)
        await guest.watch(b"a")
        await guest.send(guest.frame(Op.WRITE, b"a/b\0v"))
        assert told(await guest.frames(2)) == [event(b"a/b"), (Op.WRITE, OK)]
        assert (await guest.request(Op.READ, b"missing\0")).op == Op.ERROR
        number = int((await guest.ask(Op.TRANSACTION_START, b"\0")).rstrip(b"\0"))
        assert await guest.ask(Op.WRITE, b"c\0v", number) == OK
        if domid == 6:
            guest.put(TOO_LONG)
            await rings.quiet()
            assert len(rings.notices("domain.ignored")) == 1
    await rings.kill(5, 6)
    assert await rings.release(7) == OK
    for last in (b"", TOO_LONG):
        peer = await rings.watcher(b"/local")
        await peer.send(peer.frame(Op.TRANSACTION_START, b"\0") + last)
        await peer.frames(1)
        peer.sock.close()
    await rings.quiet()

    assert ours() == []


def test_the_store_is_never_looked_at_as_a_whole() -> None:
    """However much is made: only what is new."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    new, young, all_there_is = map(int, done.stdout.split())

    assert new > young > 0
    assert all_there_is == 0
