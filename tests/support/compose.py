"""The containers of a compose file, for an engine without compose.

It knows the part of the format that our example uses, and refuses everything else:
what it would pass over would be a difference between what is tested and what is
written there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import yaml

SERVICE_KEYS: Final = (
    *("build", "cap_drop", "command", "depends_on", "image", "network_mode"),
    *("read_only", "security_opt", "user", "volumes"),
)


class ComposeError(Exception):
    """The file is not a compose file, or uses what is not known here."""


@final
@dataclass(frozen=True, slots=True)
class Service:
    """One container."""

    name: str
    image: str
    build: Path | None  # the image's directory, if this service says so
    command: tuple[str, ...]  # empty for what the image says
    mounts: tuple[tuple[str, str], ...]  # volume or file of the host, and `:/a:ro`
    waits_for: tuple[str, ...]  # services that have to be healthy first
    options: tuple[str, ...]  # words for `run`, without the mounts


def read_compose(path: Path) -> list[Service]:
    """Return the services, those first that others wait for."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check_keys(document, {"services", "volumes"}, "the file")
    volumes = document.get("volumes", {})
    services = [
        _service(name, entry, volumes, path.parent)
        for name, entry in document["services"].items()
    ]
    known: list[str] = []
    while len(known) < len(services):
        ready = [
            service.name
            for service in services
            if service.name not in known and set(service.waits_for) <= set(known)
        ]
        if not ready:
            raise ComposeError("services wait for each other, or for none of these")
        known += ready
    return sorted(services, key=lambda service: known.index(service.name))


def _service(
    name: str, entry: dict[str, Any], volumes: dict[str, Any], directory: Path
) -> Service:
    _check_keys(entry, SERVICE_KEYS, name)
    for other, condition in entry.get("depends_on", {}).items():
        if condition != {"condition": "service_healthy"}:
            raise ComposeError(f"{name} waits for {other} in another way")
    options = [f"--cap-drop={word}" for word in entry.get("cap_drop", [])]
    options += [f"--security-opt={word}" for word in entry.get("security_opt", [])]
    options += ["--read-only"] if entry.get("read_only") else []
    for key, option in (("network_mode", "network"), ("user", "user")):
        options += [f"--{option}={entry[key]}"] if key in entry else []
    return Service(
        name=name,
        image=entry["image"],
        build=(directory / entry["build"]).resolve() if "build" in entry else None,
        command=tuple(entry.get("command", ())),
        mounts=tuple(
            _mount(text, volumes, directory) for text in entry.get("volumes", [])
        ),
        waits_for=tuple(entry.get("depends_on", {})),
        options=tuple(options),
    )


def _mount(text: str, volumes: dict[str, Any], directory: Path) -> tuple[str, str]:
    source, colon, rest = text.partition(":")
    if not rest.startswith("/"):
        raise ComposeError(f"{text} is no volume and the place for it")
    if source.startswith("."):
        file = (directory / source).resolve()
        if not file.exists():
            raise ComposeError(f"there is no {file}")
        return str(file), colon + rest
    if source not in volumes or volumes[source] is not None:
        raise ComposeError(f"{source} is no volume of the file without options")
    return source, colon + rest


def _check_keys(entry: object, known: Iterable[str], what: str) -> None:
    if not isinstance(entry, dict):
        raise ComposeError(f"{what} is no mapping")
    if unknown := set(entry).difference(known):
        raise ComposeError(f"{what} has {sorted(unknown)}")
