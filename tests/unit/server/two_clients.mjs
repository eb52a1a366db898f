// Two y-websocket clients edit one document through the gateway; the second one loses its
// connection meanwhile. Started by test_y_websocket.py: node two_clients.mjs URL DOCUMENT
import WebSocket from 'ws'
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'

const [url, room] = process.argv.slice(2)

const until = (target, event, condition) =>
  new Promise((resolve) => {
    const look = () => {
      if (!condition()) return
      target.off(event, look)
      resolve()
    }
    target.on(event, look)
    look()
  })

const join = () => {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  return { doc, provider, text: doc.getText('content') }
}

const one = join()
await until(one.provider, 'sync', () => one.provider.synced)
const two = join()
await until(two.provider, 'sync', () => two.provider.synced)

one.provider.awareness.setLocalStateField('user', { name: 'Ada' })
await until(two.provider.awareness, 'change', () => two.provider.awareness.getStates().get(one.doc.clientID)?.user)

one.text.insert(0, 'Hello')
await until(two.doc, 'update', () => two.text.toString() === 'Hello')

// Both edit while the second one is away.
two.provider.ws.terminate()
await until(two.provider, 'status', () => !two.provider.wsconnected)
two.text.insert(5, ' from two')
one.text.delete(0, 1)
one.text.insert(0, 'J')
await until(two.provider, 'sync', () => two.provider.synced)
const both = 'Jello from two'
await until(one.doc, 'update', () => one.text.toString() === both)
await until(two.doc, 'update', () => two.text.toString() === both)

// A third one comes late, and sees who is there.
const three = join()
await until(three.doc, 'update', () => three.text.toString() === both)
await until(three.provider.awareness, 'change', () => three.provider.awareness.getStates().has(one.doc.clientID))

two.provider.destroy()
await until(one.provider.awareness, 'change', () => !one.provider.awareness.getStates().has(two.doc.clientID))
console.log(one.text.toString())
process.exit()
