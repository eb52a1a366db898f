// One event stream over fetch, for services/browser.py, its events in batches. The package
// eventsource-parser reads the stream; when to reconnect is decided in Python.
import { createParser } from "../vendor/eventsource_parser.js";
import { looksBrief, together } from "./frames.js";

const ALIVE_EVERY = 1000; // milliseconds: a sign of life needs no crossing for each chunk

/**
 * Open a stream. `listener` has opened(header Last-Event-ID or ""), alive(), event(name, data, id),
 * positioned(id), retry_in(seconds), closed(status or undefined, reason, seconds of Retry-After or
 * undefined), and events(UTF-8 of their data, together, [name, id, name, id, ...]), which returns
 * false if the data is not what it looks like. After closed(), and after calling what this
 * returns, nothing more is heard.
 */
export function open(url, options, listener) {
  const controller = new AbortController();
  let closed = false;

  const tell = (name, ...values) => {
    if (closed) return true;
    if (name === "closed") closed = true;
    return listener[name](...values);
  };

  follow(url, options, controller.signal, tell).then(
    () => tell("closed", undefined, "the stream ended", undefined),
    (error) => {
      if (error instanceof Refusal) tell("closed", error.status, error.message, error.retryAfter);
      else tell("closed", undefined, `network error: ${error.message}`, undefined);
    },
  );
  return () => {
    closed = true;
    controller.abort();
  };
}

class Refusal extends Error {
  constructor(message, response) {
    super(message);
    this.status = response.status;
    this.retryAfter = secondsUntil(response.headers.get("Retry-After"));
  }
}

async function follow(url, { withCredentials, lastEventId, token }, signal, tell) {
  const headers = new Headers({ Accept: "text/event-stream" });
  if (lastEventId) headers.set("Last-Event-ID", bytesOf(lastEventId));
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const credentials = withCredentials ? "include" : "same-origin";
  const response = await fetch(url, { headers, credentials, cache: "no-store", signal });
  const type = response.headers.get("Content-Type") ?? "no content type";
  if (response.status !== 200 || !/^text\/event-stream\s*(;|$)/i.test(type)) {
    response.body?.cancel();
    const came = response.status === 200 ? type : `HTTP ${response.status}`;
    throw new Refusal(`expected HTTP 200 and text/event-stream, came ${came}`, response);
  }
  tell("opened", response.headers.get("Last-Event-ID") ?? "");

  const read = reader(tell);
  let aliveAt = -Infinity;
  // HTML §9.2.6: "Streams must be decoded using the UTF-8 decode algorithm"; the parser strips
  // the byte order mark.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for await (const chunk of chunks(response.body)) {
    const now = performance.now();
    if (now - aliveAt >= ALIVE_EVERY) {
      aliveAt = now;
      tell("alive");
    }
    read(decoder.decode(chunk, { stream: true }));
  }
}

// Not every browser can iterate over a stream itself.
async function* chunks(body) {
  const source = body.getReader();
  for (;;) {
    const { done, value } = await source.read();
    if (done) return;
    yield value;
  }
}

/** Return what takes the stream's text piece by piece; the events of a piece cross together. */
function reader(tell) {
  let events = [];
  let lastEventId = "";
  let idAlone = false;

  const flush = () => {
    const run = events;
    events = [];
    const taken =
      run.length > 1 &&
      tell("events", together(run.map(({ data }) => data)), run.flatMap(({ event, id }) => [event, id]));
    if (taken === false) run.forEach(({ event, data, id }) => tell("event", event, data, id));
  };

  const parser = createParser({
    onEvent({ event, data }) {
      idAlone = false;
      if (!looksBrief(data)) flush();
      events.push({ event: event || "message", data, id: lastEventId });
      if (!looksBrief(data)) flush();
    },
    onId(id) {
      lastEventId = id;
      idAlone = true;
    },
    onComment(comment) {
      if (comment.trim() !== "caught up") return;
      // Our gateway says so when all that was missed has been sent. To others it is a comment.
      flush();
      tell("positioned", lastEventId);
    },
    onRetry(milliseconds) {
      flush();
      tell("retry_in", milliseconds / 1000);
    },
  });

  return (text) => {
    parser.feed(text);
    flush();
    if (idAlone) tell("positioned", lastEventId);
    idAlone = false;
  };
}

// RFC 9110 §10.2.3: "a date or a number of seconds to delay after receiving the response".
function secondsUntil(value) {
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

// "encoded as UTF-8": a header takes one character for each byte.
function bytesOf(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
