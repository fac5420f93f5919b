"""Fixtures for the tests of the completion."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.cli.conftest import called, client, daemon_socket, xsd
from tests.support.checks import ran
from tests.support.daemons import environment

__all__ = ["called", "client", "daemon_socket", "xsd"]

COMPLETION: Final = Path(__file__).resolve().parents[2] / "completion" / "xsd.bash"

# What readline leaves for the function that `complete` names, which is called so.
_SCRIPT: Final = r"""
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
compopt() { printf 'option %s\n' "$2"; }
complete -p "${1##*/}" >/dev/null || exit 3
function=$(complete -p "${1##*/}"); function=${function#complete -F }
"${function%% *}" "$1" "${*: -1}" "${*: -2:1}" || :
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""

Offered = Callable[..., list[str]]


@pytest.fixture(scope="session")
def bash() -> str:
    found = shutil.which("bash")
    assert found
    return found


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "xsd"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m xsd "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def offered(bash: str, program: Path, tmp_path: Path) -> Offered:
    """Return what is offered for the last of the words of a command line.

    Words are as bash cuts them, without the program's; what the completion tells
    readline beside the words begins with `option`.
    """

    def run(
        *words: str, name: str = "", socket: Path | None = None, seconds: str = "60"
    ) -> list[str]:
        variables = {
            "XENSTORED_PATH": str(socket or "/none"),
            "XSD_COMPLETION_SECONDS": seconds,
        }
        command = [bash, "-c", _SCRIPT, "bash", str(COMPLETION), name or str(program)]
        environ = {**environment(), **variables}
        done = ran([*command, *words], cwd=tmp_path, env=environ)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run
