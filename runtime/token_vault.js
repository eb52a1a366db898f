// Memory that the tabs of one origin share: what one tab puts in, another can get, without a
// broadcast and without storage. It lives in a shared worker, and goes with the last tab.
const PATIENCE = 2000; // milliseconds; a browser may refuse a worker without a word

function ask(...question) {
  return new Promise((resolve) => {
    let worker;
    try {
      worker = new SharedWorker(new URL("./token_vault_worker.js", import.meta.url), {
        name: "token-vault",
      });
    } catch {
      resolve(undefined); // there are none here, or none are allowed
      return;
    }
    const done = (answer) => {
      clearTimeout(timer);
      worker.port.close();
      resolve(answer);
    };
    const timer = setTimeout(done, PATIENCE);
    worker.onerror = () => done();
    worker.port.onmessage = ({ data }) => done(data);
    worker.port.postMessage(question);
  });
}

/** Return what is in the vault, or undefined. */
export const get = () => ask("get");

/** Put a text into the vault; anything else empties it. */
export const put = (text) => ask("put", typeof text === "string" ? text : undefined);
