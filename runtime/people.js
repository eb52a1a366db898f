// Which colour is whose: the same on every page, for one person's name and id.
//
// What others say of themselves is data of strangers, and a colour would end up in a style: so a
// person has one of eight, by number, and the style sheet knows what they look like.

/** What other Yjs clients show for each: for them a colour is text. */
export const COLOURS = [
  "#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#c2185b", "#a6761d", "#0097a7", "#6a8f00",
];

/** The colour of whoever says this of themselves, 0–7. */
export function hueOf(user) {
  const ours = COLOURS.indexOf(user?.color);
  if (ours >= 0) return ours;
  // Making a text of an object could do anything, or fail.
  const name = [user?.id, user?.name].find((given) => ["string", "number"].includes(typeof given));
  // FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
  let hash = 0x811c9dc5;
  for (const char of String(name ?? "").slice(0, 256)) {
    hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  }
  return (hash >>> 0) % COLOURS.length;
}
