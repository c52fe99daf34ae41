-- SPDX-License-Identifier: MIT
-- Under busted, which loads braid again for each file of specs, jobs work in every file.
local helper = require "spec.helper"
local braid = require "braid"

local SPEC = [[
describe("jobs", function()
  local braid = require "braid"
  local offset = 1
  it("run in both kinds of workers", function()
    for _, kind in ipairs { "threads", "processes" } do
      local pool <close> = braid.pool(kind, 1)
      local function job(x) return tostring(x + offset), type(describe), math.tointeger(x) end
      local text, kind_of_describe, integer = pool:submit(job, 1.0):result(10)
      assert.same({ "2.0", "nil", 1 }, { text, kind_of_describe, integer })
      local future = pool:submit(function() error(require("braid.errors").new("limit", "no")) end)
      assert(future:wait(10))
      assert.equal("limit", future:error().kind)
      local queue = braid.queue()
      pool:submit(function() queue:put "sent" end)
      assert.equal("sent", queue:get(5))
    end
  end)
  it("get C functions", function()
    local pool <close> = braid.thread_pool(1)
    local function call(fn, ...) return fn(...) or true end
    for _, fn in ipairs { print, math.floor, string.rep, braid.now } do
      assert(pool:submit(call, fn, 1, 1):result(5))
    end
  end)
end)
]]

local folder = assert(braid.file.temporary { folder = true })
local found = os.execute "command -v busted >/dev/null 2>&1"

describe("busted", function()
  helper.test("runs jobs in every file", function()
    finally(function() folder:close() end)
    if not found then return end
    for _, name in ipairs { "a", "b", "c" } do
      assert(braid.file.write(("%s/%s_spec.lua"):format(folder.path, name), SPEC))
    end
    local ran = assert(braid.process.run { "busted", "--lua=" .. helper.lua, "-o", "plainTerminal", folder.path })
    assert.equal(0, ran.code, ran.stdout .. ran.stderr)
    assert.matches("6 successes / 0 failures / 0 errors", ran.stdout)
  end, { deadline = 40 })
end)

describe("an _ENV", function()
  helper.test("that asks a function for everything means the worker's globals", function()
    local env = setmetatable({}, { __index = function(_, name) return _G[name] or error "not here" end })
    local pool <close> = braid.thread_pool(1)
    assert.equal("Lua 5.4", pool:submit(load("return _VERSION", "job", "t", env)):result())
    local plain = { _VERSION = "mine" } -- data goes along
    assert.equal("mine", pool:submit(load("return _VERSION", "job", "t", plain)):result())
  end)
end)
