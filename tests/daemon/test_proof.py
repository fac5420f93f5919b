"""xsd.daemon.proof: a program loads the state beside the daemon, or it does not."""

import asyncio
import os
import select
import socket
from contextlib import closing
from pathlib import Path
from typing import final

from tests.support.processes import PATIENCE_S
from tests.update.running import program
from xsd.daemon.proof import Proof, Replaceable
from xsd.engine.plan import Plan


@final
class Daemon(Replaceable):
    """With a state that is counted: each time that it is asked for is another one."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def answer(self, plan: Plan, reason: str) -> None:
        raise NotImplementedError

    def digest(self) -> str:
        return f"digest {self.asked}"

    def state(self, version: int | None) -> tuple[bytes, list[int]]:
        assert version is None
        if self.error is not None:
            raise self.error
        self.asked += 1
        return b"state %d" % self.asked, []


async def told(daemon: Daemon, file: Path) -> str:
    """What speaks against a program."""
    loop = asyncio.get_running_loop()
    reason: asyncio.Future[str] = loop.create_future()
    words = [str(file), "-N"]
    with closing(Proof(loop, daemon, str(file.parent), words, reason.set_result)):
        return await asyncio.wait_for(reason, PATIENCE_S)


def hanging(directory: Path) -> Proof:
    """One of a program that does not end."""
    file = program(directory / "ours", then="time.sleep(1000)")
    return Proof(asyncio.get_running_loop(), Daemon(), "", [str(file)], print)


async def test_a_program_that_says_the_digest_may_take_over(tmp_path: Path) -> None:
    """It reads the state in the file that it is told."""
    said = "print(open(sys.argv[2]).read().replace('state', 'digest'))"
    file = program(tmp_path / "ours", then=said)

    assert await told(Daemon(), file) == ""


async def test_it_is_told_its_options_and_works_where_the_daemon_was_started(
    tmp_path: Path,
) -> None:
    """It reads the same configuration."""
    words = "sys.argv[1], sys.argv[3:], os.getcwd()"
    file = program(tmp_path / "ours", then=f"sys.exit(str(({words})))")

    said = str(("--check-state", ["-N"], str(tmp_path)))
    assert (
        await told(Daemon(), file) == f"The new binary does not load the state: {said}"
    )


async def test_the_state_is_written_by_a_child(tmp_path: Path) -> None:
    """The daemon goes on meanwhile, however much there is to be written."""
    daemon = Daemon()

    assert (
        await told(daemon, program(tmp_path / "ours", then="print('digest 1')")) == ""
    )
    assert daemon.asked == 0


async def test_what_is_open_elsewhere_is_not_held_open(tmp_path: Path) -> None:
    """A client whose socket the daemon closes is told of the end at once."""
    ours, theirs = socket.socketpair()
    with theirs, closing(hanging(tmp_path)):
        ours.close()
        assert select.select([theirs], [], [], PATIENCE_S)[0]
        assert theirs.recv(1) == b""


async def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """As a program that cannot be started is."""
    daemon = Daemon()
    daemon.error = ValueError("too large")
    assert (
        await told(daemon, tmp_path) == "The new binary could not be tried: too large"
    )

    assert "could not be tried: [Errno 2]" in await told(Daemon(), tmp_path / "absent")


async def test_nothing_is_left_of_one_that_is_called_off(tmp_path: Path) -> None:
    """Neither a process nor a descriptor."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  no path is wanted
    hanging(tmp_path).close()

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
