"""The engine: connections, requests, replies and events, without any I/O."""

from xsd.engine.connection import HIGH_WATER, Connection
from xsd.engine.engine import Engine
from xsd.engine.notice import Notice

__all__ = ["HIGH_WATER", "Connection", "Engine", "Notice"]
