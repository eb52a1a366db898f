// Many who type in one document at once: node load.mjs <url> <clients> <rate> <seconds>
//
// Each has a line of its own, and what it types was encoded before: nobody here has a document
// while it counts. The last line of the output is JSON.
import WebSocket from "ws";
import * as Y from "yjs";

const [url, clients, rate, seconds] = process.argv.slice(2);
const count = Number(clients);
const keys = Number(rate) * Number(seconds);

const number = (value) => {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
};
const frame = (update) => Buffer.concat([Buffer.from([0, 2]), number(update.length), update]);

function typed() {
  const doc = new Y.Doc();
  const frames = [];
  doc.on("update", (update) => frames.push(frame(Buffer.from(update))));
  const text = doc.getText("content");
  for (let key = 0; key < keys; key += 1) text.insert(key, "abcdefghijklmnopqrstuvwxyz "[key % 27]);
  return frames;
}

let received = 0;
let updates = 0;
let ended = 0;

class Typist {
  constructor() {
    this.frames = typed();
    this.socket = new WebSocket(url);
    this.socket.binaryType = "nodebuffer";
    this.open = new Promise((resolve, reject) => {
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.socket.on("message", (data) => {
      received += data.length;
      if (data[0] === 0 && data[1] === 2) updates += 1;
      // Answer the server's question, as every client does: with nothing.
      if (data[0] === 0 && data[1] === 0) this.socket.send(Buffer.from([0, 1, 2, 0, 0]));
    });
  }

  async type() {
    const begun = performance.now() + (Math.random() * 1000) / Number(rate);
    for (const [key, one] of this.frames.entries()) {
      const early = begun + (key * 1000) / Number(rate) - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      this.socket.send(one);
    }
  }

  // The answer comes behind everything else.
  async drained() {
    const answer = new Promise((resolve) => {
      this.socket.on("message", (data) => data[0] === 0 && data[1] === 1 && resolve());
    });
    this.socket.send(Buffer.from([0, 0, 1, 0]));
    await answer;
    ended += 1;
  }
}

const typists = Array.from({ length: count }, () => new Typist());
await Promise.all(typists.map(({ open }) => open));
console.log("ready");
await new Promise((resolve) => process.stdin.once("data", resolve));
const started = performance.now();
await Promise.all(typists.map((typist) => typist.type()));
const sent = performance.now();
await Promise.all(typists.map((typist) => typist.drained()));
const drained = performance.now();
console.log(
  JSON.stringify({
    sent: count * keys,
    seconds: (sent - started) / 1000,
    drained: (drained - sent) / 1000,
    received,
    updates,
    ended,
  }),
);
for (const { socket } of typists) socket.close();
process.stdin.unref?.();
