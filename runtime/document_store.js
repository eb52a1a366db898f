// What a browser keeps of its documents, in IndexedDB. All tabs write at once; the browser runs
// their transactions one by one.
//
// A record is `{ name, update?, unsent?, sent? }`: an update of the document, how many changes it
// holds that the server lacks, and how many of the earlier ones the server has by now. So writing
// needs no reading, and is done even if the page is gone in the next moment.
import { examine } from "./update_checks.js";

const DATABASE = "realtime-documents";
const PATIENCE = 10_000; // milliseconds; a browser may never say whether a database can be had
const MOST_RECORDS = 200;
const LOOK_EVERY = 50; // records
const WORTH_IT = 65_536; // bytes

// Fewer are written as they are: they cost less than merging them.
const FEW = 8;

let isLeaving = false;
addEventListener("pagehide", () => (isLeaving = true), { capture: true });
addEventListener("pageshow", () => (isLeaving = false), { capture: true });

/**
 * Open what is kept of a document. Rejects where storage is denied or broken. `listener` has
 * failed(reason), called at most once, and closed(), after which nothing more is heard.
 */
export async function open(Y, name, listener) {
  const database = await connect();
  let waiting = []; // records
  let running = 0; // transactions
  let idlers = []; // who waits until nothing waits and nothing runs
  let broken = null;
  let isToSquash = false;
  let written = 0; // records since their number was looked at
  let isClosing = false;
  let isFinished = false;
  let isDeaf = false;

  const tell = (reason) => {
    if (isDeaf) return;
    isDeaf = true;
    listener.failed(reason);
  };

  const fail = (error) => {
    if (broken) return;
    broken = error;
    waiting = [];
    database.close();
    tell(describe(error));
  };

  database.onversionchange = () => fail(new Error("the database is being deleted or replaced"));
  database.onclose = () => fail(new Error("the browser has closed the database"));

  const run = (steps) => {
    running++;
    transact(database, "readwrite", steps)
      .catch(fail)
      .then(() => {
        running--;
        pump();
      });
  };

  const pump = () => {
    // What comes meanwhile is written together, unless there may be no later.
    if (waiting.length > 0 && (running === 0 || isLeaving)) {
      const records = waiting;
      waiting = [];
      written += records.length;
      run((updates) => write(Y, name, records, updates));
    }
    if (running > 0) return;
    if (!broken && (isToSquash || written >= LOOK_EVERY)) {
      const isKnown = isToSquash;
      isToSquash = false;
      written = 0;
      run((updates) => squash(Y, name, updates, isKnown));
      return;
    }
    for (const resume of idlers.splice(0)) resume();
    if (isClosing && !isFinished) finish();
  };

  const finish = () => {
    isFinished = isDeaf = true;
    database.onversionchange = database.onclose = null;
    database.close();
    listener.closed();
  };

  const add = (record) => {
    if (broken || isClosing) return;
    waiting.push(record);
    pump();
  };

  const flush = async () => {
    if (running > 0) await new Promise((resume) => idlers.push(resume));
    if (broken) throw broken;
  };

  return {
    append: (update, unsent) => add(unsent > 0 ? { update, unsent } : { update }),
    sent: (count) => add({ sent: count }),
    flush,

    /** Returns [updates, how many changes are unsent, what cannot be read]. */
    async load() {
      await flush();
      if (isClosing) throw new Error("it is closed");
      try {
        const records = await transact(database, "readonly", (updates) =>
          done(updates.index("name").getAll(name)),
        );
        const { good, lost, unsent } = read(Y, records);
        isToSquash ||= lost > 0 || areMany(records.length, good);
        pump();
        const fault = lost > 0 ? `${lost} of ${records.length} records cannot be read` : "";
        return [good, unsent, fault];
      } catch (error) {
        fail(error);
        throw error;
      }
    },

    close() {
      if (isClosing) return;
      isClosing = true;
      pump();
    },
  };
}

const describe = (error) => (error.name === "Error" ? "" : `${error.name}: `) + error.message;

function connect() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    let isLate = false;
    const giveUp = (error) => {
      isLate = true;
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(giveUp, PATIENCE, new Error("the browser does not answer"));
    request.onupgradeneeded = () => {
      const updates = request.result.createObjectStore("updates", { autoIncrement: true });
      updates.createIndex("name", "name");
    };
    request.onblocked = () => giveUp(new Error("another tab holds an older database"));
    request.onerror = () => giveUp(request.error);
    request.onsuccess = () => {
      clearTimeout(timer);
      if (isLate) request.result.close();
      else resolve(request.result);
    };
  });
}

/** Run steps inside a transaction; returns what they return once it is complete. */
function transact(database, mode, steps) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction("updates", mode);
    let result;
    let failure = new Error("it was aborted");
    transaction.oncomplete = () => resolve(result);
    // What ended it: its requests say only that it has ended.
    transaction.onabort = () => reject(transaction.error ?? failure);
    steps(transaction.objectStore("updates")).then(
      (value) => (result = value),
      (error) => {
        failure = error;
        try {
          transaction.abort();
        } catch {
          // it has ended by itself
        }
      },
    );
  });
}

/** The promise of a request. */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function write(Y, name, records, updates) {
  for (const record of records.length > FEW ? merged(Y, records) : records) {
    updates.add({ name, ...record });
  }
  updates.transaction.commit();
}

function merged(Y, records) {
  const fresh = [];
  const counts = [{}];
  for (const { update, unsent = 0, sent = 0 } of records) {
    if (update) fresh.push(update);
    // In one record the unsent are added before the sent are subtracted.
    if (unsent > 0 && counts.at(-1).sent) counts.push({});
    const last = counts.at(-1);
    last.unsent = (last.unsent ?? 0) + unsent;
    last.sent = (last.sent ?? 0) + sent;
  }
  if (fresh.length === 0) return counts;
  try {
    counts[0].update = Y.mergeUpdates(fresh);
    return counts;
  } catch {
    return records; // one of them is no update
  }
}

/** What records hold. Each is as good as a stranger's: anything of this origin may write there. */
function read(Y, records) {
  const good = [];
  let lost = 0;
  let count = 0;
  for (const { update, unsent = 0, sent = 0 } of records) {
    const areNumbers = [unsent, sent].every((each) => Number.isSafeInteger(each) && each >= 0);
    const isUpdate = update instanceof Uint8Array && examine(Y, update).fault === null;
    if (isUpdate) good.push(update);
    if (areNumbers) count = Math.max(0, count + unsent - sent);
    if (!areNumbers || !(isUpdate || (update === undefined && unsent + sent > 0))) lost++;
  }
  return { good, lost, unsent: count };
}

/** Whether records are too many, or have more in them than the one that was squashed last. */
function areMany(count, updates) {
  const sizes = updates.map(({ length }) => length);
  const size = sizes.reduce((sum, each) => sum + each, 0);
  const largest = sizes.reduce((most, each) => Math.max(most, each), 0);
  return count > MOST_RECORDS || (size > WORTH_IT && size > 2 * largest);
}

/** Make one record of all that are kept of a document, without what is deleted in it. */
async function squash(Y, name, updates, isKnown) {
  const index = updates.index("name");
  if (!isKnown && (await done(index.count(name))) <= MOST_RECORDS) return;
  const [keys, records] = await Promise.all([
    done(index.getAllKeys(name)),
    done(index.getAll(name)),
  ]);
  const { good, lost, unsent } = read(Y, records);
  // Another tab may have done it.
  if (lost === 0 && !areMany(records.length, good)) return;
  const update = together(Y, good);
  if (update === undefined) return;
  for (const key of keys) updates.delete(key);
  updates.add({ name, update, unsent });
}

function together(Y, updates) {
  const doc = new Y.Doc();
  try {
    for (const update of updates) Y.applyUpdate(doc, update);
    return Y.encodeStateAsUpdate(doc);
  } catch {
    return undefined; // they stay as they are
  } finally {
    doc.destroy();
  }
}
