"""Close codes of a WebSocket: RFC 6455 §7.4.1, and those of our own (docs/protocol.md)."""

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
SERVICE_RESTART = 1012
HEARTBEAT_TIMEOUT = 4000
UNAUTHORIZED = 4401


def is_final(code: int) -> bool:
    """Return whether a close code ends the connection for good: 1000 and 4400–4499."""
    return code == NORMAL_CLOSURE or 4400 <= code <= 4499
