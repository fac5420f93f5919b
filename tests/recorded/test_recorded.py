"""What a toolstack and guests sent on a real host, and what they must be answered.

The files were made as `make.py` tells: the requests on Xen 4.17 with our daemon, the
replies by Xen's C daemon.
"""

from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import find_program
from tests.hypervisor.shim import need_compiler
from tests.recorded.replay import CLOSE, PATIENCE_S, Exchange, Pretended, load, replay
from tests.recorded.shimmed import Shimmed
from tests.support.daemons import start_c_peer, start_xsd
from tests.support.shimmed import start_xsd_on_shim
from xsd.protocol.ops import Op
from xsd.testing import PretendedHost

HERE: Final = Path(__file__).resolve().parent

LIVES: Final = load(HERE / "lives.jsonl.gz")
"""Guests are created, shut down, destroyed, rebooted, saved and restored."""

CROWD: Final = load(HERE / "crowd.jsonl.gz")
"""One guest, then eight that are created at once, as our daemon took it; no replies."""


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket's."""
    return tmp_path_factory.mktemp("xs")


def differences(recorded: list[Exchange], replayed: list[Exchange]) -> str:
    """Say what is not as it was, for people; empty if nothing."""
    lines = [
        f"{index}: {now}\n    instead of {Op(was.reply_op).name} {was.reply!r}"
        for index, (was, now) in enumerate(zip(recorded, replayed, strict=True))
        if was != now
    ]
    return "\n".join(lines)


def test_recording_is_of_whole_lives() -> None:
    """Of a toolstack, a guest and their transactions: else it would prove little."""
    asked = Counter(each.op for each in LIVES)

    assert asked[Op.INTRODUCE] >= 1
    assert asked[Op.TRANSACTION_END] == asked[Op.TRANSACTION_START] > 10
    assert asked[CLOSE] > 10
    assert any(each.domid and each.op == Op.WATCH for each in LIVES)


@pytest.mark.slow
def test_ours_answers_as_c_did(directory: Path) -> None:
    """Each request of a real host, type, errno and payload."""
    with (
        start_xsd(directory, "--hypervisor", "emulated") as daemon,
        PretendedHost(f"{daemon.socket}.hypervisor", timeout=PATIENCE_S) as host,
    ):
        world = Pretended(str(daemon.socket), host)
        replayed = list(replay(LIVES, world))
        world.close()

    assert not (text := differences(LIVES, replayed)), text


@pytest.mark.slow
def test_ours_on_xen_answers_as_c_did(directory: Path) -> None:
    """The same through the code that talks to Xen's libraries."""
    with start_xsd_on_shim(directory):
        world = Shimmed(directory)
        replayed = list(replay(LIVES, world))
        world.close()

    assert not (text := differences(LIVES, replayed)), text


@pytest.mark.slow
def test_c_answers_as_it_did(directory: Path) -> None:
    """So the files are what they are said to be."""
    need_compiler(find_program)
    with start_c_peer(directory):
        world = Shimmed(directory)
        replayed = list(replay(LIVES, world))
        world.close()

    assert not (text := differences(LIVES, replayed)), text


@pytest.mark.slow
def test_eight_toolstacks_at_once_do_not_fail_each_other(directory: Path) -> None:
    """Interleaved as they were, all their transactions commit; 25 do not with C."""
    with (
        start_xsd(directory, "--hypervisor", "emulated") as daemon,
        PretendedHost(f"{daemon.socket}.hypervisor", timeout=PATIENCE_S) as host,
    ):
        world = Pretended(str(daemon.socket), host)
        ends = [x for x in replay(CROWD, world) if x.op == Op.TRANSACTION_END]
        world.close()

    assert len(ends) > 200
    assert {(each.reply_op, each.reply) for each in ends} == {(ends[0].op, "OK\0")}
