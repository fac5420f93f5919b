"""xsd.daemon.wayback: how a daemon was started, and how it is started again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemons import environment
from xsd.daemon.wayback import (
    BACK_VARIABLE,
    REASON_VARIABLE,
    Invocation,
    following,
    go_back,
    here,
    move_to,
    words_of,
)


def test_a_daemon_is_started_again_as_it_was(tmp_path: Path) -> None:
    """By the same interpreter, where it was started, and to follow."""
    line = (
        "import sys; from xsd.daemon.wayback import Invocation;"
        " print(Invocation.of(sys.argv[1:]).way_back())"
    )
    words = [sys.executable, "-W", "error", "-c", line]
    said = subprocess.check_output(
        [*words, "-N", "--socket", "s"], cwd=tmp_path, env=environment()
    )

    assert json.loads(said) == [str(tmp_path), [*words, "-N", "--socket", "s", "-U"]]


def test_it_follows_once() -> None:
    """Its options may say so already."""
    assert following(["-N"]) == ["-N", "-U"]
    assert following(["-U", "-N"]) == ["-U", "-N"]


def test_a_daemon_may_be_a_command_of_another_program() -> None:
    """`xsd serve` is one."""
    assert words_of("/bin/xsd", ["-U"]) == ["/bin/xsd", "serve", "-U"]
    assert words_of("/sbin/xenstored", ["-U"]) == ["/sbin/xenstored", "-U"]


def test_who_goes_back_says_why_and_does_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the directory of the one before; if that fails it returns."""
    monkeypatch.chdir(Path.cwd())
    environ = {
        BACK_VARIABLE: Invocation(("-N",), str(tmp_path), ("/p", "x")).way_back()
    }
    started: list[tuple[str, list[str], str]] = []

    def execute(program: str, words: list[str]) -> None:
        started.append((program, words, here()))
        raise FileNotFoundError

    go_back(environ, "no\0luck", execute)
    go_back(environ, "once more", execute)

    assert started == [("/p", ["/p", "x", "-N", "-U"], str(tmp_path))]
    assert environ == {REASON_VARIABLE: "no luck"}


def test_without_one_before_there_is_no_way_back() -> None:
    """C xenstored leaves none."""
    environ: dict[str, str] = {}

    go_back(environ, "no luck", lambda *_: pytest.fail("it was started"))

    assert environ == {}


def test_a_directory_that_is_gone_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it end anything."""
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    assert here() == ""
    move_to(str(gone))
    move_to(str(tmp_path))
    assert here() == str(tmp_path)


def test_options_that_oxenstored_hands_on_in_one_word_are_several() -> None:
    """They come behind its own; of nobody else a word with a blank is split."""
    words = ["--restart", "--live", "--config-file", "/f", "-N --journal"]

    found = Invocation.of(words).words

    assert found == ("--restart", "--live", "--config-file", "/f", "-N", "--journal")
    assert Invocation.of([*words, "-U"]).words[-2] == "-N --journal"
    assert Invocation.of(["-N --journal"]).words == ("-N --journal",)
