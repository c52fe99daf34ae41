-- SPDX-License-Identifier: MIT
-- One connection to the server of the comparison: `ping` sends 64 bytes and waits for them, `recv` and `send` move many
-- bytes. usage: lua5.4 bench/streams.lua tcp|tls ping|recv|send N PORT
local braid = require "braid"

local kind, what, n, port = arg[1], arg[2], math.tointeger(arg[3]), math.tointeger(arg[4])

local function report(metric, value)
  print(("%s\t%s\t%s\t%.6g"):format(os.getenv("BENCH_NAME") or kind .. "_" .. what,
    os.getenv("BENCH_IMPL") or "braid", metric, value))
end

local function ping(stream)
  local message, start = ("p"):rep(63), nil
  local line = message .. "\n"
  assert(stream:write("echo\n"))
  for i = -1000, n - 1 do
    if i == 0 then start = braid.now() end
    assert(stream:write(line))
    assert(stream:read("l") == message)
  end
  report("rtt_us", (braid.now() - start) / n * 1e6)
end

local function receive(stream)
  local start, count = braid.now(), 0
  assert(stream:write(("source %d\n"):format(n)))
  while count < n do count = count + #assert(stream:read_some()) end
  report("mb_s", n / 1e6 / (braid.now() - start))
end

local function send(stream)
  local start, piece = braid.now(), ("x"):rep(65536)
  assert(stream:write(("sink %d\n"):format(n)))
  for _ = 1, n // #piece do assert(stream:write(piece)) end
  assert(stream:read("l") == "ok")
  report("mb_s", n / 1e6 / (braid.now() - start))
end

if not port then
  print("usage: lua5.4 bench/streams.lua tcp|tls ping|recv|send N PORT")
  return
end
braid.run(function()
  local tls = kind == "tls" and { verify = false }
  local stream <close> = assert(braid.net.connect("127.0.0.1", port, { tls = tls }));
  ({ ping = ping, recv = receive, send = send })[what](stream)
end)
