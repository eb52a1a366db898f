// A BroadcastChannel for Python, which hears and says JSON text: so each message crosses once.

/** Open an end of a channel; `received(text)` gets undefined for what cannot be JSON. */
export function open(name, received) {
  const channel = new BroadcastChannel(name);
  const hear = ({ data }) => {
    let text;
    try {
      text = JSON.stringify(data);
    } catch {
      // a cycle, a BigInt, or too deep
    }
    received(text);
  };
  channel.onmessage = hear;
  // What cannot be deserialised here is told by another event, with no data.
  channel.onmessageerror = () => received(undefined);
  return {
    post: (text) => channel.postMessage(JSON.parse(text)),
    close: () => channel.close(),
  };
}
