"""container/entrypoint: what it runs, and as whom."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.checks import ran
from xsd.cli.main import ORIGINALS

ENTRYPOINT: Final = Path(__file__).parents[2] / "container" / "entrypoint"
SOMEBODY: Final = 12345


@pytest.fixture
def programs() -> Iterator[Path]:
    """A directory with programs that print their user, name and words."""
    # Other users have to get there, who may not enter pytest's.
    path = Path(tempfile.mkdtemp(prefix="xsd"))
    path.chmod(0o755)
    for name in ("xsd", "xenstored", "xenstore-ls"):
        program = path / name
        program.write_text('#!/bin/sh\necho "$(id -u) ${0##*/} $*"\nid -G\n')
        program.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def rundir(programs: Path) -> Path:
    path = programs / "run"
    path.mkdir()
    return path


def test_the_image_has_the_names_of_the_original_tools() -> None:
    """All those by which xsd can be called."""
    text = (ENTRYPOINT.parents[1] / "Dockerfile").read_text()
    found = re.search(r"for tool in (.*); do", text)

    assert found
    assert sorted(found[1].split()) == sorted(ORIGINALS)


def entered(programs: Path, *words: str) -> list[str]:
    path = f"{programs}:{os.environ['PATH']}"
    environ = {"PATH": path, "XENSTORED_RUNDIR": str(programs / "run")}
    return ran([str(ENTRYPOINT), *words], env=environ).stdout.splitlines()


@pytest.mark.usefixtures("rundir")
@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["xsd", "serve"], "xsd serve"),
        (["-Q", "nodes=5"], "xsd serve -Q nodes=5"),
        (["--help"], "xsd serve --help"),
        (["xenstored", "-N"], "xenstored -N"),
        (["xenstore-ls", "-f", "/a b"], "xenstore-ls -f /a b"),
        (["xsd", "read", "/a"], "xsd read /a"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_are_the_daemons_and_other_words_a_command(
    programs: Path, words: list[str], run: str
) -> None:
    """As with other images."""
    assert entered(programs, *words)[0] == f"{os.getuid()} {run}"


@pytest.mark.parametrize(
    ("words", "user"),
    [
        (["xsd", "serve"], SOMEBODY),
        (["xenstored", "-N"], SOMEBODY),
        (["-N"], SOMEBODY),
        # A client may use a socket whoever has made it.
        (["xsd", "health"], 0),
        (["xenstore-ls"], 0),
    ],
)
def test_daemon_becomes_the_owner_of_the_directory(
    programs: Path, rundir: Path, words: list[str], user: int
) -> None:
    """With the owner's group, and none of root's; clients stay root."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    os.chown(rundir, SOMEBODY, SOMEBODY)
    command, groups = entered(programs, *words)
    assert command.startswith(f"{user} x")
    assert user == 0 or groups == str(SOMEBODY)


def test_the_image_says_what_the_page_says_of_its_health() -> None:
    """How often an engine asks."""
    root = ENTRYPOINT.parents[1]
    page = (root / "docs" / "container.md").read_text()
    assert "`HEALTHCHECK` runs it every 5 seconds" in page
    assert "HEALTHCHECK --interval=5s " in (root / "Dockerfile").read_text()


def test_missing_directory_changes_nobody(programs: Path) -> None:
    """The daemon makes it, if it can."""
    assert entered(programs, "xsd", "serve")[0] == f"{os.getuid()} xsd serve"
