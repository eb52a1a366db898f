// The page's side of runtime/socket_worker.js. One worker serves all sockets of a page; it is
// started with the first of them.
import { deliver } from "./frames.js";

const sockets = new Map();
let count = 0;
let worker = null;

function workerFor() {
  if (worker) return worker;
  worker = new Worker(new URL("./socket_worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data: [number, what, ...details] }) => sockets.get(number)?.[what](...details);
  worker.onerror = ({ message }) => {
    worker.terminate();
    worker = null; // the next attempt has another go
    for (const socket of [...sockets.values()]) {
      socket.closed(1006, `the worker failed: ${message ?? "it could not be loaded"}`);
    }
  };
  return worker;
}

/** Open a socket in the worker; as `open` of socket.js. */
export function openInWorker(url, listener) {
  const worker = workerFor();
  const number = ++count;
  const tell = (...news) => worker.postMessage([number, ...news]);
  const isDeaf = () => !sockets.has(number);
  let sent = 0; // characters, or bytes of binary frames
  let taken = 0; // of those, what the worker had when it last looked
  let held = 0; // and the bytes its socket held then

  sockets.set(number, {
    opened: () => listener.opened(),
    packets(packets) {
      deliver(packets, listener, isDeaf);
      tell("ready");
    },
    closed(code, reason) {
      sockets.delete(number);
      listener.closed(code, reason);
    },
    measured(characters, bytes) {
      taken = characters;
      held = bytes;
    },
  });
  tell("open", url);

  return {
    // From the last time that was asked; and now it is asked again.
    buffered() {
      tell("measure");
      return sent - taken + held;
    },
    send(frame) {
      sent += frame.length ?? frame.byteLength;
      tell("send", frame);
    },
    close(code, reason) {
      sockets.delete(number);
      tell("close", code, reason);
    },
  };
}
