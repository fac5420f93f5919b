"""What a toolstack gives each domain; light, for guests that are processes."""

from xsd.client import Client


def home(domid: int) -> bytes:
    """The home of a domain."""
    return b"/local/domain/%d" % domid


def welcome(dom0: Client, domid: int, port: int) -> None:
    """Give a domain its home, and introduce it."""
    dom0.mkdir(home(domid))
    dom0.set_permissions(home(domid), [b"n%d" % domid])
    dom0.introduce(domid, 1, port)
