-- SPDX-License-Identifier: MIT
-- The delay server that the examples fetch from (lua/braid/tutorial/delay_server.lua): /delay/{seconds}, /get?id=7,
-- /status/{code}, /pid, /stats, /reset.
--   lua5.4 examples/delay_server.lua [--host 127.0.0.1] [--port 0]
local options = { ["--host"] = "127.0.0.1", ["--port"] = "0" }
for i = 1, #arg, 2 do
  if not options[arg[i]] or not arg[i + 1] then
    io.stderr:write "usage: delay_server.lua [--host 127.0.0.1] [--port 0]\n"
    os.exit(2)
  end
  options[arg[i]] = arg[i + 1]
end
require("braid.tutorial.delay_server").main { host = options["--host"], port = tonumber(options["--port"]) }
