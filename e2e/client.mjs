// Para's own client, unmodified, against what listens on localhost:8080: the environment DEV of Para's SDK.
//
// In:  {"apiKey": "dev_…", "sessions": {name: exported session}}, as JSON on stdin.
// Out: {"sessions": {name: {call: {"value": …} or {"error": …, "status": …}}}, "fetched": [URL]}, as JSON on stdout.

// What the SDK prints is no result.
console.log = console.info = console.error

// The SDK fetches its signing worker from localhost:3003 and runs what comes: code of whoever listens there. It
// carries on without, and so it gets none.
const fetched = []
globalThis.fetch = async url => {
  fetched.push(String(url))
  throw new Error('there is no signing worker here')
}

// The version to run: '@getpara/server-sdk' is 2.18.0, 'server-sdk-2.10' is 2.10.0.
const { Para } = await import(process.env.PARA_SDK || '@getpara/server-sdk')

let input = ''
for await (const chunk of process.stdin) input += chunk
const { apiKey, sessions } = JSON.parse(input)

async function play(exported) {
  const para = new Para('DEV', apiKey) // one session each, as Para's documentation asks
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
      // The SDK's message is what was answered: a text, an object, or nothing.
      results[name] = { error: typeof e.message === 'string' && e.message || `${e.name}: ${JSON.stringify(e.message)}`, status: e.status }
    }
  }
  return results
}

// All at once: many users in one process.
const played = await Promise.all(Object.entries(sessions).map(async ([name, exported]) => [name, await play(exported)]))
process.stdout.write(JSON.stringify({ sessions: Object.fromEntries(played), fetched }), () => {
  // The SDK's timer for the worker would hold the process for 90 seconds.
  process.exit(0)
})
