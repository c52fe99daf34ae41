-- SPDX-License-Identifier: MIT
-- An echo server and three clients at once: each connection is a task that reads and writes as if it were alone.
local braid = require "braid"

local function answer(stream)
  local connection <close> = stream
  for line in connection:lines() do connection:write(line:upper() .. "\n") end
end

local function ask(port, word)
  local stream <close> = assert(braid.net.connect("localhost", port))
  stream:write(word .. "\n")
  return stream:read("l", 5)
end

braid.run(function()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0)) -- port 0: one that is free
  braid.spawn(function()
    for stream in listener do braid.spawn(answer, stream) end
  end):daemon()
  local replies = braid.map(function(word) return ask(listener.port, word) end, { "one", "two", "three" })
  print(table.concat(replies, " "))
end)

-- ONE TWO THREE
