// One WebSocket for services/browser.py, its frames in batches.
import { batches } from "./batches.js";

// RFC 7464 separates JSON texts with it: raw, it stands in no JSON text.
const SEPARATOR = "\u001e";

/**
 * Open a socket. `listener` has opened(), text(frames, separated by U+001E, if `many`),
 * binary(buffer) and closed(code, reason); after closed(), and after calling `close` of what this
 * returns, nothing more is heard.
 */
export function open(url, listener) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let deaf = false;

  const deliver = (frames) => {
    let run = [];
    const deliverRun = () => {
      if (run.length && !deaf) listener.text(run.join(SEPARATOR), run.length > 1);
      run = [];
    };
    for (const frame of frames) {
      // Text that contains the separator is no JSON, but it is one frame: it goes alone.
      if (typeof frame === "string" && !frame.includes(SEPARATOR)) {
        run.push(frame);
        continue;
      }
      deliverRun();
      if (deaf) return;
      if (typeof frame === "string") listener.text(frame, false);
      else listener.binary(frame);
    }
    deliverRun();
  };

  const inbox = batches(deliver);
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
    socket,
    close(code, reason) {
      end();
      socket.close(code, reason);
    },
  };
}
