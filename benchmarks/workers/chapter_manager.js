// The manager of chapter 13: a promise for each request, settled by its id or after 30 s.
const TIMEOUT = 30_000;

export class WorkerManager {
  #worker;
  #requests = 0;
  #pending = new Map();

  constructor(url) {
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data: { id, result, error } }) => {
      const pending = this.#pending.get(id);
      if (!pending) return;
      this.#pending.delete(id);
      if (error) pending.reject(new Error(error));
      else pending.resolve(result);
    };
    this.#worker.onerror = (error) => console.error("Worker error:", error);
  }

  process(type, data, options) {
    if (!this.#worker) throw new Error("Worker not initialized");
    const id = `req-${++this.#requests}`;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, type, data, options });
      setTimeout(() => {
        if (this.#pending.delete(id)) reject(new Error("Request timeout"));
      }, TIMEOUT);
    });
  }

  terminate() {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#pending.values()) reject(new Error("Worker terminated"));
    this.#pending.clear();
  }
}
