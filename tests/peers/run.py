"""Runs a daemon on a pretended Xen, in the foreground:

    .venv/bin/python -m tests.peers.run c DIRECTORY [OPTION...]
    .venv/bin/python -m tests.peers.run ocaml DIRECTORY [OPTION...]
    .venv/bin/python -m tests.peers.run shim DIRECTORY COMMAND [ARGUMENT...]

The first two are Xen's own, with the socket DIRECTORY/socket. The third is any program
that uses Xen's libraries. An oxenstored that has had domains ends by SIGKILL only.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.peers.build import on_shim
from tests.peers.programs import Program, c_xenstored, oxenstored


def main(kind: str, directory: Path, rest: list[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        program = {"c": c_xenstored, "ocaml": oxenstored}.get(kind, _any)(directory)
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(f"tests.peers.run: {missing}")
    words = [*program.words, *rest]
    os.execvpe(words[0], words, {**os.environ, **program.variables})  # noqa: S606


def _any(directory: Path) -> Program:
    return Program([], on_shim(directory))


if __name__ == "__main__":
    given = sys.argv[1:]
    if len(given) < 2 + (given[:1] == ["shim"]) or given[0] not in {
        "c",
        "ocaml",
        "shim",
    }:
        sys.exit(__doc__)
    main(given[0], Path(given[1]).resolve(), given[2:])
