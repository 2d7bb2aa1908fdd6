-- The action "parajwt" asks parajwt-gateway who is calling. It adds the X-Para-*
-- fields to the request, or ends it with the answer of the gateway. Tested with
-- HAProxy 2.6.

local gateway = "http://127.0.0.1:8090/auth"
local fields = {
  "x-para-user-id", "x-para-auth-type", "x-para-identifier",
  "x-para-wallets", "x-para-token-id", "x-para-expires",
}
local unavailable = '{"type":"about:blank","title":"Service Unavailable","status":503}\n'

-- The header fields of HAProxy count their values from 0.
local function list(values)
  local all = {}
  for i = 0, #(values or {}) do
    if values and values[i] then table.insert(all, values[i]) end
  end
  return all
end

core.register_action("parajwt", { "http-req" }, function(txn)
  local authorization = list(txn.http:req_get_headers()["authorization"])
  local answer = core.httpclient():get {
    url = gateway, timeout = 10000, headers = { authorization = authorization },
  }

  if answer and answer.status == 200 and list(answer.headers["x-para-user-id"])[1] then
    for _, name in ipairs(fields) do
      txn.http:req_set_header(name, list(answer.headers[name])[1] or "-")
    end
    return
  end

  local reply = txn:reply()
  reply:add_header("Cache-Control", "no-store")
  reply:add_header("Content-Type", "application/problem+json")
  -- HAProxy makes an answer with an HTML body if the gateway is down.
  local kind = answer and list(answer.headers and answer.headers["content-type"])[1]
  if kind == "application/problem+json" and answer.status >= 400 then
    reply:set_status(answer.status)
    for _, name in ipairs({ "www-authenticate", "retry-after" }) do
      for _, value in ipairs(list(answer.headers[name])) do reply:add_header(name, value) end
    end
    reply:set_body(answer.body)
  else
    reply:set_status(503)
    reply:add_header("Retry-After", "1")
    reply:set_body(unavailable)
  end
  txn:done(reply)
end)
