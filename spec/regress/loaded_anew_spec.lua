-- SPDX-License-Identifier: MIT
-- A program that forgets the modules of braid and loads them anew, as busted does, has one loop, registered once.
local helper = require "spec.helper"

describe("braid that is loaded anew", function()
  helper.test("is one module with one state", function()
    local _, stderr, code = helper.lua_process([[
      local core
      for _ = 1, 3 do
        for name in pairs(package.loaded) do
          if name:find "^braid" then package.loaded[name] = nil end
        end
        local braid = require "braid"
        core = core or require "braid.core"
        assert(core == require "braid.core")
        braid.run(function()
          local pool <close> = braid.thread_pool(1)
          local text = pool:submit(function() return require("braid.core").tell_states() end):result(10)
          assert(select(2, ("\n" .. text):gsub("\nscript ", "")) == 1, text)
        end)
      end
      collectgarbage()
      local co = coroutine.wrap(function() coroutine.yield() end)
      co()
      os.exit(7, true)
    ]])
    assert.equal(7, code, stderr)
  end)
end)
