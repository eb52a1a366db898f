// Crossing into Python costs more than most messages are worth, so under load many cross at once.
//
// The first of a burst is delivered at once; what arrives before the browser gets to its next
// task is collected and follows in one crossing, and so on until nothing arrives. So a single
// message waits for nothing, and a thousand cost little more than one. The order never changes.

// A page that draws between batches stays alive under any flood.
const LONGEST_BATCH = 1000;

/**
 * Collect items for `deliver(items)`, one or more, oldest first. `close` forgets what waits;
 * `flush` delivers it now, before something that comes after it.
 */
export function batches(deliver) {
  const { port1, port2 } = new MessageChannel();
  let waiting = [];
  let busy = false;

  const next = () => {
    port2.postMessage(null); // a task: behind those of the messages that have arrived
    const batch = waiting.length > LONGEST_BATCH ? waiting.splice(0, LONGEST_BATCH) : waiting;
    if (batch === waiting) waiting = [];
    deliver(batch);
  };

  port1.onmessage = () => {
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
      port1.close();
    },
  };
}

// As in services/strict_json.py: shorter text cannot be nested deeper than its parser allows.
const BRIEF = 1024;

/** Whether a text may be parsed together with its neighbours: a short JSON object, by its looks. */
export const looksBrief = (text) =>
  text.length < BRIEF && text.charCodeAt(0) === 0x7b && text.charCodeAt(text.length - 1) === 0x7d;

const encoder = new TextEncoder();

/** UTF-8: Pyodide takes bytes faster than it takes all but the shortest text. */
export const bytes = (text) => encoder.encode(text);

/** The bytes of a JSON array of such texts. */
export const arrayOf = (texts) => bytes(`[${texts.join(",")}]`);
