// The peers in JavaScript; page.py adds ours, and does the same with its own rows.
import { wrap } from "comlink";
import { WorkerManager } from "./chapter_manager.js";

const FIRST_TIME = 1_760_000_000_000;
const COLOURS = ["amber", "blue", "coral", "denim", "ebony", "flax", "green", "hazel"];

/** As `rows_of` in page.py: the same rows, from the same generator of numbers. */
const rowsOf = (count) => {
  const rows = [];
  let state = 1;
  for (let id = 0; id < count; id += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const price = (state % 10_000_000) / 100;
    const name = `${COLOURS[state >>> 29]} ${(state >>> 8) % 1_000_000}`;
    rows.push({ id, price, name, quantity: (state >>> 4) % 100, timestamp: FIRST_TIME + 1000 * id });
  }
  return rows;
};

/** Two answers that are the same have the same digest: an average as it is, or ids in order. */
const digest = (answer) => {
  if (typeof answer === "number") return answer;
  let sum = 0;
  for (const { id } of answer) sum = (31 * sum + id) % 1_000_000_007;
  return [answer.length, sum];
};

const blobUrl = async (name) => URL.createObjectURL(await (await fetch(name)).blob());
const [chapterUrl, comlinkUrl] = await Promise.all(
  ["./chapter_worker.js", "./comlink_worker.js"].map(blobUrl),
);
const manager = new WorkerManager(chapterUrl);
const remote = wrap(new Worker(comlinkUrl));
const clients = {
  JavaScript: (type, data, options) => manager.process(type, data, options),
  comlink: (type, data, options) => remote[type](data, options),
};

let rows = [];
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

window.makePeerRows = (count) => {
  rows = rowsOf(count);
};

/** Ask a question so many times; return the milliseconds of each, and the last answer's digest. */
window.askPeer = async (name, type, options, samples) => {
  const times = [];
  let answer = null;
  for (let sample = 0; sample < samples; sample += 1) {
    answer = null;
    await pause();
    performance.mark("asked");
    const start = performance.now();
    answer = await clients[name](type, rows, options);
    times.push(performance.now() - start);
    performance.mark("answered");
    await pause(); // for the task to end here, and not after what follows
  }
  return JSON.stringify([times, digest(answer)]);
};

/** Return the milliseconds from a new manager to its first answer, and from a killed one's. */
window.startPeer = async (type, options) => {
  let start = performance.now();
  let fresh = new WorkerManager(chapterUrl);
  await fresh.process(type, rows, options);
  const first = performance.now() - start;
  // Nothing there replaces a worker: whoever notices makes another.
  start = performance.now();
  fresh.terminate();
  fresh = new WorkerManager(chapterUrl);
  await fresh.process(type, rows, options);
  const again = performance.now() - start;
  fresh.terminate();
  return JSON.stringify({ answer: first, again });
};
window.peersReady = true;
