-- SPDX-License-Identifier: MIT
-- The manual that is made of the comments: every public name by its own name, and no page without one.
local helper = require "spec.helper"
local braid = require "braid"
local assert = require "luassert"

local test, describe = helper.test, require("busted").describe

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read "a"
end

describe("the manual", function()
  test("has a section for each public name, and lacks none", function()
    local folder = assert(braid.process.run { "mktemp", "-d" }).stdout:gsub("\n", "")
    finally(function() braid.process.run { "rm", "-rf", folder } end)
    local made = assert(braid.process.run { helper.lua, "tools/manual.lua", folder })
    assert.equal(0, made.code, made.stdout .. made.stderr)
    local pages = read(folder .. "/index.md")
    for page in pages:gmatch "%((%w+%.md)%)" do pages = pages .. read(folder .. "/" .. page) end
    for _, section in ipairs {
      "braid.spawn(fn, ...)", "future:result(timeout?)", "task:daemon()", "queue:put(value, timeout?)",
      "braid.web.app()", "routes:get(path, spec?, handler)", "thread_pool:submit(fn, ...)", "braid.kernels.sum(",
      "session:request(opts)",
    } do
      assert.is_truthy(pages:find("### `" .. section, 1, true), section)
    end
    assert.not_matches("braid%.Task:spawn", pages)
  end)
end)
