"""Which start of the machine this is: a store lives as long as that."""

from pathlib import Path
from typing import Final

_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id(file: Path = _FILE) -> str:
    """Return what is another word after each start of the machine.

    Returns:
        The word; "" if it cannot be read, as where a unit has `ProcSubset=pid`.
    """
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
