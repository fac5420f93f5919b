"""A Debian 12 of one's own to install packages in; takes root."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, final

from tests.support.checks import nspawn, ran
from tests.support.processes import wait_until

NEEDED: Final = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "dpkg-deb": "dpkg",
}
"""Program -> Debian's package."""

_MOST_S: Final = 600

_CHANGING: Final = (
    *("dev", "etc/.pwd.lock", "etc/ld.so.cache", "proc", "root", "run/systemd", "sys"),
    *("tmp", "var/backups", "var/cache", "var/lib/apt", "var/lib/dpkg"),
    *("var/lib/systemd", "var/log/apt", "var/log/journal", "var/tmp"),
)
"""Below these, files come and go whatever package is installed."""


@final
class Root:
    """The root directory of a Debian system, and what runs in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._leader = 0

    def run(self, *words: str, check: bool = True) -> str:
        command = [*self.enter(), *words]
        done = ran(command, check=False, timeout=_MOST_S, env=_environment())
        output = done.stdout + done.stderr
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {output}")
        return output

    def enter(self) -> Sequence[str]:
        if self._leader:
            return ["nsenter", "-t", str(self._leader), "-a"]
        script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*namespaces, "sh", "-c", script, str(self.path)]

    def install(self, *packages: str) -> None:
        words = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        self.run(*words, *packages)

    def copy(self, file: Path) -> str:
        shutil.copy(file, self.path / "root")
        return f"/root/{file.name}"

    def has(self, path: str) -> bool:
        """Tell whether something is at an absolute path, be it a dead link."""
        return os.path.lexists(self.path / path[1:])

    def files(self) -> set[str]:
        """Return all paths that are the packages' and the administrator's."""
        found: set[str] = set()
        for parent, folders, names in os.walk(self.path):
            here = Path(parent).relative_to(self.path)
            inside = [str(here / name) for name in (*folders, *names)]
            found.update(path for path in inside if path not in _CHANGING)
            folders[:] = [name for name in folders if str(here / name) in found]
        return found

    @contextlib.contextmanager
    def booted(self) -> Iterator[None]:
        """Let its systemd run as process 1; `run` is in there meanwhile."""
        machine = f"--machine=xsd-{self.path.parent.name}"
        options = [f"--directory={self.path}", machine]
        log = self.path.parent / "boot"
        with nspawn(options, log, "multi-user.target") as leader:
            try:
                wait_until(lambda: self._is_up(leader()), "the container does not boot")
                yield
            finally:
                self._leader = 0

    def _is_up(self, leader: int) -> bool:
        self._leader = leader
        state = ""
        if leader:
            state = self.run("systemctl", "is-system-running", check=False)
        return state.strip() in {"running", "degraded"}


def _environment() -> dict[str, str]:
    proxies = {name: value for name, value in os.environ.items() if "_proxy" in name}
    return {
        **proxies,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


@contextlib.contextmanager
def fresh_root() -> Iterator[Root]:
    """Make the smallest Debian 12 that has apt-get, and remove it at the end.

    DEBIAN_MIRROR in the environment names another mirror.
    """
    with tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name:
        path = Path(name) / "root"
        mirror = os.environ.get("DEBIAN_MIRROR")
        words = ["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(path)]
        subprocess.run([*words, *([mirror] if mirror else [])], check=True)
        shutil.copy("/etc/resolv.conf", path / "etc" / "resolv.conf")
        root = Root(path)
        root.run("apt-get", "update", "--quiet")
        yield root
