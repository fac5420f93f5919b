"""What a machine with Xen is started from, built out of Debian's packages.

    python3 -m tests.xen.images

leaves in the cache directory (see `cache_directory`), in a minute and with 3 GB:

    xen        the hypervisor, an ELF file as QEMU's multiboot takes it
    vmlinux    Debian's kernel, uncompressed, for dom0 and its guests
    initrd     finds dom0's disk
    dom0.img   dom0's root file system
    root/      the same as a directory; what the next build starts from

It needs root, for mmdebstrap. Nothing is installed on this machine.
"""

import gzip
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
RELEASE: Final = "4.17"

PACKAGES: Final = (
    *(f"xen-utils-{RELEASE}", "xenstore-utils", "python3-venv", "iproute2", "mount"),
    *("procps", "kmod", "busybox-static", "lsb-base", "init-system-helpers"),
    "initscripts",
)
"""Of dom0. `initscripts` has what Debian's script for Xen's daemons includes."""

TOOLS: Final = {
    "mmdebstrap": "mmdebstrap",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
    "mke2fs": "e2fsprogs",
    "depmod": "kmod",
    "gcc": "gcc",
}
"""Programs of this machine, and the packages that have them."""

DOM0_MODULES: Final = (
    *("xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd"),
    *("xen-netback", "xen-blkback", "loop", "bridge", "tun"),
)
DISK_MODULES: Final = (
    *("virtio_pci", "virtio_blk", "virtio_console", "ext4", "crc32c_generic"),
)
GUEST_MODULES: Final = ("xenfs", "xen-evtchn", "xen-netfront", "xen-blkfront")

GUEST_LIBRARIES: Final = (
    *("libxenstore.so.4", "libxentoolcore.so.1", "libc.so.6", "libgcc_s.so.1"),
)
CLIENTS: Final = ("read", "write", "list", "ls", "rm", "exists", "watch", "chmod")

_HERE: Final = Path(__file__).resolve().parent
_LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
_PAYLOAD_AT: Final = 0x248
"""Where a bzImage tells offset and length of its compressed kernel (boot.rst)."""


def cache_directory() -> Path:
    """Return where images are kept: XSD_XEN_CACHE, else a place for caches."""
    chosen = os.environ.get("XSD_XEN_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "/var/tmp") / "xsd-xen"  # noqa: S108


def images(directory: Path) -> dict[str, Path]:
    return {name: directory / name for name in ("xen", "vmlinux", "initrd", "dom0.img")}


def build(directory: Path) -> None:
    """Build what is missing or older than the files it is made of."""
    sources = [*_HERE.glob("dom0/init*"), *_HERE.glob("domu/*"), Path(__file__)]
    newest = max(path.stat().st_mtime for path in sources)
    built = images(directory)["dom0.img"]
    if built.exists() and built.stat().st_mtime > newest:
        return
    _check_tools()
    directory.mkdir(parents=True, exist_ok=True)
    root = directory / "root"
    stamp = directory / "packages"
    wanted = "\n".join((SUITE, *PACKAGES))
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        stamp.unlink(missing_ok=True)
        _debootstrap(root)
        _unpack_kernel(root, directory)
        stamp.write_text(wanted, "utf-8")
    _say("initial ram disks")
    modules = Modules(directory / "kernel")
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        _make_initrd(root, modules, Path(scratch) / "dom0", directory / "initrd")
        _make_guest(root, modules, Path(scratch) / "domu", directory)
    _make_disk(root, modules, directory)


def _say(what: str) -> None:
    sys.stderr.write(f"images: {what}\n")


def _run(*words: str | Path, **options: object) -> None:
    subprocess.run(words, check=True, **options)  # type: ignore[call-overload]


def _check_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        sys.exit(f"images: missing here: apt-get install {' '.join(missing)}")
    if os.geteuid():
        sys.exit("images: mmdebstrap makes dom0's disk as root only")


def _debootstrap(root: Path) -> None:
    """Make dom0's root directory, with the packages of its kernel beside it."""
    _say(f"Debian {SUITE} for dom0")
    if root.exists():
        shutil.rmtree(root)
    # Dom0's packages come in the way that this machine's do: proxy, mirrors' dates.
    ours = subprocess.run(
        ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', "Acquire"],
        check=True,
        capture_output=True,
    )
    download = (
        'mkdir "$1/kernel" && cd "$1/kernel"'
        ' && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"'
        " && kernel=$(apt-cache depends linux-image-amd64 |"
        " sed -n 's/^ *Depends: //p' | head -n 1)"
        f" && apt-get -q -o APT::Sandbox::User=root download"
        f' xen-hypervisor-{RELEASE}-amd64 "$kernel"'
    )
    with tempfile.NamedTemporaryFile(suffix=".conf") as settings:
        settings.write(ours.stdout)
        settings.flush()
        unwanted = ("doc", "man", "locale")
        _run(
            *("mmdebstrap", "--quiet", "--variant=essential", "--architectures=amd64"),
            f"--aptopt={settings.name}",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in unwanted),
            f"--include={','.join(PACKAGES)}",
            f"--customize-hook={download}",
            *(SUITE, root),
        )


def _unpack_kernel(root: Path, directory: Path) -> None:
    unpacked = directory / "kernel"
    shutil.rmtree(unpacked, ignore_errors=True)
    for package in (root / "kernel").glob("*.deb"):
        _run("dpkg-deb", "-x", package, unpacked)
    shutil.rmtree(root / "kernel")
    (hypervisor,) = unpacked.glob("boot/xen-*-amd64.gz")
    (directory / "xen").write_bytes(gzip.decompress(hypervisor.read_bytes()))
    (kernel,) = unpacked.glob("boot/vmlinuz-*")
    (directory / "vmlinux").write_bytes(uncompressed(kernel.read_bytes()))
    (release,) = (unpacked / "lib/modules").iterdir()
    _run("depmod", "-b", unpacked, release.name)


def uncompressed(image: bytes) -> bytes:
    """Return the ELF file that an xz-compressed bzImage carries.

    Xen could unpack it at each start, which takes long where it is emulated.
    """
    offset, length = struct.unpack_from("<II", image, _PAYLOAD_AT)
    setup_sectors = image[0x1F1] or 4
    start = 512 * (setup_sectors + 1) + offset
    # The length of the result follows the stream.
    return lzma.LZMADecompressor().decompress(image[start : start + length])


class Modules:
    """The modules of an unpacked kernel."""

    def __init__(self, unpacked: Path) -> None:
        (self._directory,) = (unpacked / "lib/modules").iterdir()
        self.release = self._directory.name
        self._needs: dict[str, list[str]] = {}
        for line in (self._directory / "modules.dep").read_text("utf-8").splitlines():
            path, _, others = line.partition(":")
            self._needs[Path(path).stem.replace("_", "-")] = [path, *others.split()]

    def copy(self, names: Iterable[str], into: Path) -> None:
        """Copy modules, with all that they need, to where `modprobe` looks."""
        place = into / "lib/modules" / self.release
        place.mkdir(parents=True, exist_ok=True)
        for listing in self._directory.glob("modules.*"):
            shutil.copy(listing, place)
        for name in names:
            for path in self._needs[name.replace("_", "-")]:
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._directory / path, place / path)
        _run("depmod", "-b", into, self.release)


def _pack(directory: Path, busybox: Path, archive: Path) -> None:
    names = sorted(path.relative_to(directory) for path in directory.rglob("*"))
    with archive.open("wb") as output:
        _run(
            *(busybox, "cpio", "-o", "-H", "newc"),
            cwd=directory,
            input="".join(f"{name}\n" for name in names).encode(),
            stdout=output,
            stderr=subprocess.DEVNULL,
        )


def _begin(directory: Path, root: Path, init: Path, folders: Sequence[str]) -> None:
    for name in ("bin", "dev", "proc", "sys", *folders):
        (directory / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", directory / "bin/busybox")
    shutil.copy(init, directory / "init")
    (directory / "init").chmod(0o755)


def _make_initrd(root: Path, modules: Modules, into: Path, archive: Path) -> None:
    _begin(into, root, _HERE / "dom0/initrd", ("root",))
    modules.copy(DISK_MODULES, into)
    _pack(into, root / "bin/busybox", archive)


def _make_guest(root: Path, modules: Modules, into: Path, directory: Path) -> None:
    """Put a guest's kernel and ram disk into dom0's root directory."""
    _begin(into, root, _HERE / "domu/init", ("lib64", "sbin", "tmp", "run"))
    # What the kernel runs when the toolstack asks it to shut down.
    for name in ("poweroff", "reboot"):
        script = into / "sbin" / name
        script.write_text(f"#!/bin/busybox sh\nexec /bin/busybox {name} -f\n", "utf-8")
        script.chmod(0o755)
    modules.copy(GUEST_MODULES, into)
    shutil.copy(root / "usr/bin/xenstore", into / "bin")
    for name in CLIENTS:
        (into / f"bin/xenstore-{name}").symlink_to("xenstore")
    for library in GUEST_LIBRARIES:
        shutil.copy(root / _LIBRARIES / library, into / "lib")
    shutil.copy(root / "usr/lib64/ld-linux-x86-64.so.2", into / "lib64")
    place = root / "guest"
    place.mkdir(exist_ok=True)
    _pack(into, root / "bin/busybox", place / "initrd")
    shutil.copy(directory / "vmlinux", place / "vmlinux")
    _run(
        "gcc",
        *("-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"),
        # It has no stack protector's data, no exceptions, and no room for SSE.
        *("-fno-stack-protector", "-fno-asynchronous-unwind-tables"),
        *("-fcf-protection=none", "-mgeneral-regs-only"),
        *("-fno-pic", "-no-pie", "-static", "-Wl,-Ttext-segment=0x100000"),
        *("-Wl,--build-id=none", "-o", place / "hostile"),
        *(_HERE / "domu/hostile.S", _HERE / "domu/hostile.c"),
    )


def _make_disk(root: Path, modules: Modules, directory: Path) -> None:
    _say("dom0's disk")
    modules.copy((*DOM0_MODULES, *DISK_MODULES), root)
    shutil.copy(_HERE / "dom0/init", root / "xsd-init")
    (root / "xsd-init").chmod(0o755)
    (root / "etc/hosts").write_text("127.0.0.1 localhost dom0\n", "utf-8")
    used = subprocess.run(["du", "-sm", root], check=True, capture_output=True)
    size = int(used.stdout.split()[0]) * 5 // 4 + 1024
    image = directory / "dom0.img"
    # Not in place of a good one before it is whole.
    unfinished = directory / "dom0.unfinished"
    unfinished.unlink(missing_ok=True)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, unfinished, f"{size}M")
    unfinished.replace(image)


if __name__ == "__main__":
    build(cache_directory())
    _say(f"in {cache_directory()}")
