// One event stream over fetch, for services/browser.py. The package parses; when to reconnect is
// decided in Python, so a stream that ends here ends for good.
import { EventSource } from "../vendor/eventsource.js";

const ALIVE_EVERY = 1000; // milliseconds: a sign of life needs no crossing for each chunk

/**
 * Open a stream. `listener` has opened(header Last-Event-ID or ""), alive(), received(event, data, lastEventId) and
 * closed(status or undefined, reason, seconds of Retry-After or undefined); after closed(), and
 * after calling what this returns, nothing more is heard.
 */
export function open(url, { withCredentials, lastEventId, token }, listener) {
  let status, retryAfter, position;
  let closed = false;

  const tell = (name, ...values) => {
    if (closed) return;
    if (name === "closed") closed = true;
    // An exception from here would look like a failed fetch to the package.
    try { listener[name](...values); } catch (error) { reportError(error); }
  };

  let aliveAt = -Infinity;
  const watch = new TransformStream({
    transform(chunk, controller) {
      const now = performance.now();
      if (now - aliveAt >= ALIVE_EVERY) {
        aliveAt = now;
        tell("alive");
      }
      controller.enqueue(chunk);
    },
  });

  const request = async (target, init) => {
    const headers = new Headers(init.headers);
    if (lastEventId) headers.set("Last-Event-ID", bytesOf(lastEventId));
    if (token) headers.set("Authorization", `Bearer ${token}`);
    const credentials = withCredentials ? "include" : "same-origin";
    const response = await fetch(target, { ...init, headers, credentials });
    status = response.status;
    position = response.headers.get("Last-Event-ID") ?? "";
    retryAfter = secondsUntil(response.headers.get("Retry-After"));
    const body = response.body?.pipeThrough(watch) ?? null;
    return { body, status, headers: response.headers, redirected: response.redirected, url: response.url };
  };

  class Stream extends EventSource {
    // The package dispatches server-sent events as MessageEvents and its own news as others: so
    // an event that the server named "open" or "error" is still the server's.
    dispatchEvent(event) {
      if (event instanceof MessageEvent) {
        tell("received", event.type, event.data, event.lastEventId);
      } else if (event.type === "open") {
        status = retryAfter = undefined;
        tell("opened", position);
      } else {
        this.close();
        tell("closed", status, event.message || "the stream ended", retryAfter);
      }
      return true;
    }
  }

  const stream = new Stream(url, { withCredentials, fetch: request });
  return () => {
    closed = true;
    stream.close();
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
