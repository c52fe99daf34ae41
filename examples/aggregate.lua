-- SPDX-License-Identifier: MIT
-- The document's service: /aggregate asks three services at once and answers after the slowest. With a number it starts
-- so many worker processes.
-- usage: lua5.4 examples/aggregate.lua [--workers N] [--serve PORT] [--base-url URL]
local braid = require "braid"

local options = { workers = "1" }
for i = 1, #arg, 2 do options[arg[i]:match("^%-%-(.+)$"):gsub("-", "_")] = arg[i + 1] end

local base = options.base_url

-- The project's own stand-in for httpbin.org.
local function start_delay_server()
  if base then return nil end
  local script = arg[0]:gsub("aggregate%.lua$", "delay_server.lua")
  local process = assert(braid.process.start { arg[-1] or "lua5.4", script, "--port", "0" })
  base = "http://" .. assert(process:read("l", 10)):match("127.0.0.1:%d+")
  return process
end

local _ <close> = start_delay_server()
local app = braid.web.app()

local function status_of(path)
  local response, problem = braid.http.get(base .. path, { timeout = 5 })
  if not response then braid.web.abort(502, problem.message) end
  if response.status ~= 200 then braid.web.abort(502, ("%s: status %d"):format(path, response.status)) end
  return response.status
end

app:get("/aggregate", function(request)
  local order = request.query.fail and "/status/500" or "/delay/1"
  local statuses = braid.gather {
    function() return status_of "/delay/1" end,
    function() return status_of(order) end,
    function() return status_of "/delay/1" end,
  }
  return { user = statuses[1], order = statuses[2], stock = statuses[3] }
end)

if options.serve then
  app:serve { port = math.tointeger(options.serve), workers = math.tointeger(options.workers) }
  return
end

braid.run(function()
  local server <close> = assert(app:start { port = 0, workers = math.tointeger(options.workers) })
  local began = braid.now()
  local response = assert(braid.http.get(server.url .. "/aggregate"))
  local answer = response:json()
  print(('{"user":%d,"order":%d,"stock":%d}'):format(answer.user, answer.order, answer.stock))
  print(("three requests of 1 s at once: %s"):format(braid.now() - began < 2 and "about 1 s" or "too slow"))
  local failed = assert(braid.http.get(server.url .. "/aggregate?fail=1"))
  print(failed.status, failed.body)
  braid.http.close()
end)

-- {"user":200,"order":200,"stock":200}
-- three requests of 1 s at once: about 1 s
-- 502	{"error":"/status/500: status 500"}
