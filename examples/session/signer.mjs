// Signs messages with users' own Para wallets, for a Go server on this machine.
// In: {session, message}. Out: {walletId, signature}. Run: npm install --ignore-scripts && node signer.mjs
import { createServer } from 'node:http'
import { Para } from '@getpara/server-sdk'

const { PARA_ENVIRONMENT = 'BETA', PARA_API_KEY, PORT = 8090 } = process.env

createServer(async (req, res) => {
  try {
    let body = ''
    for await (const chunk of req) if ((body += chunk).length > 2 ** 21) throw new Error('the request is too large')
    const { session, message } = JSON.parse(body)
    const para = new Para(PARA_ENVIRONMENT, PARA_API_KEY) // one for each session
    await para.importSession(session)
    const walletId = para.findWalletId()
    const { signature } = await para.signMessage({ walletId, messageBase64: Buffer.from(message).toString('base64') })
    res.end(JSON.stringify({ walletId, signature }))
  } catch (e) {
    console.error(`not signed: ${e.name}`) // its message may quote the session
    res.writeHead(502).end(JSON.stringify({ error: 'not signed' }))
  }
}).listen(PORT, '127.0.0.1')
