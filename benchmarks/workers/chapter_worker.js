// The worker of chapter 13: requests and answers by structured clone.
import * as operations from "./processing.js";

self.onmessage = ({ data: { id, type, data, options } }) => {
  try {
    const operation = operations[type];
    if (!operation) throw new Error(`Unknown operation type: ${type}`);
    self.postMessage({ id, result: operation(data, options) });
  } catch (error) {
    self.postMessage({ id, result: null, error: error.message ?? "Unknown error" });
  }
};
