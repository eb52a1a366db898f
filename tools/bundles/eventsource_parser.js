// The parser of Server-Sent Events: https://www.npmjs.com/package/eventsource-parser
export { createParser } from "eventsource-parser";
