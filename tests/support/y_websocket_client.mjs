// A y-websocket client that does what it is told, line by line: see y_websocket.py.
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [url, room] = process.argv.slice(2);
const doc = new Y.Doc();
const text = doc.getText("content");
const options = { WebSocketPolyfill: WebSocket, disableBc: true };
const provider = new WebsocketProvider(url, room, doc, options);
const { awareness } = provider;

const commands = {
  insert: (position, inserted) => text.insert(position, inserted),
  delete: (position, count) => text.delete(position, count),
  text: () => text.toString(),
  synced: () => provider.synced,
  user: (user) => awareness.setLocalStateField("user", user),
  people: () =>
    [...awareness.getStates()].flatMap(([client, { user }]) =>
      client !== doc.clientID && user ? [user.name] : [],
    ),
  // Where the others have their cursors, as positions in the text.
  cursors: () =>
    [...awareness.getStates()].flatMap(([client, { cursor }]) => {
      if (client === doc.clientID || !cursor) return [];
      const places = [cursor.anchor, cursor.head].map((place) =>
        Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(place), doc),
      );
      return [places.map((place) => place?.index)];
    }),
  disconnect: () => provider.disconnect(),
  connect: () => provider.connect(),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [name, ...details] = JSON.parse(line);
    console.log(JSON.stringify(commands[name](...details) ?? null));
  })
  .on("close", () => process.exit());
