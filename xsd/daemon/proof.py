"""The proof that another program can take over: it loads the state, beside the daemon.

A child of the daemon becomes it. Until then the child is a picture of the daemon's
state, and has time to write that down, while the daemon goes on serving. What the
program says then must be the digest of the state.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, final

from xsd.daemon.child import Child
from xsd.daemon.options import CHECK
from xsd.daemon.succession import write_all
from xsd.daemon.wayback import move_to, words_of
from xsd.engine.plan import Plan
from xsd.engine.update import REASON_MAX
from xsd.transport.loop import Loop

_UNTRIED: Final = "The new binary could not be tried: "


class Replaceable:
    """The daemon, as far as an update is concerned with it."""

    __slots__ = ()

    def answer(self, plan: Plan, reason: str) -> None:
        """Tell who has asked for an update that there is none."""
        raise NotImplementedError

    def digest(self) -> str:
        """See `succession.digest`."""
        raise NotImplementedError

    def state(self, version: int | None) -> tuple[bytes, list[int]]:
        """The whole state, and the descriptors that must stay open.

        Args:
            version: Of the stream for C xenstored; None for one of our own daemons.

        Raises:
            ValueError: If it cannot be handed on.
        """
        raise NotImplementedError

    def transactions(self) -> dict[int, int]:
        """How many are open, by domain."""
        raise NotImplementedError

    def end_children(self) -> None:
        """End processes that work for the daemon: the next one does not know them."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Give up what C xenstored takes for itself; see `Hypervisor.let_go`."""
        raise NotImplementedError

    def take_back(self) -> None:
        """Undo `let_go`.

        Raises:
            OSError: If that is not possible.
        """
        raise NotImplementedError

    @property
    def directory(self) -> Path:
        """Where files may be left for another process."""
        raise NotImplementedError


@final
class Proof:
    """A program that is tried."""

    __slots__ = ("_child", "_daemon", "_said")

    def __init__(
        self,
        loop: Loop,
        daemon: Replaceable,
        directory: str,
        words: Sequence[str],
        done: Callable[[str], None],
    ) -> None:
        """Begin to try one.

        Args:
            loop: The loop that runs.
            daemon: Whose state it is to load.
            directory: Where it is to be started.
            words: It, and its options.
            done: Is told what speaks against it when it has ended, unless `close` comes
                before; an empty text if nothing does.

        Raises:
            OSError: If there is no memory for it, or no descriptor.
        """
        self._daemon = daemon
        # Our digest, and from the next line on what it says.
        self._said = os.memfd_create("said")
        try:
            work = partial(self._be_tried, directory, words)
            self._child = Child(loop, work, self._said, partial(self._end, done))
        except OSError:
            os.close(self._said)
            raise

    def _be_tried(self, directory: str, words: Sequence[str]) -> None:
        """Write the state as it is now, and become the program."""
        try:
            data, _descriptors = self._daemon.state(None)
            state = os.memfd_create("state", 0)
            write_all(state, data)
            write_all(self._said, self._daemon.digest().encode() + b"\n")
            null = os.open(os.devnull, os.O_RDONLY)
            for ours, standard in ((null, 0), (self._said, 1), (self._said, 2)):
                os.dup2(ours, standard)
            move_to(directory)
            line = words_of(words[0], [CHECK, f"/proc/self/fd/{state}", *words[1:]])
            os.execv(line[0], line)  # noqa: S606  no shell is wanted
        except (OSError, ValueError) as error:
            os.ftruncate(self._said, 0)
            os.pwrite(self._said, f"{_UNTRIED}{error}".encode(), 0)

    def _end(self, done: Callable[[str], None], status: int) -> None:
        text = os.pread(self._said, REASON_MAX, 0).decode(errors="replace")
        if text.startswith(_UNTRIED):
            done(text)
            return
        wanted, _, said = text.partition("\n")
        if status == 0 and wanted and said.strip() == wanted:
            done("")
            return
        told = said.strip() or os.waitstatus_to_exitcode(status)
        done(f"The new binary does not load the state: {told}")

    def close(self) -> None:
        """End it, if it has not ended, and give everything back."""
        self._child.kill()
        os.close(self._said)
