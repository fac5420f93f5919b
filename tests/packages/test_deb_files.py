"""What the Debian package is made of, as far as it can be seen without building it."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import broken_links_of, links_of

ROOT = Path(__file__).resolve().parents[2]
DEB = ROOT / "packages" / "deb"
ENTRIES = {"xsd": "xsd", "xsd-xenstored": "xenstored"}


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_of_the_package_are_for_any_shell(name: str) -> None:
    """dpkg has /bin/sh run them."""
    script = DEB / name
    subprocess.run(["/bin/sh", "-n", script], check=True)
    assert script.read_text().startswith("#!/bin/sh\nset -e\n")


@pytest.mark.parametrize(("name", "command"), ENTRIES.items())
def test_programs_of_the_package_are_those_of_the_wheel(
    name: str, command: str
) -> None:
    """The same function, by Debian's own Python and nobody's variables."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"][command].partition(":")
    lines = (DEB / name).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/python3 -I"
    assert f"from {module} import {function}" in lines
    assert lines[-1] == f"sys.exit({function}())"
    assert callable(getattr(importlib.import_module(module), function))


def test_the_package_gives_way_to_others_of_the_same_name() -> None:
    """dpkg would refuse to overwrite their file in the middle of an installation."""
    control = (DEB / "control.in").read_text()
    page = (ROOT / "docs" / "packages.md").read_text()
    assert "`mono-devel` has a `/usr/bin/xsd` too" in page
    assert "\nConflicts: mono-devel\n" in control


def test_the_package_has_every_unit_and_page() -> None:
    """Which file goes where is said by name in the script."""
    script = (ROOT / "packages" / "build-deb").read_text()
    for file in (ROOT / "systemd").rglob("*"):
        folder, name = file.parent.name, file.name
        if file.is_file():
            assert f"{folder}/{name}" in script or f"{folder}/*" in script, name
    for page in (ROOT / "man").iterdir():
        assert re.fullmatch(r".+\.[158]", page.name)


def test_links_of_the_packages_pages_lead_somewhere(tmp_path: Path) -> None:
    """To what the package has; what only the sources have is not linked."""
    folder = tmp_path / "doc"
    subprocess.run([DEB / "install-docs", folder], check=True)
    pages = sorted(folder.rglob("*.md"))
    assert folder / "docs" / "index.md" in pages
    assert any(links_of(page) for page in pages)
    broken = {page.name: broken_links_of(page, folder) for page in pages}
    assert {name: links for name, links in broken.items() if links} == {}


def test_names_of_the_package_are_the_names_that_xsd_goes_by() -> None:
    """One for each of the xenstore-* tools that it stands in for."""
    script = (ROOT / "packages" / "build-deb").read_text()
    main = importlib.import_module("xsd.cli.main")
    found = re.search(r"^for tool in (.+); do$", script, re.MULTILINE)
    assert found
    assert sorted(found[1].split()) == sorted(main.ORIGINALS)
