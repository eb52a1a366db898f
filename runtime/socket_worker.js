// WebSockets of a page, in a worker: what the browser does for each frame that arrives, which is
// more than anything else that happens to it, then costs the page's own thread nothing.
//
// Messages in: [number, "open", url] · [number, "send", frame] · [number, "close", code, reason] ·
// [number, "ready"], for the next packets · [number, "measure"].
// Messages out: [number, "opened"] · [number, "packets", packets] · [number, "closed", code, reason]
// · [number, "measured", characters received to send, bytes the socket holds].
import { batches } from "./batches.js";
import { buffersOf, pack } from "./frames.js";

const sockets = new Map();

class WorkerSocket {
  #number;
  #socket;
  #ready = () => {};
  #taken = 0;
  // The page asks for more when it is done with what it has: so it is never flooded.
  #inbox = batches((frames) => this.#hand(frames), {
    next: (ready) => (this.#ready = ready),
    close() {},
  });

  constructor(number, url) {
    this.#number = number;
    sockets.set(number, this);
    try {
      this.#socket = new WebSocket(url);
    } catch (error) {
      this.#end(1006, `${error.name}: ${error.message}`);
      return;
    }
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#tell("opened");
    this.#socket.onmessage = ({ data }) => this.#inbox.add(data);
    this.#socket.onclose = ({ code, reason }) => {
      this.#inbox.flush();
      this.#end(code, reason);
    };
  }

  ready() {
    this.#ready();
  }

  send(frame) {
    this.#taken += frame.length ?? frame.byteLength;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  measure() {
    this.#tell("measured", this.#taken, this.#socket.bufferedAmount);
  }

  close(code, reason) {
    sockets.delete(this.#number);
    this.#inbox.close();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(code, reason);
  }

  #hand(frames) {
    const packets = pack(frames);
    postMessage([this.#number, "packets", packets], buffersOf(packets));
  }

  #tell(...news) {
    postMessage([this.#number, ...news]);
  }

  #end(code, reason) {
    sockets.delete(this.#number);
    this.#tell("closed", code, reason);
  }
}

onmessage = ({ data: [number, what, ...details] }) => {
  // One that has ended hears nothing more: the page may not know yet.
  if (what === "open") new WorkerSocket(number, ...details);
  else sockets.get(number)?.[what](...details);
};
