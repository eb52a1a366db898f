// The shared worker behind token_vault.js: one value, for whoever of this origin asks.
let kept;

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: [verb, value] }) => {
    if (verb === "put") kept = value;
    port.postMessage(kept);
  };
};
