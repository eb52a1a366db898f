// How the frames of a WebSocket are handed to Python: in order, and many in one crossing where
// that pays. They are packed where they arrive, which may be a worker, and delivered on the page.

// As in services/strict_json.py: shorter text cannot be nested deeper than its parser allows.
const BRIEF = 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether a text may be parsed together with its neighbours: a short JSON object, by its looks. */
export const looksBrief = (text) =>
  text.length < BRIEF && text.charCodeAt(0) === 0x7b && text.charCodeAt(text.length - 1) === 0x7d;

/** The UTF-8 of a JSON array of such texts: Pyodide takes bytes faster than long text. */
export const arrayOf = (texts) => encoder.encode(`[${texts.join(",")}]`);

/**
 * Pack frames, oldest first. A packet is a short text, an ArrayBuffer (a binary frame), `{ long }`
 * (the UTF-8 of a long text) or `{ array, lengths }` (texts that look brief, and their lengths).
 */
export function pack(frames) {
  const packets = [];
  let run = [];
  const packRun = () => {
    if (run.length > 1) packets.push({ array: arrayOf(run), lengths: run.map(({ length }) => length) });
    else packets.push(...run);
    run = [];
  };
  for (const frame of frames) {
    const isText = typeof frame === "string";
    if (isText && looksBrief(frame)) {
      run.push(frame);
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
    return packet instanceof ArrayBuffer ? [packet] : [(packet.array ?? packet.long).buffer];
  });

/**
 * Deliver packets until `isDeaf()`. `listener` has text(frame), long_text(UTF-8), binary(buffer),
 * and objects(UTF-8 of a JSON array of frames, their number), which returns false if they are not
 * what they look like: then they come one by one.
 */
export function deliver(packets, listener, isDeaf) {
  for (const packet of packets) {
    if (isDeaf()) return;
    if (typeof packet === "string") listener.text(packet);
    else if (packet instanceof ArrayBuffer) listener.binary(packet);
    else if (packet.long) listener.long_text(packet.long);
    else if (listener.objects(packet.array, packet.lengths.length) === false) {
      deliver(textsOf(packet), listener, isDeaf);
    }
  }
}

function textsOf({ array, lengths }) {
  const text = decoder.decode(array);
  let end = 0; // of the one before; each begins behind a bracket or a comma
  return lengths.map((length) => text.slice(end + 1, (end += 1 + length)));
}
