// Crossing into Python costs more than most messages are worth, so under load many cross at once.
//
// The first of a burst is delivered at once; what arrives before the browser gets to its next
// task is collected and follows in one crossing, and so on until nothing arrives. So a single
// message waits for nothing, and a thousand cost little more than one. The order never changes.

// A page that draws between batches stays alive under any flood.
const LONGEST_BATCH = 1000;

/**
 * Collect items for `deliver(items)`, one or more, oldest first. `pace.next(ready)` calls `ready`
 * once more may be delivered. `flush` delivers what waits now, before something that comes after
 * it; `close` forgets it.
 */
export function batches(deliver, pace = tasks()) {
  let waiting = [];
  let busy = false;

  const next = () => {
    pace.next(ready);
    const batch = waiting.length > LONGEST_BATCH ? waiting.splice(0, LONGEST_BATCH) : waiting;
    if (batch === waiting) waiting = [];
    deliver(batch);
  };

  const ready = () => {
    if (waiting.length) next();
    else busy = false;
  };

  return {
    add(item) {
      waiting.push(item);
      if (busy) return;
      busy = true;
      next();
    },
    flush() {
      while (waiting.length) next();
    },
    close() {
      waiting = [];
      pace.close();
    },
  };
}

/** The pace of the browser's tasks: the next comes behind those of messages that have arrived. */
function tasks() {
  const { port1, port2 } = new MessageChannel();
  return {
    next(ready) {
      port1.onmessage = ready;
      port2.postMessage(null);
    },
    close: () => port1.close(),
  };
}
