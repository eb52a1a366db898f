// One WebSocket for services/browser.py, its frames in batches.
import { arrayOf, batches, bytes, looksBrief } from "./batches.js";

// Characters from which on text crosses over faster as bytes.
const LONG = 1024;

/**
 * Open a socket. `listener` has opened(), text(frame), long_text(UTF-8), binary(buffer),
 * closed(code, reason), and objects(UTF-8 of a JSON array of frames, their number), which returns
 * false if they are not what they look like. After closed(), and after calling `close` of what
 * this returns, nothing more is heard.
 */
export function open(url, listener) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let deaf = false;

  const deliverOne = (frame) => {
    if (deaf) return; // a handler of those before has closed us
    if (typeof frame !== "string") listener.binary(frame);
    else if (frame.length < LONG) listener.text(frame);
    else listener.long_text(bytes(frame));
  };

  const deliverRun = (frames) => {
    if (deaf) return;
    const together = frames.length > 1 && listener.objects(arrayOf(frames), frames.length);
    if (together === false) frames.forEach(deliverOne);
  };

  const inbox = batches((frames) => {
    let run = [];
    for (const frame of frames) {
      if (typeof frame === "string" && looksBrief(frame)) {
        run.push(frame);
        continue;
      }
      deliverRun(run);
      run = [];
      deliverOne(frame);
    }
    deliverRun(run);
  });

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
    if (deaf) return;
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
