// Runs Para's own client, unmodified, against localhost:8080: the environment
// DEV of Para's SDK.
//
// JSON on stdin:  {"apiKey": "dev_…", "sessions": {name: exported session}}
// JSON on stdout: {"sessions": {name: {call: result}}, "fetched": [URL]}
// A result is {"value": …} or {"error": …, "status": …}.

// Keep the SDK's output out of stdout.
console.log = console.info = console.error

// The SDK fetches its signing worker from localhost:3003 and runs the response,
// whoever sent it. It works without the worker, so block the request.
const fetched = []
globalThis.fetch = async url => {
  fetched.push(String(url))
  throw new Error('fetch is blocked')
}

// '@getpara/server-sdk' is version 2.18.0, 'server-sdk-2.10' is 2.10.0.
const { Para } = await import(process.env.PARA_SDK || '@getpara/server-sdk')

let input = ''
for await (const chunk of process.stdin) input += chunk
const { apiKey, sessions } = JSON.parse(input)

async function play(exported) {
  const para = new Para('DEV', apiKey) // one for each session, as Para documents
  const results = {}
  const calls = {
    importSession: () => para.importSession(exported),
    externalWalletConnectionType: () => para.externalWalletConnectionType,
    isSessionActive: () => para.isSessionActive(),
    keepSessionAlive: () => para.keepSessionAlive(),
    getVerificationToken: () => para.getVerificationToken(),
    issueJwt: () => para.issueJwt(),
    issueSecondJwt: () => para.issueJwt({ keyIndex: 1 }),
    partner: () => para.partner,
    findWalletId: () => para.findWalletId(),
    getUserId: () => para.getUserId(),
    getAuthInfo: () => para.getAuthInfo(),
    exportSession: () => para.exportSession(),
    exportSessionWithoutSigners: () => para.exportSession({ excludeSigners: true }),
  }
  for (const [name, call] of Object.entries(calls)) {
    try {
      results[name] = { value: await call() }
    } catch (e) {
      // The SDK's message is Para's response: a text, an object, or undefined.
      results[name] = { error: typeof e.message === 'string' && e.message || `${e.name}: ${JSON.stringify(e.message)}`, status: e.status }
    }
  }
  return results
}

// Run all sessions concurrently: many users in one process.
const played = await Promise.all(Object.entries(sessions).map(async ([name, exported]) => [name, await play(exported)]))
process.stdout.write(JSON.stringify({ sessions: Object.fromEntries(played), fetched }), () => {
  // The SDK's timer for the worker keeps the process alive for 90 seconds.
  process.exit(0)
})
