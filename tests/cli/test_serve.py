"""xsd.cli.serve: the daemon behind the same command."""

from collections.abc import Sequence

import pytest

from tests.cli.conftest import Run
from xsd.daemon import xenstored


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines with which the daemon would have been started."""
    calls: list[list[str]] = []

    def serve(words: Sequence[str]) -> int:
        calls.append(list(words))
        return 7

    monkeypatch.setattr(xenstored, "serve", serve)
    return calls


def test_words_are_the_daemons_own(xsd: Run, served: list[list[str]]) -> None:
    """They are handed on as they are, and its status comes back."""
    assert xsd("serve", "-T", "trace", "--socket", "s").status == 7
    assert served == [["-T", "trace", "--socket", "s"]]


def test_socket_before_the_subcommand_is_handed_on(
    xsd: Run, served: list[list[str]]
) -> None:
    """In front, so that one behind wins."""
    xsd("--socket", "s", "serve", "-N")

    assert served == [["--socket", "s", "-N"]]


def test_help_is_the_daemons(xsd: Run) -> None:
    """It has options of its own."""
    result = xsd("serve", "--help")

    assert result.status == 0
    assert b"--pid-file" in result.out
