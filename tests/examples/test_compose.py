"""examples/compose: the file is what the test of the image runs."""

from pathlib import Path

import pytest

from tests.support.compose import ComposeError, read_compose

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "examples" / "compose" / "compose.yaml"
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def test_the_daemon_comes_first() -> None:
    """The others wait until it is healthy."""
    daemon, *others = read_compose(COMPOSE)

    assert (daemon.name, daemon.waits_for) == ("xenstored", ())
    assert {service.name for service in others} == {"guests", "dom0"}
    assert {service.waits_for for service in others} == {("xenstored",)}


def test_images_are_built_from_what_is_here() -> None:
    """Each by one service, from a directory with a Dockerfile."""
    services = read_compose(COMPOSE)
    built = {service.image: service.build for service in services if service.build}

    assert built == {"xsd": ROOT, "xsd-tools": ROOT / "examples" / "compose" / "tools"}
    assert {service.image for service in services} == set(built)
    assert all((directory / "Dockerfile").is_file() for directory in built.values())


def test_all_have_the_directory_of_the_sockets() -> None:
    """In the place where the tools and the daemon look for it."""
    for service in read_compose(COMPOSE):
        assert ("xenstore", ":/run/xenstored") in service.mounts


def test_the_daemon_is_confined() -> None:
    """As far as a container can be: the example is copied."""
    daemon = read_compose(COMPOSE)[0]

    assert daemon.command == ()
    assert set(daemon.options) == {
        "--cap-drop=all",
        "--network=none",
        "--read-only",
        "--security-opt=no-new-privileges",
        "--user=65532:65532",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "the file is no mapping"),
        ("secrets: {}", "the file has"),
        ("services: {a: {image: a, restart: always}}", "a has"),
        ("services: {a: {image: a, volumes: ['b:/b']}}", "b is no volume"),
        ("services: {a: {image: a, volumes: ['./b:/b']}}", "there is no"),
        ("services: {a: {image: a, volumes: ['./b']}}", "is no volume and"),
        ("services: {a: {image: a, depends_on: {b: {}}}}", "in another way"),
        (
            "services: {a: {image: a, depends_on: {b: {condition: service_healthy}}}}",
            "wait for each other",
        ),
    ],
)
def test_what_would_be_passed_over_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    """Else the file could say what no test has tried."""
    path = tmp_path / "compose.yaml"
    path.write_text(text)

    with pytest.raises(ComposeError, match=reason):
        read_compose(path)


def test_image_is_made_of_what_the_dockerfile_copies() -> None:
    """What .dockerignore does not name is not there to be copied."""
    named = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    copied = {
        word.rstrip("/")
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }

    assert "*" in IGNORED
    assert copied == named
    assert all((ROOT / name).exists() for name in named)
