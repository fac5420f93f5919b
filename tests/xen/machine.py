"""A machine with Xen, emulated by QEMU: no virtualisation and no root is needed.

Emulation has faults of its own, which the processor that is chosen here keeps away
from. QEMU 7.2 with `-cpu max` does not do: with SMAP dom0's kernel dies at once; with
AVX some processes crash where Xen switches the registers lazily; a guest of type PVH
stops at RDTSCP.
"""

import io
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

from tests.xen.images import images

PROCESSOR: Final = "qemu64,+svm,+npt,+ssse3,+sse4.1,+sse4.2,+popcnt"
MEMORY_MIB: Final = 4096
DOM0_MIB: Final = 1536

_XEN: Final = (
    "console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning bootscrub=0"
    f" spec-ctrl=eager-fpu dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M"
)
_KERNEL: Final = "console=hvc0 panic=1 quiet"
_SECTOR: Final = 512
_LOOK_S: Final = 0.1


class MachineError(Exception):
    """The machine did not end by itself, or without having run its job."""


@final
class Job:
    """What a machine does: files for dom0's root directory, with `/job/run`."""

    def __init__(self, path: Path) -> None:
        """Begin the archive that dom0's init unpacks."""
        self._path = path
        self._archive = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115

    def add(self, source: Path, place: str) -> None:
        """Add a file, or a directory with all that is in it."""
        self._archive.add(source, place.lstrip("/"), filter=_without_owner)

    def write(self, place: str, text: str, *, mode: int = 0o644) -> None:
        data = text.encode()
        member = tarfile.TarInfo(place.lstrip("/"))
        member.size, member.mode = len(data), mode
        self._archive.addfile(member, io.BytesIO(data))

    def run(self, words: list[str], environment: Mapping[str, str]) -> None:
        lines = [
            *(f"export {name}={shlex.quote(x)}" for name, x in environment.items()),
            f"exec {shlex.join(words)}",
        ]
        self.write("/job/run", "\n".join(lines) + "\n")
        self._archive.close()
        size = self._path.stat().st_size
        os.truncate(self._path, -(-size // _SECTOR) * _SECTOR)


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


def start(
    cache: Path,
    prepare: Callable[[Job], None],
    on_line: Callable[[str], None],
    *,
    logs: Path,
    timeout_s: float,
) -> None:
    """Start a machine and wait for its end."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    serial = logs / "serial"
    # Also for QEMU, which keeps there what is written to dom0's disk.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        job, output, archive = (Path(scratch) / n for n in ("job", "output", "logs"))
        prepare(Job(job))
        output.touch()
        process = subprocess.Popen(
            _words(images(cache), job, output, archive, serial),
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": scratch},
        )
        try:
            with output.open(encoding="utf-8", errors="replace") as lines:
                _follow(process, lines, on_line, time.monotonic() + timeout_s)
        finally:
            process.kill()
            process.wait()
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(logs, filter="data")
        except (OSError, tarfile.ReadError) as error:
            tail = serial.read_text("utf-8", errors="replace")[-2000:]
            raise MachineError(
                f"dom0 left no logs ({error}); {serial}:\n{tail}"
            ) from None


def _follow(
    process: "subprocess.Popen[bytes]",
    lines: io.TextIOWrapper,
    on_line: Callable[[str], None],
    deadline: float,
) -> None:
    unfinished = ""
    ended = False
    while not ended:
        ended = process.poll() is not None
        *whole, unfinished = (unfinished + lines.read()).split("\n")
        for line in whole:
            on_line(line)
        if not ended and time.monotonic() > deadline:
            raise MachineError("the machine has not ended in time")
        if not ended:
            time.sleep(_LOOK_S)


def _words(
    files: Mapping[str, Path], job: Path, output: Path, archive: Path, serial: Path
) -> list[str]:
    modules = f"{files['vmlinux']} {_KERNEL},{files['initrd']}"
    return [
        "qemu-system-x86_64",
        *("-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR),
        *("-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none"),
        "-no-reboot",
        *("-kernel", str(files["xen"]), "-append", _XEN, "-initrd", modules),
        *("-drive", f"file={files['dom0.img']},format=raw,if=virtio,snapshot=on"),
        *("-drive", f"file={job},format=raw,if=virtio,readonly=on"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"file,id=output,path={output}"),
        *("-device", "virtserialport,chardev=output,name=output"),
        *("-chardev", f"file,id=logs,path={archive}"),
        *("-device", "virtserialport,chardev=logs,name=logs"),
        *("-serial", f"file:{serial}", "-monitor", "none"),
    ]
