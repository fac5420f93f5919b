"""What a daemon was started with, and the way back to it.

A daemon that is to take over may find that it cannot. Then the one before goes on: the
process becomes it again, with the state as it has left it and everything that is open.
Nothing else of the daemon is imported here, so that this works whatever fails there.
"""

import json
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, final

STATE_VARIABLE: Final = "XSD_STATE"
"""Names the file with the state for the program that takes over."""

UPDATE: Final = "-U"
"""Option of a daemon that follows another."""

_OF_OXENSTORED: Final = "--restart"
"""With this and `--live`, which is our `--live-update`, it starts who follows it."""

BACK_VARIABLE: Final = "XSD_PREDECESSOR"
"""Names the program that goes on if the one that takes over cannot."""

REASON_VARIABLE: Final = "XSD_UPDATE_FAILED"
"""Tells the one that goes on why it has to."""

_COMMAND: Final = "xsd"
_SERVE: Final = "serve"


@final
class Invocation(NamedTuple):
    """How a daemon was started.

    Attributes:
        words: Its options.
        directory: Where, which is what relative paths in them are relative to.
        program: The interpreter, and what it runs.
    """

    words: tuple[str, ...] = ()
    directory: str = ""
    program: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> "Invocation":
        """This process, started with these options; the directory is still that."""
        before = sys.orig_argv[1 : len(sys.orig_argv) - len(words)]
        if follows_oxenstored(words):
            # It hands on what it is told to in one word.
            words = " ".join(words).split()
        return cls(tuple(words), here(), (sys.executable, *before))

    def way_back(self) -> str:
        """What `go_back` needs to start this very daemon again, for `BACK_VARIABLE`."""
        words = [*self.program, *following(self.words)]
        return json.dumps([self.directory, words])


def follows_oxenstored(words: Sequence[str]) -> bool:
    """Tell whether these are the options of who takes over from oxenstored.

    Whoever follows C has C's option as well, even if that has followed oxenstored.
    """
    return _OF_OXENSTORED in words and UPDATE not in words


def following(words: Sequence[str]) -> list[str]:
    """The options with which a daemon follows another, if these are its own."""
    return [*words, *([] if UPDATE in words else [UPDATE])]


def words_of(program: str, words: Sequence[str]) -> list[str]:
    """A command line that starts a daemon with some options."""
    is_xsd = Path(program).name == _COMMAND
    return [program, *([_SERVE] if is_xsd else []), *words]


def go_back(
    environ: MutableMapping[str, str],
    reason: str,
    execute: Callable[[str, list[str]], None] = os.execv,
) -> None:
    """Have the program go on that was replaced, if it was one of ours.

    Args:
        environ: The environment; tells of that program, once.
        reason: Why this one cannot.
        execute: Replaces the process.
    """
    back = environ.pop(BACK_VARIABLE, "")
    if not back:
        return
    # That one logs it: standard error may be a log in a form of its own.
    environ[REASON_VARIABLE] = reason.replace("\0", " ")
    with suppress(OSError, ValueError):
        directory, words = json.loads(back)
        move_to(directory)
        execute(words[0], words)


def here() -> str:
    """The directory in which the process works; empty if it is gone."""
    with suppress(OSError):
        return str(Path.cwd())
    return ""


def move_to(directory: str) -> None:
    """Work in a directory, if it is still there."""
    with suppress(OSError):
        os.chdir(directory)
