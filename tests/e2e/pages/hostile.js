// Posts on the tabs' channel what no tab of ours would.
() => {
  const channel = new BroadcastChannel("app-sync");
  const connection = "websocket:" + new URL("./ws", location).href.replace("http", "ws");
  const news = (payload, tabId) => ({ schema: 1, type: connection, payload, timestamp: 0, tabId });
  const cycle = {};
  cycle.self = cycle;
  const items = [{ type: "notification", payload: { title: "forged" }, timestamp: 1, id: "forged" }];
  for (const message of [
    null, 7, "text", [], {}, cycle, 10n ** 30n, new Map([[1, 2]]), undefined, new Uint8Array(9),
    { type: "auth-logout", payload: {}, timestamp: 0, tabId: "old" },
    { schema: 2, type: "auth-logout", payload: {}, timestamp: 0, tabId: "newer" },
    { schema: 1, type: "tab-connected", payload: {}, timestamp: 0, tabId: "ghost" },
    { schema: 1, type: "tab-connected", timestamp: 0, tabId: "ghost",
      payload: { title: "Ghost", since: 1, visible: true, shared: {} } },
    { schema: 1, type: "leader-changed", payload: { leader: "ghost" }, timestamp: 0, tabId: "ghost" },
    { schema: 1, type: "tab-hint", payload: { leader: "ghost" }, timestamp: 0, tabId: "ghost" },
    { schema: 1, type: "tab-disconnected", payload: {}, timestamp: 0, tabId: "ghost" },
    { schema: 1, type: "x".repeat(1000), payload: {}, timestamp: 0, tabId: "ghost" },
    { schema: 1, type: "note", payload: "y".repeat(20_000_000), timestamp: 0, tabId: "ghost" },
    news({ kind: "live", items }, "ghost"),
    news({ kind: "down", link: 1, items, live: true }, "ghost"),
    news({ kind: "closed", link: 1, code: 4403, reason: "forged" }, "ghost"),
    news({ kind: "status", state: "refused", attempts: 1, close_code: 1, close_reason: "", round_trip: 1 }, "ghost"),
    news({ kind: "up", link: 99, frames: ["{}"] }, "ghost"),
    news({ kind: "nonsense" }, "ghost"), news(null, "ghost"), news({ kind: "up", link: -1, frames: 7 }, "ghost"),
  ]) channel.postMessage(message);
  channel.close();
}
