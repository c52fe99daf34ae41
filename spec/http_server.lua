-- SPDX-License-Identifier: MIT
-- The server of the HTTP specs, which misbehaves as it is told (spec/raw_server.c), and how it is asked.
local braid = require "braid"
local helper = require "spec.helper"

local M = {
  base = nil, ---@type string its URL
}

local output

--- Starts it. For busted's lazy_setup.
function M.start()
  output = assert(io.popen(os.getenv("BRAID_RAW_SERVER") or "build/raw_server"))
  local port = output:read("n")
  assert(port, "build/raw_server does not run: make build/raw_server")
  M.base = "http://127.0.0.1:" .. port
end

--- Ends it. For busted's lazy_teardown.
function M.stop()
  braid.http.get(M.base .. "/quit")
  braid.http.close()
  output:close()
end

--- A test function: fn(session) in braid.run, with a session whose base_url is the server, closed afterwards.
function M.with_session(fn, opts)
  return function()
    helper.run(function()
      local options = { base_url = M.base }
      for name, value in pairs(opts or {}) do options[name] = value end
      local session <close> = braid.http.session(options)
      fn(session)
    end)
  end
end

--- The server's counts: accepted and open connections, requests, bytes of big bodies sent.
function M.facts(session) return assert(assert(session:get("/facts")):json()) end

--- What the server has received: its request line, headers and body.
function M.echo(session, method, opts)
  opts = opts or {}
  opts.method, opts.url = method, opts.url or "/echo"
  local body = assert(session:request(opts)).body
  return body:match("^[^\r\n]+"), body:match("^(.-)\n\n"), body:match("\n\n(.*)$")
end

--- Waits until the server has no more than so many connections.
function M.wait_for_open(session, count)
  braid.timeout(5, function()
    while M.facts(session).open > count do braid.sleep(0.01) end
  end)
end

--- fn as n tasks at once.
function M.repeated(n, fn)
  local list = {}
  for i = 1, n do list[i] = fn end
  return braid.gather(list)
end

--- Asserts nil and an error of that kind; gives the error.
function M.fails(kind, value, err)
  assert(value == nil, "it did not fail")
  assert(braid.is_error(err, kind), tostring(err))
  return err
end

return M
