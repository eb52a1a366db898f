"""Why a connection ended, in words: close codes of a WebSocket and HTTP statuses."""

NO_NETWORK = "the network was lost, or the server is away"

CODES = {
    # RFC 6455 §7.4.1 and the registry it began
    1000: "closed normally",
    1001: "the server goes away",
    1002: "a frame broke the WebSocket protocol",
    1003: "the server does not take such data",
    1005: "closed without a code",
    1006: NO_NETWORK,
    1007: "a text frame was not UTF-8",
    1008: "a message broke a rule of the server",
    1009: "a message was too big",
    1010: "an extension is missing",
    1011: "the server failed",
    1012: "the server restarts",
    1013: "too slow, or the server is overloaded: to be tried again later",
    1014: "a gateway on the way got a bad answer",
    1015: "no secure connection could be made",
    # Our own: docs/protocol.md
    4000: "no answer to a ping",
    4400: "the server did not understand a frame",
    4401: "the token was refused",
    4403: "not allowed",
    4404: "there is nothing at this address",
    4408: "the server waited too long",
    4409: "replaced by another connection",
    4413: "the document would be too large",
    4429: "too many in a short time",
}

STATUSES = {
    200: "the answer was no event stream",
    204: "the server has no more events",
    401: "the token was refused",
    403: "not allowed",
    404: "there is nothing at this address",
    408: "the server waited too long",
    410: "gone for good",
    429: "too many in a short time",
    500: "the server failed",
    502: "a gateway on the way got a bad answer",
    503: "the server is away or overloaded",
    504: "the server did not answer in time",
}


def close_words(code: int | None, reason: str) -> str:
    """Say why a connection ended, from its close code, or HTTP status, and its reason.

    The number stands behind the words, or alone where nobody knows any.
    """
    if code is None:
        return NO_NETWORK if reason.startswith("network error") else reason or "closed"
    if code in CODES:
        return f"{CODES[code]} ({code})"
    if 100 <= code <= 599:
        words = STATUSES.get(code) or ("the server has a problem" if code >= 500 else "")
        return f"{words} (HTTP {code})" if words else f"HTTP {code}"
    if 4400 <= code <= 4499:
        return f"the server refuses ({code})"
    return f"code {code}"
