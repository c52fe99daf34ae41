-- SPDX-License-Identifier: MIT
-- A chat over WebSockets: a server of the web framework, and three clients in the same program.
--   lua5.4 examples/chat.lua [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local zh = require "tour".options({}).lang == "zh"

local members = {}
local app = braid.web.app()
app:websocket("/chat/{name}", function(ws, request)
  local name = request.params.name
  members[name] = ws
  ws:send "welcome"
  for text in ws:messages() do
    for _, other in pairs(members) do other:send(("%s: %s"):format(name, text)) end
  end
  members[name] = nil
end)

-- Says one thing when all are there, and returns what it hears.
local function client(url, name, count, all_here)
  local ws <close> = assert(braid.websocket.connect(url .. "/chat/" .. name))
  assert(ws:receive(5) == "welcome")
  all_here:wait()
  assert(ws:send((zh and "我是%s" or "I am %s"):format(name)))
  local heard = {}
  for i = 1, count do heard[i] = assert(ws:receive(5)) end
  table.sort(heard)
  return name .. " ← " .. table.concat(heard, "; ")
end

braid.run(function()
  local server <close> = assert(app:start { port = 0 })
  local url = server.url:gsub("^http", "ws")
  local names = { "ada", "bob", "eve" }
  local all_here = braid.barrier(#names)
  for _, line in ipairs(braid.map(function(name) return client(url, name, #names, all_here) end, names)) do
    print(line)
  end
end)

-- ada ← ada: 我是ada; bob: 我是bob; eve: 我是eve
-- bob ← ada: 我是ada; bob: 我是bob; eve: 我是eve
-- eve ← ada: 我是ada; bob: 我是bob; eve: 我是eve
