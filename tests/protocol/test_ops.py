"""Message types and features."""

from xsd.protocol.ops import (
    FALSE,
    FEATURE_DOMID_ANY,
    FEATURE_ERROR,
    FEATURE_RECONNECTION,
    FEATURE_WATCH_DEPTH,
    FEATURES,
    OP_LIMIT,
    TRUE,
    Op,
)


def test_message_types_have_the_numbers_of_xs_wire() -> None:
    """The order is that of the header file; CONTROL was once DEBUG."""
    names = [op.name for op in Op]

    assert " ".join(names) == (
        "CONTROL DIRECTORY READ GET_PERMS WATCH UNWATCH TRANSACTION_START "
        "TRANSACTION_END INTRODUCE RELEASE GET_DOMAIN_PATH WRITE MKDIR RM "
        "SET_PERMS WATCH_EVENT ERROR IS_DOMAIN_INTRODUCED RESUME SET_TARGET "
        "RESET_WATCHES DIRECTORY_PART GET_FEATURE SET_FEATURE GET_QUOTA SET_QUOTA"
    )
    assert [int(op) for op in Op] == [n for n in range(OP_LIMIT) if n != 20]


def test_all_features_are_offered() -> None:
    """Those of the C daemon (error field, watch depth, DOMID_ANY) and reconnection."""
    assert (FEATURE_RECONNECTION, FEATURE_ERROR) == (1, 2)
    assert (FEATURE_WATCH_DEPTH, FEATURE_DOMID_ANY) == (4, 8)
    assert FEATURES == 15


def test_answers_are_a_letter_and_a_nul() -> None:
    """Also in TRANSACTION_END, where they say whether to commit."""
    assert (TRUE, FALSE) == (b"T\0", b"F\0")
