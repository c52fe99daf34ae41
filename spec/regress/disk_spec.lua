-- SPDX-License-Identifier: MIT
-- Files that cannot be written: whoever writes says so. No write of a child here succeeds that goes to a file of the
-- disk, by ulimit -f 0; nothing here is pointed at a device that could be replaced.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"

local test, describe = helper.test, require("busted").describe

-- Runs code under that limit; returns what it printed, and what it said on stderr. `name` is a file that it may use.
local function on_full_disk(code, ...)
  local script, name = os.tmpname(), os.tmpname()
  do
    local file <close> = assert(io.open(script, "w"))
    assert(file:write('local braid = require "braid"\nlocal name = ...\n', code))
  end
  local result = assert(braid.process.run { "sh", "-c", [[trap '' XFSZ; ulimit -f 0; exec "$@"]], "sh", helper.lua,
    script, name, ... })
  os.remove(script)
  os.remove(name)
  assert.equal(0, result.code, result.stderr)
  return result.stdout, result.stderr
end

describe("a file that cannot be written", function()
  test("is an error of braid.trace, as JSON and as a page", function()
    assert.equal("system\tsystem\ttrue\n", (on_full_disk [[
      local function try(path)
        local ok, err = pcall(braid.trace, path, function()
          braid.run(function() for _ = 1, 100 do braid.spawn(braid.sleep, 0) end end)
        end)
        return err.kind, tostring(err):find(path, 1, true) ~= nil
      end
      os.rename(name, name .. ".html")
      local page, told = try(name .. ".html")
      os.rename(name .. ".html", name)
      print(try(name), page, told)]]):gsub("\ttrue\t", "\t", 1))
  end)

  test("does not hide the error of what was traced", function()
    local out, err = on_full_disk [[print(pcall(braid.trace, name, error, "its own"))]]
    assert.equal("false\tits own\n", out)
    assert.matches("^braid: the trace " .. "[^\n]+ could not be written: [^\n]+\n$", err)
  end)

  test("cannot be opened: braid.trace says so before the work", function()
    local ran = false
    local ok, err = pcall(braid.trace, "/nowhere/trace.json", function() ran = true end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "system"))
    assert.is_false(ran)
    assert.equal("again", braid.trace("/dev/null", function() return "again" end))
  end)

  test("is an error of a report's svg, json and html, and of dump", function()
    assert.equal(("nil\tsystem\ttrue\n"):rep(3) .. "nil\tsystem\n", (on_full_disk [[
      local report = braid.experiment {
        name = "x", work = function(n) return n end, items = { 1, 2, 3 }, models = { "inline" }, repeats = 1,
      }
      for _, what in ipairs { "svg", "json", "html" } do
        local text, err = report[what](report, name)
        print(text, err.kind, err.message:find(name, 1, true) ~= nil)
      end
      local text, err = braid.dump(io.open(name, "w"))
      print(text, err.kind)]]))
  end)

  test("is an error of a download, which leaves nothing; and of a sink that says so",
    scripted.with(function() return scripted.answer(200, ("x"):rep(100000)) end, function(base)
      local out = on_full_disk([[
        local _, url = ...
        os.remove(name)
        local response, err = braid.http.get(url, { file = name })
        print(response, err.kind, io.open(name))
        local file = io.open(name, "w")
        file:setvbuf "no"
        response, err = braid.http.get(url, { sink = function(piece) return file:write(piece) end })
        print(response, err.kind)
        response = braid.http.get(url, { sink = function() end })
        print(response.status)]], base .. "/")
      assert.matches("^nil\tsystem\tnil\t[^\n]+\nnil\tsystem\n200\n$", out)
    end))

  test("an access log: that lines are lost is said once", function()
    local _, err = on_full_disk [[
      local write = require "braid.web.access_log".open { access_log = name }
      local entry = { peer = "::1", method = "GET", target = "/", status = 200, bytes = 1, seconds = 0,
        protocol = "HTTP/1.1", id = "1" }
      for _ = 1, 3 do write(entry) end]]
    assert.matches("^braid: lines of the access log [^\n]+ are lost: [^\n]+\n$", err)
  end)
end)

describe("standard output that cannot be written", function()
  test("makes the command fail", function()
    local command = "exec " .. helper.lua .. ' "$1" "$2" >/dev/full'
    for _, word in ipairs { "help", "--version", "ps" } do
      local result = assert(braid.process.run { "sh", "-c", command, "sh", "bin/braid", word })
      assert.equal(1, result.code)
      assert.matches("^braid: standard output: [^\n]+\n$", result.stderr)
    end
  end)
end)
