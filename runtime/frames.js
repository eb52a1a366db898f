// How the frames of a WebSocket are handed to Python: in order, and many in one crossing where
// that pays. They are packed where they arrive, which may be a worker, and delivered on the page.

// As in services/strict_json.py: shorter text cannot be nested deeper than its parser allows.
const BRIEF = 1024;

// Parsed, handled and forgotten in one go: more would not stay in the processor's cache.
const LONGEST_RUN = 64;

// RFC 7464 separates JSON texts with it; in none of them can it stand.
const SEPARATOR = "\u001e";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether a text may be parsed together with its neighbours: a short JSON object, by its looks. */
export const looksBrief = (text) =>
  text.length < BRIEF &&
  text.charCodeAt(0) === 0x7b &&
  text.charCodeAt(text.length - 1) === 0x7d &&
  !text.includes(SEPARATOR);

/** The UTF-8 of such texts, together: Pyodide takes bytes faster than long text. */
export const together = (texts) => encoder.encode(texts.join(SEPARATOR));

/**
 * Pack frames, oldest first. A packet is a short text, an ArrayBuffer (a binary frame), `{ long }`
 * (the UTF-8 of a long text) or `{ brief }` (that of several that look brief, together).
 */
export function pack(frames) {
  const packets = [];
  let run = [];
  const packRun = () => {
    if (run.length > 1) packets.push({ brief: together(run) });
    else packets.push(...run);
    run = [];
  };
  for (const frame of frames) {
    const isText = typeof frame === "string";
    if (isText && looksBrief(frame)) {
      if (run.push(frame) === LONGEST_RUN) packRun();
      continue;
    }
    packRun();
    packets.push(isText && frame.length >= BRIEF ? { long: encoder.encode(frame) } : frame);
  }
  packRun();
  return packets;
}

/** The buffers of packets, to be transferred with them. */
export const buffersOf = (packets) =>
  packets.flatMap((packet) => {
    if (typeof packet === "string") return [];
    return packet instanceof ArrayBuffer ? [packet] : [(packet.brief ?? packet.long).buffer];
  });

/**
 * Deliver packets until `isDeaf()`. `listener` has text(frame), long_text(UTF-8), binary(buffer),
 * and objects(UTF-8 of frames, together), which returns false if one of them is not what it looks
 * like: then they come one by one.
 */
export function deliver(packets, listener, isDeaf) {
  for (const packet of packets) {
    if (isDeaf()) return;
    if (typeof packet === "string") listener.text(packet);
    else if (packet instanceof ArrayBuffer) listener.binary(packet);
    else if (packet.long) listener.long_text(packet.long);
    else if (listener.objects(packet.brief) === false) {
      deliver(decoder.decode(packet.brief).split(SEPARATOR), listener, isDeaf);
    }
  }
}
