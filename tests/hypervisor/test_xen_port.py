"""The real hypervisor and the port that a domain's page may name."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import NeedProgram
from tests.hypervisor.shim import Shim, ShimProcess, shim_process, under_shim
from tests.support.pretended import PORT_WORD, port_in_page
from xsd.hypervisor.xen import XenHypervisor


@pytest.fixture(scope="module")
def on_xen(
    need_program: NeedProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShimProcess]:
    """Start the process that runs the tests made by `under_shim`."""
    yield from shim_process(need_program, tmp_path_factory.mktemp("xen"))


def mappings_of(name: str) -> int:
    """Return how often a file is mapped into this process."""
    maps = Path("/proc/self/maps").read_text("ascii")
    return sum(line.endswith(f"/{name}") for line in maps.splitlines())


@under_shim
def test_a_port_in_the_page_is_bound(shim: Shim) -> None:
    """In the place of the one that was told, which need not exist."""
    with closing(shim.guest(5)) as guest, closing(XenHypervisor()) as xen:
        guest.words[PORT_WORD] = guest.port
        channel = xen.connect(5, 77, port_in_page)
        guest.notify()

        assert channel.remote_port == guest.port
        assert xen.pending() == ([channel.port], False)


@under_shim
def test_a_wrong_port_in_the_page_is_no_hindrance(shim: Shim) -> None:
    """The port that was told counts then; two wrong ones leave nothing mapped."""
    with closing(shim.guest(5)) as guest, closing(XenHypervisor()) as xen:
        mapped = mappings_of("ring-5")
        for wrong in (77, 0xFFFFFFFF):
            guest.words[PORT_WORD] = wrong
            with pytest.raises(OSError, match=r"bind_interdomain\(5, 78\)"):
                xen.connect(5, 78, port_in_page)
        still = mappings_of("ring-5")

        assert still == mapped
        assert xen.connect(5, guest.port, port_in_page).remote_port == guest.port
