"""What a feed has ever shown, in order, also what has left it since."""

from __future__ import annotations

from playwright.sync_api import Page

START = """
([tag, list, item]) => {
  const seen = (window.seen ??= {});
  const ids = (seen[tag] = []);
  const root = document.querySelector(tag).shadowRoot.querySelector(list);
  for (const node of [...root.querySelectorAll(item)].reverse()) ids.push(node.dataset.id);
  new MutationObserver((records) => {
    // A frame may show several at once, newest first.
    const added = records.flatMap((record) => [...record.addedNodes]);
    const cards = added.filter((node) => node.nodeType === 1 && node.matches(item));
    cards.sort((a, b) => (a.compareDocumentPosition(b) & 2 ? -1 : 1));
    ids.push(...cards.map((node) => node.dataset.id));
  }).observe(root, { childList: true });
}
"""


def record_notifications(page: Page) -> None:
    """Begin to note the ids that `<notification-feed>` shows."""
    page.evaluate(START, ["notification-feed", ".notifications", ".notification"])


def record_activities(page: Page) -> None:
    """Begin to note the ids that `<activity-feed>` shows."""
    page.evaluate(START, ["activity-feed", ".activities", ".activity-item"])


def seen(page: Page, tag: str = "notification-feed") -> list[str]:
    """Return the ids that a feed has shown, oldest first."""
    return page.evaluate("(tag) => window.seen[tag]", tag)


def wait_for_last(page: Page, event_id: str, tag: str = "notification-feed") -> None:
    """Wait until a feed has shown an id."""
    page.wait_for_function(
        "([tag, id]) => window.seen[tag].includes(id)", arg=[tag, event_id], timeout=40_000
    )
