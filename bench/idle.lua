-- SPDX-License-Identifier: MIT
-- Idle connections: opens ten thousand to a server in a process of its own, each of which has made one request and is
-- then kept, and prints the server's memory for each, and the 99th percentile of active requests (by wrk, where it is
-- installed) without and beside them; name, implementation, metric and value, separated by tabs.
-- usage: lua5.4 bench/idle.lua [connections]
local braid = require "braid"

local COUNT = tonumber(arg[1]) or 10000
local SECONDS = 3

local function report(metric, value) print(("idle\tbraid\t%s\t%.6g"):format(metric, value)) end

local function memory_of(pid)
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local kilobytes = line:match("^VmRSS:%s+(%d+)")
    if kilobytes then return kilobytes * 1024 end
  end
end

local function p99_of(url)
  local command = { "wrk", "-t1", "-c32", "-d" .. SECONDS .. "s", "--latency", url }
  local result = braid.process.run(command)
  if not result or result.code ~= 0 then return nil end
  local p99, unit = result.stdout:match("99%%%s+([%d.]+)(%a+)")
  return p99 * ({ us = 0.001, ms = 1, s = 1000 })[unit], tonumber(result.stdout:match("Requests/sec:%s+([%d.]+)"))
end

local function open(port)
  local stream = assert(braid.net.connect("127.0.0.1", port, { timeout = 30 }))
  assert(stream:write("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"))
  assert(stream:read("l", 30):find("200 OK", 1, true))
  return stream
end

local function measure()
  local script = [[
    local braid = require "braid"
    local app = braid.web.app()
    app:get("/hello", function() return { hello = "world" } end)
    app:serve { port = 0, idle_timeout = 600 }
  ]]
  local interpreter = 0
  while arg[interpreter - 1] do interpreter = interpreter - 1 end
  local process <close> = assert(braid.process.start { arg[interpreter], "-e", script })
  local url = assert(process.stderr:read("l", 10)):match("http%S+")
  local port = math.tointeger(url:match("%d+$"))
  p99_of(url .. "/hello") -- warm
  local before, rate = p99_of(url .. "/hello")
  local memory, began = memory_of(process.pid), braid.now()
  local list = {}
  for i = 1, COUNT do list[i] = port end
  local streams = braid.map(open, list, { limit = 200 })
  report("connect_seconds", braid.now() - began)
  report("connections", #streams)
  report("bytes_each", (memory_of(process.pid) - memory) / COUNT)
  local beside, beside_rate = p99_of(url .. "/hello")
  if before then
    report("p99_ms_empty", before)
    report("p99_ms_beside", beside)
    report("rps_empty", rate)
    report("rps_beside", beside_rate)
  end
  for _, stream in ipairs(streams) do stream:close() end
end

braid.run(measure)
