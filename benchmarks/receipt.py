# Appended to main.py by benchmarks/pages.py: what arrived at the application, for comparison
# with what the gateway accepted. The peer has the same subscriber in peer.js.
import json

from js import window
from pyodide.ffi import create_proxy

_ids = []
socket.on("notification", lambda payload: _ids.append(payload["id"]))  # noqa: F821 - main.py's
window.received = create_proxy(lambda: json.dumps(_ids))
