"""What went wrong, and how much there is, in words for the person at the page."""

from services.errors import ConnectionFailed, HTTPFailed, RealtimeError, RequestTimeout


def explain(error: RealtimeError) -> str:
    """Return the end of a sentence that began with what did not work."""
    match error:
        case ConnectionFailed():
            return "the server cannot be reached"
        case RequestTimeout():
            return "the server did not answer in time"
        case HTTPFailed(status=429):
            return "too many in a short time, wait a moment"
        case HTTPFailed(status=status) if status >= 500:
            return f"the server has a problem (HTTP {status})"
        case HTTPFailed(message=message):
            return message
    return str(error)


def counted(many: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"
