-- SPDX-License-Identifier: MIT
-- A supervisor keeps a task, a thread and a process running: each fails twice, and is started again.
-- usage: lua5.4 examples/supervisor.lua
local braid = require "braid"

local function report(err, name) print(("%-10s %s"):format(name, tostring(err):gsub("^.-:%d+: ", ""))) end

braid.run(function()
  local ready = braid.queue()
  local children = {}
  for i, model in ipairs { "task", "thread", "process" } do
    local tries = braid.counter()
    children[i] = {
      name = "a " .. model, model = model, backoff = { first = 0.01 },
      run = function()
        local try = tries:add()
        if try < 3 then error("failure " .. try) end
        ready:put(model)
        require("braid").sleep(60)
      end,
    }
  end
  local supervisor <close> = braid.supervisor { max_restarts = 10, on_failure = report, children = children }
  for _ = 1, 3 do assert(ready:get(20)) end
  for _, child in ipairs(supervisor:children()) do
    print(("%-10s %s after %d restarts"):format(child.name, child.state, child.restarts))
    assert(child.state == "running" and child.restarts == 2)
  end
end)
