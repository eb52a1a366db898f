// The same in plain JavaScript, over the browser's own channel or the broadcast-channel package.
import { BroadcastChannel as PackageChannel } from "./broadcast_channel.js";

const plain = () => {
  const channel = new BroadcastChannel("benchmark-plain");
  return {
    post: (message) => channel.postMessage(message),
    listen: (handler) => channel.addEventListener("message", ({ data }) => handler(data)),
  };
};

const packaged = () => {
  const channel = new PackageChannel("benchmark-package");
  return {
    post: (message) => channel.postMessage(message),
    listen: (handler) => channel.addEventListener("message", handler),
  };
};

const channel = location.search === "?package" ? packaged() : plain();
let answered = () => {};

// As the chapter's TabSync does it: an envelope, handlers by type, none for one's own messages.
const tabId = `tab-${Date.now()}-${Math.random().toString(36).slice(2)}`;
const send = (type, payload) => channel.post({ type, payload, timestamp: Date.now(), tabId });
const handlers = new Map([
  ["ping", (payload) => send("pong", payload)],
  ["pong", () => answered()],
]);
channel.listen((message) => {
  if (message.tabId !== tabId) handlers.get(message.type)?.(message.payload);
});

window.roundTrips = async (samples) => {
  const times = [];
  for (let sample = 0; sample < samples; sample += 1) {
    await new Promise((resolve) => setTimeout(resolve, 4 + 10 * Math.random()));
    const start = performance.now();
    const end = new Promise((resolve) => {
      answered = () => resolve(performance.now());
    });
    send("ping", { sample, text: "How long until you hear of this?" });
    times.push((await end) - start);
  }
  return JSON.stringify(times);
};
window.isReady = true;
