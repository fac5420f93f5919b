"""XenStore's wire protocol: what a server and a client must both know.

Bytes in, values out and back; no I/O, and nothing beyond the standard library.
The modules also hold a few names that would say too little here, such as the
rights of `xsd.protocol.perms`. One is loaded when a name of it is asked for.
"""

from xsd.protocol.lean import TYPE_CHECKING, gathered

if TYPE_CHECKING:
    from xsd.protocol.errors import Errno, FramingError, XenStoreError
    from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
    from xsd.protocol.limits import (
        ABS_PATH_MAX,
        DOMID_ANY,
        DOMID_FIRST_RESERVED,
        DOMID_INVALID,
        DOMID_MAX,
        DOMID_SELF,
        HEADER_SIZE,
        PAYLOAD_MAX,
        REL_PATH_MAX,
        RING_SIZE,
    )
    from xsd.protocol.ops import (
        FEATURE_DOMID_ANY,
        FEATURE_ERROR,
        FEATURE_RECONNECTION,
        FEATURE_WATCH_DEPTH,
        FEATURES,
        Op,
    )
    from xsd.protocol.path import Path, format_path, is_special, parse_path
    from xsd.protocol.perms import (
        Caller,
        Entry,
        Permissions,
        names_a_domain,
        owner_only,
        parse_permissions,
    )
    from xsd.protocol.reply import (
        OK,
        directory_part_payload,
        encode_error,
        encode_event,
        encode_reply,
        names_payload,
        number_payload,
        text_payload,
    )
    from xsd.protocol.request import (
        Control,
        Directory,
        DirectoryPart,
        GetDomainPath,
        GetFeature,
        GetPerms,
        GetQuota,
        Introduce,
        IsDomainIntroduced,
        Mkdir,
        Read,
        Release,
        Request,
        ResetWatches,
        Resume,
        Rm,
        SetFeature,
        SetPerms,
        SetQuota,
        SetTarget,
        TransactionEnd,
        TransactionStart,
        Unwatch,
        Watch,
        Write,
        parse_request,
    )
    from xsd.protocol.ring import Ring, RingError

__all__ = [
    "ABS_PATH_MAX",
    "DOMID_ANY",
    "DOMID_FIRST_RESERVED",
    "DOMID_INVALID",
    "DOMID_MAX",
    "DOMID_SELF",
    "FEATURES",
    "FEATURE_DOMID_ANY",
    "FEATURE_ERROR",
    "FEATURE_RECONNECTION",
    "FEATURE_WATCH_DEPTH",
    "HEADER_SIZE",
    "OK",
    "PAYLOAD_MAX",
    "REL_PATH_MAX",
    "RING_SIZE",
    "Caller",
    "Control",
    "Directory",
    "DirectoryPart",
    "Entry",
    "Errno",
    "Frame",
    "FrameDecoder",
    "FramingError",
    "GetDomainPath",
    "GetFeature",
    "GetPerms",
    "GetQuota",
    "Introduce",
    "IsDomainIntroduced",
    "Mkdir",
    "Op",
    "Path",
    "Permissions",
    "Read",
    "Release",
    "Request",
    "ResetWatches",
    "Resume",
    "Ring",
    "RingError",
    "Rm",
    "SetFeature",
    "SetPerms",
    "SetQuota",
    "SetTarget",
    "TransactionEnd",
    "TransactionStart",
    "Unwatch",
    "Watch",
    "Write",
    "XenStoreError",
    "directory_part_payload",
    "encode_error",
    "encode_event",
    "encode_frame",
    "encode_reply",
    "format_path",
    "is_special",
    "names_a_domain",
    "names_payload",
    "number_payload",
    "owner_only",
    "parse_path",
    "parse_permissions",
    "parse_request",
    "text_payload",
]

if not TYPE_CHECKING:
    __getattr__ = gathered(
        __name__,
        (
            "xsd.protocol.errors",
            "xsd.protocol.frame",
            "xsd.protocol.limits",
            "xsd.protocol.ops",
            "xsd.protocol.path",
            "xsd.protocol.perms",
            "xsd.protocol.reply",
            "xsd.protocol.request",
            "xsd.protocol.ring",
        ),
    )

# The files lie where a path that has the repository also finds them without xsd.
if __name__ != "xsd.protocol":
    raise ImportError("the protocol is to be imported as xsd.protocol")
