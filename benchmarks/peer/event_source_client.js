// A client for server-sent events with the behaviour of chapter 13, on the browser's EventSource.

export class EventSourceClient {
  #url;
  #options;
  #source = null;
  #handlers = new Map();

  constructor(url, options = {}) {
    this.#url = url;
    this.#options = { withCredentials: true, reconnectDelay: 3000, ...options };
  }

  get isConnected() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  connect() {
    if (this.#source !== null && this.#source.readyState !== EventSource.CLOSED) return;
    const { withCredentials } = this.#options;
    this.#source = new EventSource(this.#url, { withCredentials });
    this.#source.onopen = () => this.#notify("connected", {});
    this.#source.onerror = () => this.#failed();
    for (const name of this.#handlers.keys()) this.#listen(name);
  }

  disconnect() {
    this.#source?.close();
    this.#source = null;
  }

  on(name, handler) {
    if (!this.#handlers.has(name)) {
      this.#handlers.set(name, new Set());
      if (this.#source) this.#listen(name);
    }
    this.#handlers.get(name).add(handler);
    return () => this.#handlers.get(name).delete(handler);
  }

  #listen(name) {
    this.#source.addEventListener(name, ({ data }) => this.#received(name, data));
  }

  #failed() {
    if (this.#source?.readyState !== EventSource.CLOSED) return;
    this.#notify("disconnected", {});
    setTimeout(() => this.connect(), this.#options.reconnectDelay);
  }

  #received(name, data) {
    let parsed = data;
    try {
      parsed = JSON.parse(data);
    } catch {
      // Text that is no JSON goes to the handlers as it is.
    }
    this.#notify(name, parsed);
  }

  #notify(name, data) {
    for (const handler of this.#handlers.get(name) ?? []) {
      try {
        handler(data);
      } catch (error) {
        console.error(`A handler of ${name} failed:`, error);
      }
    }
  }
}
