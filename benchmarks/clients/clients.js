// The clients in JavaScript. Each is made by `start`, which returns the tally of what it handled
// and what stops it; clients.py adds those in Python.
import { EventSourceClient } from "./event_source_client.js";
import ReconnectingWebSocket from "./partysocket.js";
import { WebSocketClient } from "./websocket_client.js";

const FEED = new URL("./feed", location.href.replace("http", "ws")).href;
const EVENTS = new URL("./feed.events", location.href).href;

/** What the handlers of every client do: the same work as the class of this name in Python. */
class Tally {
  count = 0;
  last = null;
  begun = 0;
  ended = 0;

  handlers = {
    notification: (payload) => {
      this.count += 1;
      this.last = payload;
    },
    probe: () => performance.mark("handled"),
    begin: () => {
      this.begun = performance.now();
    },
    end: () => {
      this.ended = performance.now();
    },
  };

  subscribe(client) {
    for (const [type, handler] of Object.entries(this.handlers)) client.on(type, handler);
  }

  read() {
    return JSON.stringify([this.count, this.last?.id ?? null, this.ended - this.begun]);
  }
}

const starts = {
  // Nothing but the browser: what no client can go below.
  "frames only"(tally) {
    const socket = new WebSocket(FEED);
    const types = Object.entries(tally.handlers);
    socket.onmessage = ({ data }) => {
      for (const [type, handler] of types) {
        if (data.startsWith(type, 9)) return handler(data); // after {"type":"
      }
    };
    return () => socket.close();
  },
  JavaScript(tally) {
    const client = new WebSocketClient(FEED);
    tally.subscribe(client);
    client.connect();
    return () => client.disconnect();
  },
  partysocket(tally) {
    const socket = new ReconnectingWebSocket(FEED);
    const handlers = new Map();
    tally.subscribe({ on: (type, handler) => handlers.set(type, new Set([handler])) });
    socket.addEventListener("message", ({ data }) => {
      const { type, payload } = JSON.parse(data);
      for (const handler of handlers.get(type) ?? []) handler(payload);
    });
    return () => socket.close();
  },
  EventSource(tally) {
    const client = new EventSourceClient(EVENTS);
    tally.subscribe(client);
    client.connect();
    return () => client.disconnect();
  },
};

window.clients = {};
for (const [name, start] of Object.entries(starts)) {
  window.clients[name] = () => {
    const tally = new Tally();
    const stop = start(tally);
    return { read: () => tally.read(), stop };
  };
}
