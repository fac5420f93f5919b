"""examples/compose: its three containers do what it says they do."""

import os
from pathlib import Path
from typing import Final

from tests.support.compose import Service, read_compose
from tests.support.containers import Container, Engine

COMPOSE: Final = Path(__file__).parents[2] / "examples" / "compose" / "compose.yaml"


def test_the_guests_of_the_example_meet(engine: Engine) -> None:
    """Compose itself is not needed: they are started one by one as it would."""
    images = {"xsd": engine.image, "xsd-tools": os.environ["XSD_TOOLS_IMAGE"]}
    volume = engine.volume()
    running: dict[str, Container] = {}

    def start(service: Service) -> Container:
        for name in service.waits_for:
            running[name].wait_until_healthy()
        mounts = [
            f"--volume={volume if source == 'xenstore' else source}{place}"
            for source, place in service.mounts
        ]
        options, image = (*service.options, *mounts), images[service.image]
        return engine.start(*options, command=service.command, image=image)

    for service in read_compose(COMPOSE):
        running[service.name] = start(service)

    assert running["dom0"].wait() == 0, running["dom0"].logs()
    assert running["guests"].wait() == 0, running["guests"].logs()
    shown = running["dom0"].logs()
    assert '/data/answer = "read: hello from guest-2"   (n1,r2)\n' in shown
    assert '/data/answer = "read: hello from guest-1"   (n2,r1)\n' in shown
    ends = sorted(running["guests"].logs().splitlines())
    assert ends == ["guest-1: poweroff", "guest-2: poweroff"]
    assert running["xenstored"].stop(1) == 0
