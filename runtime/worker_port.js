// A worker's end of the wire to its WorkerManager; services/browser_workers.py is the other.
//
// While Python works, nothing else runs in its thread: no message arrives and no timer fires. But
// Pyodide lets CPython look for signals every few dozen jumps and calls, in a buffer meant to be
// shared with the page. Ours is none: reading it runs a function. That sends signs of life, and
// every now and then looks at a blob: URL that the page revokes to say stop, which a synchronous
// request can tell. So there is no need for SharedArrayBuffer, nor for the headers it wants.
//
// Messages are `[header, buffers]`, on a channel of their own: the worker's belongs to PyScript.
const SIGINT = 2;
const ALIVE = '{"kind": "alive"}';
const ALIVE_INTERVAL = 1000; // milliseconds
const LOOK_INTERVAL = 100;
const LONGEST_SKIP = 64;

/** Hear messages as `receive(header, buffers)`, and get what sends and what watches. */
export function open(receive, setInterruptBuffer) {
  let stop = "";
  let interrupts = false;
  let timer = 0;
  let aliveAt = 0;
  let lookAt = 0;
  let lastAt = 0;
  let skip = 0;
  let skipped = 0;

  const { port1: port, port2: theirs } = new MessageChannel();
  port.onmessage = ({ data: [header, buffers] }) => receive(header, buffers);
  postMessage({ realtimePort: theirs }, [theirs]);

  const alive = (now) => {
    aliveAt = now + ALIVE_INTERVAL;
    port.postMessage([ALIVE, []]);
  };

  const signal = () => {
    // The clock costs more than the rest: a tight loop does not ask it every time.
    if (skipped < skip) {
      skipped++;
      return 0;
    }
    const now = performance.now();
    skipped = 0;
    skip = now - lastAt < 1 ? Math.min(2 * skip + 1, LONGEST_SKIP) : 0;
    lastAt = now;
    if (now >= aliveAt) alive(now);
    if (!interrupts || !stop || now < lookAt) return 0;
    if (isThere(stop)) {
      lookAt = performance.now() + LOOK_INTERVAL;
      return 0;
    }
    stop = ""; // said once
    return SIGINT;
  };

  const buffer = {
    get 0() {
      return signal();
    },
    set 0(_) {}, // Python clears what it has read
  };

  return {
    post(header, buffers) {
      port.postMessage([header, buffers], buffers.map(({ buffer }) => buffer));
    },
    /** Give signs of life, and where `interruptible` raise KeyboardInterrupt once `url` is gone. */
    busy(url, interruptible) {
      stop = url;
      interrupts = interruptible;
      const now = performance.now();
      aliveAt = now + ALIVE_INTERVAL;
      lookAt = now + LOOK_INTERVAL;
      clearInterval(timer);
      timer = setInterval(() => alive(performance.now()), ALIVE_INTERVAL);
      setInterruptBuffer(buffer);
    },
    idle() {
      clearInterval(timer);
      setInterruptBuffer(undefined);
    },
  };
}

/** Whether a request for it succeeds now; not allowed to ask (by a policy) is as good as yes. */
function isThere(url) {
  const request = new XMLHttpRequest();
  try {
    request.open("GET", url, false);
    request.send();
    return true;
  } catch {
    return mayNotAsk();
  }
}

let refused;

function mayNotAsk() {
  if (refused === undefined) {
    const own = URL.createObjectURL(new Blob());
    const request = new XMLHttpRequest();
    try {
      request.open("GET", own, false);
      request.send();
      refused = false;
    } catch {
      refused = true;
    }
    URL.revokeObjectURL(own);
  }
  return refused;
}
