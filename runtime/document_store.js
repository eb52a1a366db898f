// What a browser keeps of its documents, in IndexedDB: the updates of each, and how many changes
// the server lacks. All tabs write at once; the browser runs their transactions one by one.
import { examine } from "./update_checks.js";

const DATABASE = "realtime-documents";
const PATIENCE = 10_000; // milliseconds; a browser may never say whether a database can be had
const MOST_RECORDS = 200;
const LOOK_EVERY = 50; // records
const WORTH_IT = 65_536; // bytes

// Fewer are written as they are: they cost less than merging them.
const FEW = 8;

/**
 * Open what is kept of a document. Rejects where storage is denied or broken. `listener` has
 * failed(reason), called once if it breaks later, and closed(), after which nothing more is heard.
 */
export async function open(Y, name, listener) {
  const database = await connect();
  let waiting = []; // { update, unsent } or { sent }
  let running = null; // a promise of what is being written
  let broken = null;
  let isClosing = false;
  let isToSquash = false;
  let written = 0; // records since their number was looked at
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

  // The steps run inside the transaction, and what they return is what it comes to.
  const transact = (mode, steps) =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(["updates", "documents"], mode);
      let result;
      let failure = new Error("it was aborted");
      transaction.oncomplete = () => resolve(result);
      // What ended it; its requests say only that it has ended.
      transaction.onabort = () => reject(transaction.error ?? failure);
      const stores = ["updates", "documents"].map((store) => transaction.objectStore(store));
      steps(...stores).then(
        (value) => (result = value),
        (error) => {
          failure = error;
          try {
            transaction.abort();
          } catch {
            // it is over by itself
          }
        },
      );
    });

  // Begins at once: a page that is left may have no other moment.
  const pump = () => {
    if (running || broken) return;
    if (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      running = transact("readwrite", (updates, documents) =>
        write(Y, name, batch, updates, documents),
      );
      written += batch.length;
    } else if (isToSquash || written >= LOOK_EVERY) {
      const isKnown = isToSquash;
      isToSquash = false;
      written = 0;
      running = transact("readwrite", (updates) => squash(Y, name, updates, isKnown));
    } else {
      if (isClosing) finish();
      return;
    }
    running = running.catch(fail).then(() => {
      running = null;
      if (broken && isClosing) finish();
      else pump();
    });
  };

  const finish = () => {
    isDeaf = true;
    database.onversionchange = database.onclose = null;
    database.close();
    listener.closed();
  };

  const add = (item) => {
    if (broken || isClosing) return;
    waiting.push(item);
    pump();
  };

  const flush = async () => {
    while (waiting.length > 0 || running) await running;
    if (broken) throw broken;
  };

  return {
    append: (update, unsent) => add({ update, unsent }),
    sent: (count) => add({ sent: count }),
    flush,

    /** Returns [updates, how many changes are unsent]. */
    async load() {
      await flush();
      if (isClosing) throw new Error("it is closed");
      try {
        const [records, state] = await transact("readonly", (updates, documents) =>
          Promise.all([done(updates.index("name").getAll(name)), done(documents.get(name))]),
        );
        const good = goodOf(Y, records);
        const lost = records.length - good.length;
        if (lost > 0) tell(`${lost} of ${records.length} records of ${name} cannot be read`);
        isToSquash ||= lost > 0 || areMany(good);
        pump();
        return [good, countOf(state)];
      } catch (error) {
        fail(error);
        throw error;
      }
    },

    close() {
      if (isClosing) return;
      isClosing = true;
      if (broken) finish();
      else pump();
    },
  };
}

const describe = (error) => (error.name === "Error" ? "" : `${error.name}: `) + error.message;

/** The promise of a request. */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

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
      request.result.createObjectStore("documents");
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

async function write(Y, name, batch, updates, documents) {
  const fresh = batch.filter(({ update }) => update).map(({ update }) => update);
  for (const update of fresh.length > FEW ? merged(Y, fresh) : fresh) updates.add({ name, update });
  if (batch.every(({ unsent, sent }) => !unsent && !sent)) return;
  let count = countOf(await done(documents.get(name)));
  for (const { unsent = 0, sent = 0 } of batch) count = Math.max(0, count + unsent - sent);
  documents.put({ unsent: count }, name);
}

function merged(Y, updates) {
  try {
    return [Y.mergeUpdates(updates)];
  } catch {
    return updates; // one of them is none
  }
}

// Every record is as good as a stranger's: anything of this origin may write there.
const countOf = (state) => (Number.isSafeInteger(state?.unsent) ? Math.max(0, state.unsent) : 0);

const goodOf = (Y, records) =>
  records
    .map(({ update }) => update)
    .filter((update) => update instanceof Uint8Array && examine(Y, update).fault === null);

/** Whether they are too many, or have more in them than the one that was squashed last. */
function areMany(updates) {
  const sizes = updates.map(({ length }) => length);
  const size = sizes.reduce((sum, each) => sum + each, 0);
  const largest = sizes.reduce((most, each) => Math.max(most, each), 0);
  return sizes.length > MOST_RECORDS || (size > WORTH_IT && size > 2 * largest);
}

/** Make one record of all that are kept of a document, without what is deleted in it. */
async function squash(Y, name, updates, isKnown) {
  const index = updates.index("name");
  if (!isKnown && (await done(index.count(name))) <= MOST_RECORDS) return;
  const [keys, records] = await Promise.all([
    done(index.getAllKeys(name)),
    done(index.getAll(name)),
  ]);
  const good = goodOf(Y, records);
  // Another tab may have done it.
  if (good.length === records.length && !areMany(good)) return;
  const update = together(Y, good);
  if (update === undefined) return;
  for (const key of keys) updates.delete(key);
  updates.add({ name, update });
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
