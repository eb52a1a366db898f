"""`python -m server`: run the gateway, with its settings from the environment."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys

import uvicorn

from server import logs
from server.app import Gateway
from server.auth_database import AuthDatabaseError
from server.document_store import DocumentStoreError
from server.event_log import EventLogError
from server.frames import MAX_FRAME
from server.serving import FAREWELL, Server
from server.settings import Settings, SettingsError

#: Connections that may wait to be accepted.
_BACKLOG = 2048

#: Milliseconds that sent data may stay unread before the kernel drops the connection, so that
#: a client that never reads again cannot hold it for ever.
_UNREAD_TIMEOUT = 30_000

#: Linux: accepted sockets inherit it from the one that listens.
_DROPS_UNREAD = hasattr(socket, "TCP_USER_TIMEOUT")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections; raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if _DROPS_UNREAD:
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
    logs.configure(settings.log_format, sys.stderr)
    with listener:
        try:
            gateway = Gateway(settings)
        except EventLogError as error:
            return _fail(
                f"Cannot keep the event log in {settings.data_dir} ({error}). "
                "Choose another folder: DATA_DIR=/tmp/realtime make run"
            )
        except DocumentStoreError as error:
            return _fail(f"Cannot keep the documents in {settings.data_dir} ({error}).")
        except (AuthDatabaseError, OSError, ValueError) as error:
            return _fail(f"Cannot keep the accounts in {settings.data_dir} ({error}).")
        config = uvicorn.Config(
            gateway.app(),
            log_config=None,
            access_log=False,
            # Anyone can send X-Forwarded-For, and the rate limit counts by address.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=FAREWELL,
            # Past this, uvicorn resets the connection while the client still sends, and the
            # client never learns why; up to this, the endpoint closes it properly.
            ws_max_size=8 * MAX_FRAME,
            # A client that is past its rate is not read, nor are its pongs then. Where the
            # kernel drops a client that is gone (see above), none is waited for.
            ws_ping_timeout=None if _DROPS_UNREAD else 20,
            # Frames are small, and compressing one anew for each client is what costs.
            ws_per_message_deflate=False,
        )
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{listener.getsockname()[1]}/", flush=True)
        # Before the server listens for it, SIGINT is this exception.
        with contextlib.suppress(KeyboardInterrupt):
            Server(config, gateway.connections).run([listener])
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
