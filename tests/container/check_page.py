"""docs/container.md, typed as it stands, with the image that is built already."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal, environment_of, follow, prepare
from tests.support.containers import Engine

PAGE: Final = ROOT / "docs" / "container.md"

DOCKER: Final = """docker() {{
    local words=() word image=
    if [ "$1" = build ]; then return; fi
    for word; do
        if [ "$1$word$image" = runxsd ]; then word={image} image=known; fi
        words+=("$word")
    done
    {program} "${{words[@]}}" 2>>engine.log
}}"""
"""The engine that there is, with its image in the place of `xsd`; it may complain."""


@pytest.fixture
def scratch(engine: Engine) -> Iterator[Path]:
    """A directory; the containers that were started from it end first."""
    assert engine.attempt("container", "inspect", "xs").returncode, "there is an xs"
    directory = Path(tempfile.mkdtemp(prefix="xs"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        ours = engine("ps", "--all", "--quiet", f"--filter=ancestor={engine.image}")
        for name in ours.split():
            engine.attempt("rm", "--force", "--volumes", name)
        shutil.rmtree(directory)


def test_the_page_can_be_typed(engine: Engine, scratch: Path) -> None:
    """All of it, in its order."""
    blocks = blocks_of(PAGE)
    prepare(scratch, "\n".join(block.text for block in blocks))
    with Terminal(scratch, environment_of(scratch)) as terminal:
        terminal.run(DOCKER.format(program=engine.program, image=engine.image))
        for block in blocks:
            follow(block, scratch, {"": terminal})
