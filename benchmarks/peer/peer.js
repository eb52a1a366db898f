// The page of the benchmark's peer: one socket, one feed, and a note of every id that arrived.
import { NotificationFeed } from "./notification_feed.js";
import { WebSocketClient } from "./websocket_client.js";

const socket = new WebSocketClient(new URL("./ws", location.href.replace("http", "ws")).href);
const theme = await (await fetch("./components/theme.css")).text();
const styles = await (await fetch("./notification_feed.css")).text();

NotificationFeed.socket = socket;
NotificationFeed.sheets = [theme, styles].map((text) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
});
customElements.define("notification-feed", NotificationFeed);

const ids = [];
socket.on("notification", (payload) => ids.push(payload.id));
window.received = () => JSON.stringify(ids);
