"""What tests do about programs that are not installed."""

import pytest

from tests.conftest import NeedProgram


def test_a_program_that_is_there_is_found(need_program: NeedProgram) -> None:
    """The path can be started."""
    assert need_program("sh", "dash").endswith("/sh")


def test_a_missing_program_skips_and_names_the_package(
    need_program: NeedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer without Xen's tools can run the other tests."""
    monkeypatch.delenv("XSD_CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="apt-get install some-package"):
        need_program("no-such-program", "some-package")


def test_a_missing_program_fails_in_ci(
    need_program: NeedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a forgotten package would turn tests off unseen."""
    monkeypatch.setenv("XSD_CI", "1")

    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        need_program("no-such-program", "some-package")
