// One WebSocket for services/browser.py, its frames in batches.
import { batches } from "./batches.js";
import { deliver, pack } from "./frames.js";
import { openInWorker } from "./socket_worker_client.js";

/**
 * Open a socket. `listener` has opened(), closed(code, reason) and what `deliver` of frames.js
 * wants; after closed(), and after calling `close` of what this returns, nothing more is heard.
 * `background` keeps all the work for frames but Python's own off the page's thread.
 */
export const open = (url, listener, background) =>
  background ? openInWorker(url, listener) : openHere(url, listener);

function openHere(url, listener) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let deaf = false;
  const inbox = batches((frames) => deliver(pack(frames), listener, () => deaf));

  const end = () => {
    deaf = true;
    inbox.close();
    socket.onopen = socket.onmessage = socket.onclose = null;
  };

  socket.onopen = () => listener.opened();
  socket.onmessage = ({ data }) => inbox.add(data);
  // "error" says nothing that "close", which follows it, does not.
  socket.onclose = ({ code, reason }) => {
    inbox.flush();
    if (deaf) return; // a handler of the last frames closed us
    end();
    listener.closed(code, reason);
  };

  return {
    buffered: () => socket.bufferedAmount,
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    },
    close(code, reason) {
      end();
      socket.close(code, reason);
    },
  };
}
