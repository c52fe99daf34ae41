-- SPDX-License-Identifier: MIT
-- The extra space of a Lua state belongs to the host. Braid kept numbers and pointers of its own there, and a host that
-- found its own pointer by it in a task or in a generator read those.
local helper = require "spec.helper"
local test = helper.test

-- `read` is called in every place where the host's functions may run.
local SCRIPT = [[
  local extra_space = require "extra_space"
  local braid = require "braid"
  local read = extra_space.read
  extra_space.mark()

  local function everywhere(place)
    print(place, read())
    for text in braid.wrap(function()
      coroutine.yield(read())
      braid.sleep(0)
      coroutine.yield(read())
    end) do print(place .. ", generator", text) end
    print(place .. ", coroutine", coroutine.wrap(function() return read() end)())
    print(place .. ", close", pcall(function()
      local _ <close> = setmetatable({}, { __close = function()
        braid.sleep(0)
        print(place .. ", closing", read())
      end })
      error(read(), 0)
    end))
  end

  everywhere "script"
  braid.run(function()
    everywhere "run"
    for round = 1, 3 do -- a coroutine is used again
      local future = braid.spawn(function() braid.sleep(0) everywhere("task " .. round) end)
      future:on_done(function() print("callback", read()) end)
      future:result()
    end
    braid.gather { function() everywhere "gather" end, function() braid.sleep(0.001) everywhere "gather later" end }
    local bad = braid.spawn(function() coroutine.yield() end) -- its coroutine is not used again
    print("failed", (pcall(bad.result, bad)))
    local pool <close> = braid.thread_pool(1)
    print("thread", pool:submit(function() return (require("extra_space").read()) end):result())
  end)
]]

test("a host's pointer is there in every coroutine", function()
  local out, err, code = helper.lua_process(SCRIPT)
  assert.are.equal("", err)
  assert.are.equal(0, code)
  local lines = 0
  for place, found in out:gmatch "([^\n]*)\t([^\n]*)\n" do
    lines = lines + 1
    if place == "thread" then -- a state that the host has not made
      assert.are.equal("empty", found)
    elseif place ~= "failed" then
      assert.are.equal("marked", found, place)
    end
  end
  assert.are.equal(7 * 6 + 3 + 2, lines)
end)
