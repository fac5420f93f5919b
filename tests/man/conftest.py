"""Fixtures for the tests of the manual pages."""

from tests.cli.conftest import called, daemon_socket, xsd

__all__ = ["called", "daemon_socket", "xsd"]
