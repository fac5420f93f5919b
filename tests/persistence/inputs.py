"""Inputs and checkpoints that tests and their processes know without words."""

from typing import Final

from xsd.engine.inputs import REQUEST, Input
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

END: Final = b"END"
"""What a whole checkpoint ends with here."""


def frame_of(payload: bytes, op: int = Op.WRITE) -> Frame:
    """A request as the engine is given it."""
    (frame,) = FrameDecoder().feed(encode_frame(op, 2**32 - 1, 7, payload))
    return frame


def write_of(number: int, size: int = 3) -> Input:
    """The input of a WRITE, told by a number."""
    payload = b"/a\0" + b"%0*d" % (size, number)
    return Input(REQUEST, number, 1, 0, frame_of(payload), ordinal=number)


def is_whole(content: bytes) -> bool:
    """Tell whether a checkpoint is."""
    return content.endswith(END)
