-- SPDX-License-Identifier: MIT
-- Into which Lua braid lets itself be loaded: 5.4.3 or later, with 64 bits. Others are refused by one sentence.
local assert = require "luassert"
local busted = require "busted"
local helper = require "spec.helper"

local test, describe = helper.test, busted.describe

local LOAD = "print(pcall(require, 'braid'))"

describe("require", function()
  -- The real ones, where they are in PATH; the last is what that Lua calls itself.
  for name, version in pairs { ["lua5.4.0"] = "5.4.0", ["lua5.4.2"] = "5.4.2", ["lua5.5"] = "5.5" } do
    if os.execute("command -v " .. name .. " >/dev/null 2>&1") then
      test("is refused by " .. name, function()
        local file <close> = assert(io.popen(("LUA_PATH='lua/?.lua;lua/?/init.lua' %s -e %q 2>&1"):format(name, LOAD)))
        local text = file:read("a")
        assert.matches("^false\tbraid needs Lua 5%.4[^\n]*, and this is Lua " .. version .. ": [^\n]*\n$", text)
      end)
    end
  end

  test("is refused where <close> variables cannot wait", function()
    if os.getenv "BRAID_LUA" then return busted.pending "braid is linked into this interpreter" end
    local program = assert(package.searchpath("old_lua", (package.cpath:gsub("%.so", ""))))
    local file <close> = assert(io.popen(("%s %q 2>&1"):format(program, LOAD)))
    local out = file:read("a")
    assert.matches("^false\tbraid needs Lua 5%.4%.3 or a later 5%.4, and this is Lua 5%.4%.%d+: [^\n]*\n$", out)
  end)

  test("is refused by a Lua of 32 bits", function()
    local out = helper.lua_process("string.packsize = function() return 4 end " .. LOAD)
    assert.equal("false\tbraid needs a Lua of 64 bits, and this one has 32\n", out)
  end)
end)
