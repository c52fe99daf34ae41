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

local function in_folder(fn)
  local folder = assert(braid.process.run { "mktemp", "-d" }).stdout:gsub("\n", "")
  local ok, err = pcall(fn, folder)
  braid.process.run { "rm", "-rf", folder }
  if not ok then error(err, 0) end
end

-- Writes the site and runs fn(files), by path.
local function with_site(fn)
  in_folder(function(folder)
    local made = assert(braid.process.run { helper.lua, "tools/site.lua", folder })
    assert.equal(0, made.code, made.stdout .. made.stderr)
    fn(folder, made.stdout)
  end)
end

local function files_of(folder)
  local list = {}
  local found = assert(braid.process.run { "find", folder, "-name", "*.html" }).stdout
  for file in found:gmatch "[^\n]+" do list[#list + 1] = file end
  return list
end

describe("the manual", function()
  test("has a section for each public name, lacks none, and no link leads nowhere", function()
    with_site(function(folder, told)
      assert.matches(" 0 problems", told)
      local reference, pages = "", {}
      for _, file in ipairs(files_of(folder)) do
        local text = read(file)
        pages[file] = text
        if file:find "/reference/" then reference = reference .. text end
      end
      for _, section in ipairs {
        "braid.spawn(fn, ...)", "future:result(timeout?)", "task:daemon()", "queue:put(value, timeout?)",
        "braid.web.app()", "routes:get(path, spec?, handler)", "thread_pool:submit(fn, ...)",
        "braid.kernels.sum(", "session:request(opts)",
      } do
        assert.is_truthy(reference:find("<code>" .. section, 1, true), section)
      end
      assert.not_matches("braid%.Task:spawn", reference)
      for name in pairs(braid) do
        if type(braid[name]) == "function" then
          assert.is_truthy(reference:find(('id="braid.%s"'):format(name), 1, true), name)
        end
      end
      for file, text in pairs(pages) do
        local base = file:gsub("[^/]*$", "")
        for target in text:gmatch 'href="([^"#]+)' do
          local there = target:find "^%a+:" or io.open(base .. target)
          assert.is_truthy(there, file .. " -> " .. target)
          if type(there) == "userdata" then there:close() end
        end
      end
    end)
  end, { deadline = 60 })

  test("is searched without a server", function()
    if not braid.process.run { "node", "--version" } then return pending "node is not installed" end
    with_site(function(folder)
      local script = [[
        const fs = require("fs"), vm = require("vm"), context = { };
        vm.runInNewContext(fs.readFileSync(process.argv[1] + "/index.js", "utf8") + ";this.INDEX = INDEX", context);
        const has = (word) => context.INDEX.filter((entry) => entry[0].includes(word)).map((entry) => entry[1]);
        console.log(has("queue:put(")[0], has("braid.spawn(")[0], context.INDEX.length > 500);]]
      local ran = assert(braid.process.run { "node", "-e", script, folder })
      assert.equal("reference/shared.html#braid.Queue:put reference/tasks.html#braid.spawn true\n", ran.stdout,
        ran.stderr)
    end)
  end, { deadline = 60 })
end)
