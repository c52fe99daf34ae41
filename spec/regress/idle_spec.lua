-- SPDX-License-Identifier: MIT
-- A worker kept what one large job had needed: Lua's collector had no reason to come again.
local helper = require "spec.helper"
local braid = require "braid"

local function megabytes(pid)
  local status <close> = io.open(("/proc/%s/status"):format(pid))
  return status and tonumber(status:read("a"):match "VmRSS:%s+(%d+)") / 1024
end

local large = {
  ["a string"] = [[return #("x"):rep(100 << 20)]],
  ["a result"] = [[return ("x"):rep(100 << 20)]],
  ["small tables"] = "local list = {} for i = 1, 4e5 do list[i] = { i, tostring(i) } end return #list",
  arrays = [[local braid, list = require "braid", {}
    for i = 1, 5 do list[i] = braid.kernels.fill_random(braid.array("f64", 2500000)) end
    return #list]],
}

-- What the sanitizers keep tells nothing.
if helper.slowness == 1 and megabytes "self" then
  describe("an idle worker gives back what a job needed:", function()
    for name, text in pairs(large) do
      helper.test(name, function()
        helper.run(function()
          local pool <close> = braid.process_pool(1)
          pool:submit(math.abs, -1):result()
          pool:submit(load(text)):result()
          local patience = braid.now() + 5
          repeat braid.sleep(0.05) until megabytes(pool:pids()[1]) < 30 or braid.now() > patience
          assert(megabytes(pool:pids()[1]) < 30)
        end)
      end, { deadline = 20 })
    end
  end)
end

describe("an idle worker lets go", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("of the objects that a job was given: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        local queue = braid.queue(1)
        local mark = load [[
          local queue, set = ...
          seen = seen or setmetatable({}, { __mode = "k" })
          if set then seen[queue] = true end
          return next(seen) ~= nil
        ]]
        assert.is_true(pool:submit(mark, queue, true):result())
        local patience, held = braid.now() + 5
        repeat
          braid.sleep(0.4)
          held = pool:submit(mark):result()
        until not held or braid.now() > patience
        assert.is_false(held)
      end)
    end, { deadline = 20 })
  end
end)
