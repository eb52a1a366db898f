// Server-Sent Events over fetch: https://www.npmjs.com/package/eventsource
export { EventSource } from "eventsource";
