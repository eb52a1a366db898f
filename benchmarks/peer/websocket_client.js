// A WebSocket client with the behaviour of chapter 13, and no more than that: no ids, no resuming,
// no acknowledgements. What our client does beyond it, it does at its own cost in the tables.

const CONNECT_TIMEOUT = 10_000;
const LONGEST_DELAY = 30_000;

export class WebSocketClient {
  #url;
  #options;
  #socket = null;
  #handlers = new Map();
  #attempts = 0;
  #connecting = null;
  #heartbeat = 0;
  #retry = 0;

  constructor(url, options = {}) {
    this.#url = url;
    this.#options = {
      reconnectInterval: 5000,
      maxReconnectAttempts: 10,
      heartbeatInterval: 30_000,
      ...options,
    };
  }

  get isConnected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    if (this.isConnected) return Promise.resolve();
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  disconnect() {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#retry);
    this.#attempts = 0;
    this.#socket?.close(1000, "Client disconnect");
    this.#socket = null;
  }

  send(type, payload) {
    if (!this.isConnected) {
      console.error("Cannot send: not connected");
      return;
    }
    this.#socket.send(JSON.stringify({ type, payload, timestamp: Date.now() }));
  }

  on(type, handler) {
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    this.#handlers.get(type).add(handler);
    return () => this.#handlers.get(type).delete(handler);
  }

  #open() {
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(() => reject(new Error("Connection timeout")), CONNECT_TIMEOUT);
      const socket = new WebSocket(this.#url);
      this.#socket = socket;
      socket.addEventListener("open", () => {
        clearTimeout(timeout);
        this.#opened();
        resolve();
      });
      socket.addEventListener("message", (event) => this.#received(event));
      socket.addEventListener("error", (error) => {
        clearTimeout(timeout);
        this.#notify("error", { error });
        reject(new Error("Connection failed"));
      });
      socket.addEventListener("close", (event) => this.#closed(event));
    });
  }

  #opened() {
    this.#attempts = 0;
    clearInterval(this.#heartbeat);
    const ping = () => this.isConnected && this.send("ping", {});
    this.#heartbeat = setInterval(ping, this.#options.heartbeatInterval);
    this.#notify("connected", {});
  }

  #received(event) {
    let message;
    try {
      message = JSON.parse(event.data);
    } catch (error) {
      console.error("Not JSON:", error);
      return;
    }
    if (message.type === "pong") return;
    this.#notify(message.type, message.payload);
    this.#notify("*", message);
  }

  #closed({ code, reason }) {
    clearInterval(this.#heartbeat);
    this.#notify("disconnected", { code, reason });
    if (code !== 1000 && code !== 1001) this.#reconnect();
  }

  #reconnect() {
    if (this.#attempts >= this.#options.maxReconnectAttempts) {
      this.#notify("reconnect-failed", {});
      return;
    }
    this.#attempts += 1;
    const delay = Math.min(this.#options.reconnectInterval * this.#attempts, LONGEST_DELAY);
    this.#retry = setTimeout(() => this.connect().catch(console.error), delay);
  }

  #notify(type, payload) {
    for (const handler of this.#handlers.get(type) ?? []) {
      try {
        handler(payload);
      } catch (error) {
        console.error(`A handler of ${type} failed:`, error);
      }
    }
  }
}
