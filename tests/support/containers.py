"""A container engine and the containers of one test."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, Self, final

from tests.support.checks import ran
from tests.support.daemons import answers
from tests.support.processes import wait_until
from xsd.client import DisconnectedError

CONFINED: Final = (
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--network=none",
    "--pids-limit=64",
)
"""Options of everything that need not do more than serve on a socket."""


@final
class Engine:
    """A container engine, and what it has started here."""

    def __init__(self, program: str, image: str) -> None:
        self.program = program
        self.image = image
        self._names: list[str] = []
        self._volumes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self.attempt("rm", "--force", "--volumes", name)
        for volume in self._volumes:
            self.attempt("volume", "rm", "--force", volume)

    def __call__(self, *words: str) -> str:
        """Run a command that has to succeed, and return what it prints."""
        done = self.attempt(*words)
        assert done.returncode == 0, f"{self.program} {words}: {done.stderr}"
        return done.stdout.strip()

    def attempt(self, *words: str) -> "subprocess.CompletedProcess[str]":
        # podman's monitor leaves a file where it is when memory is short.
        options = {"cwd": tempfile.gettempdir(), "stdin": subprocess.DEVNULL}
        return ran([self.program, *words], check=False, timeout=120, **options)

    def volume(self) -> str:
        name = f"xsd-check-{os.getpid()}-{len(self._volumes)}"
        self("volume", "create", name)
        self._volumes.append(name)
        return name

    def start(
        self, *options: str, command: tuple[str, ...] = (), image: str = ""
    ) -> "Container":
        """Start a container and leave it to itself."""
        name = f"xsd-check-{os.getpid()}-{len(self._names)}"
        self._names.append(name)
        which = image or self.image
        self("run", "--detach", f"--name={name}", *options, which, *command)
        return Container(self, name)

    def run(self, *options: str, command: tuple[str, ...], image: str = "") -> str:
        container = self.start(*options, command=command, image=image)
        status = container.wait()
        assert status == 0, f"{command}: status {status}: {container.logs()}"
        return container.logs()


@final
class Container:
    """One container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def inspect(self, template: str) -> str:
        return self._engine("inspect", f"--format={template}", self.name)

    @property
    def pid(self) -> int:
        """Its first process, by the host's number."""
        return int(self.inspect("{{.State.Pid}}"))

    def attempt(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return self._engine.attempt("exec", self.name, *command)

    def execute(self, *command: str) -> str:
        """Run a command in it that has to succeed, and return what it prints."""
        return self._engine("exec", self.name, *command)

    def logs(self) -> str:
        done = self._engine.attempt("logs", self.name)
        return done.stdout + done.stderr

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logs().splitlines()]

    def wait(self) -> int:
        return int(self._engine("wait", self.name))

    def stop(self, seconds: int) -> int:
        """Stop it, by force after some seconds, and return its exit code."""
        self._engine("stop", f"--time={seconds}", self.name)
        return int(self.inspect("{{.State.ExitCode}}"))

    def kill(self) -> None:
        """Kill its process, as the kernel would, without the engine's knowing."""
        os.kill(self.pid, signal.SIGKILL)

    def wait_until_healthy(self) -> None:
        def healthy() -> bool:
            running = self.inspect("{{.State.Running}}") == "true"
            policy = self.inspect("{{.HostConfig.RestartPolicy.Name}}")
            assert running or policy not in {"", "no"}, self.logs()
            return self.attempt("xsd", "health").returncode == 0

        wait_until(healthy, f"{self.name} does not get healthy")


def wait_until_served(path: Path) -> None:
    def served() -> bool:
        with contextlib.suppress(DisconnectedError):
            return answers(path)
        return False

    wait_until(served, f"nobody serves on {path}")
