// The notification feed of chapter 13 on lit-html, with the markup of our own: newest first, 50
// kept, gone after 5 s. Written to be fast: keyed cards, one rendering per animation frame, and
// none for a card that is gone already.
import { html, render, repeat } from "./vendor/lit.js";

const KEPT = 50;
const LIFETIME = 5000;
const MINUTE = 60_000;

export class NotificationFeed extends HTMLElement {
  static socket;
  static sheets;

  #notifications = [];
  #connected = false;
  #due = false;
  #unsubscribe = [];

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = NotificationFeed.sheets;
  }

  connectedCallback() {
    const { socket } = NotificationFeed;
    this.#unsubscribe = [
      socket.on("notification", (notification) => this.#add(notification)),
      socket.on("connected", () => this.#show(true)),
      socket.on("disconnected", () => this.#show(false)),
    ];
    this.#show(socket.isConnected);
    socket.connect().catch(console.error);
  }

  disconnectedCallback() {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #show(connected) {
    this.#connected = connected;
    this.#requestUpdate();
  }

  #add(notification) {
    this.#notifications = [notification, ...this.#notifications].slice(0, KEPT);
    this.#requestUpdate();
    setTimeout(() => this.#dismiss(notification.id), LIFETIME);
  }

  #dismiss(id) {
    const left = this.#notifications.filter((notification) => notification.id !== id);
    if (left.length === this.#notifications.length) return;
    this.#notifications = left;
    this.#requestUpdate();
  }

  #requestUpdate() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      render(this.#template(), this.shadowRoot);
    });
  }

  #template() {
    const state = this.#connected ? "connected" : "disconnected";
    const now = Date.now();
    return html`<section class="panel notification-feed" aria-labelledby="heading">
      <header class="panel-header">
        <h2 id="heading" tabindex="-1">Notifications</h2>
        <div class="connection-status ${state}" role="status">
          ${this.#connected ? "● Connected" : "○ Disconnected"}
        </div>
      </header>
      <div class="notifications" role="log" aria-labelledby="heading">
        ${repeat(
          this.#notifications,
          (notification) => notification.id,
          (notification) => this.#card(notification, now),
        )}
      </div>
      ${this.#notifications.length ? null : html`<p class="empty">No notifications</p>`}
    </section>`;
  }

  #card({ id, type, title, message, timestamp }, now) {
    return html`<article class="notification ${type}" data-id=${id}>
      <div class="notification-header">
        <strong><span class="visually-hidden">${type}: </span><bdi>${title}</bdi></strong>
        <button class="dismiss" type="button" aria-label="Dismiss ${title}"
          @click=${() => this.#dismiss(id)}>×</button>
      </div>
      <div class="notification-body" dir="auto">${message}</div>
      <div class="notification-time">${relativeTime(timestamp, now)}</div>
    </article>`;
  }
}

const relativeTime = (timestamp, now) => {
  const minutes = Math.floor((now - timestamp) / MINUTE);
  if (minutes < 1) return "Just now";
  if (minutes < 60) return `${minutes}m ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ago`;
  return new Date(timestamp).toLocaleDateString();
};
