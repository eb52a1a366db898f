"""`python -m server`: run the gateway, with its settings from the environment."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys

import uvicorn

from server.app import create_app
from server.event_log import EventLogError
from server.settings import Settings, SettingsError
from server.websocket import MAX_FRAME

#: Connections that may wait to be accepted.
_BACKLOG = 2048

#: Milliseconds that sent data may stay unread before the kernel drops the connection, so that
#: a client that never reads again cannot hold it for ever.
_UNREAD_TIMEOUT = 30_000

#: Seconds that open connections have to end when the gateway stops.
_FAREWELL = 2


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections; raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_TIMEOUT)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def main() -> int:
    """Run the gateway until SIGINT or SIGTERM; return the exit status."""
    try:
        settings = Settings.from_env(os.environ)
        host = settings.host
        listener = listen(host, settings.port)
    except SettingsError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(_cannot_listen(error, settings))
    with listener:
        try:
            app = create_app(settings)
        except EventLogError as error:
            return _fail(
                f"Cannot keep the event log in {settings.data_dir} ({error}). "
                "Choose another folder: DATA_DIR=/tmp/realtime make run"
            )
        # Only warnings from uvicorn: its notes quote URLs, and a URL may carry a token.
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # Anyone can send X-Forwarded-For, and the rate limit counts by address.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_FAREWELL,
            # Past this, uvicorn resets the connection while the client still sends, and the
            # client never learns why; up to this, the endpoint closes it properly.
            ws_max_size=8 * MAX_FRAME,
            # Frames are small, and compressing one anew for each client is what costs.
            ws_per_message_deflate=False,
        )
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{listener.getsockname()[1]}/", flush=True)
        # uvicorn stops gracefully and then raises the signal again.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])
    return 0


def _cannot_listen(error: OSError, settings: Settings) -> str:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 3000
        return (
            f"Port {port} on {host} is taken. Choose another: PORT={other} make run"
            " (beside another gateway, with a DATA_DIR of its own)"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights. Choose one above 1023: PORT=3000 make run"
    return f"Cannot listen on HOST={host} ({error.strerror}). Try: HOST=127.0.0.1 make run"


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
