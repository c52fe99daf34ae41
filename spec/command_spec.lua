-- SPDX-License-Identifier: MIT
-- The command braid, as a user calls it.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local test, describe = helper.test, require("busted").describe

local function command(...)
  return assert(braid.process.run({ helper.lua, "bin/braid", ... }, { timeout = 60 * helper.slowness }))
end

local function script(text)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  file:write(text)
  return name
end

describe("braid", function()
  test("lists its commands, and fails without one", function()
    local help = command "help"
    assert.equal(0, help.code)
    for _, name in ipairs { "serve", "run", "tutorial", "advise", "ps" } do
      assert.matches("braid " .. name .. " +%S", help.stdout)
      local own = command(name, "--help")
      assert.equal(0, own.code)
      assert.matches("usage: braid " .. name, own.stdout)
    end
    assert.equal(2, command().code)
    assert.matches("^braid %d", command("--version").stdout)
  end)

  test("names the nearest command and option", function()
    local wrong = command "tutorail"
    assert.equal(2, wrong.code)
    assert.matches('no command "tutorail", did you mean "tutorial"', wrong.stderr)
    local option = command("tutorial", "S11", "--lnag", "en")
    assert.equal(1, option.code)
    assert.matches("no option %-%-lnag, did you mean %-%-lang", option.stderr)
    local row = command("tutorial", "S999")
    assert.equal(1, row.code)
    assert.matches("no row S999", row.stderr)
  end)

  test("advise: a file's function, for as many items as one wishes", function()
    local name = script "return function(n) return n * n end, { 1, 2, 3 }"
    local advice = command("advise", name, "--items", "1000", "--lang", "en")
    assert.equal(0, advice.code)
    assert.matches("braid.inline_pool: 1000 items should take", advice.stdout)
    assert.matches("bad option 'items'", command("advise", name, "--items", "0").stderr)
    os.remove(name)
  end)

  test("run: a script as the main task, with its arguments and its status", function()
    local name = script [[
      local braid = require "braid"
      local task = braid.spawn(function() return braid.current() ~= nil end)
      print(braid.current().name, (...), arg[1], task:result())]]
    local ran = command("run", name, "word")
    assert.equal("main\tword\tword\ttrue\n", ran.stdout)
    assert.equal(0, ran.code)
    os.remove(name)
    local failing = script "error('boom', 0)"
    local failed = command("run", failing)
    assert.equal(1, failed.code)
    assert.matches("boom", failed.stderr)
    os.remove(failing)
  end)

  test("ps: lists processes, and tells what one does", function()
    local waiting = script [[
      local braid = require "braid"
      braid.run(function()
        braid.current().name = "waiter"
        print "ready"
        io.stdout:flush()
        braid.queue():get(20)
      end)]]
    local child <close> = braid.process.start { helper.lua, waiting }
    assert.equal("ready", child:read "l")
    assert.matches("\n? *" .. child.pid .. "  ", command("ps").stdout)
    assert.matches("task waiter: waiting in queue:get", command("ps", tostring(child.pid)).stdout)
    child:kill(9)
    os.remove(waiting)
    local none = command("ps", "999999999")
    assert.equal(1, none.code)
    assert.matches("no process 999999999", none.stderr)
  end)
end)

describe("braid ps", function()
  test("asks the worker processes as well", function()
    local pooling = script [[
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.process_pool { workers = 1, name = "diggers" }
        pool:submit(braid.sleep, 20)
        while pool:stats().running == 0 do braid.sleep(0.01) end
        print "ready"
        io.stdout:flush()
        braid.sleep(20)
      end)]]
    local child <close> = braid.process.start { helper.lua, pooling }
    assert.equal("ready", child:read "l")
    local told = command("ps", tostring(child.pid)).stdout
    assert.matches("  worker process %d+: runs braid.sleep, for", told)
    assert.matches("worker of pool diggers of process " .. child.pid .. " [^\n]*\n", told)
    child:kill(9)
    os.remove(pooling)
  end)
end)

describe("braid tutorial", function()
  test("prints what the document says, what was measured, and the verdict", function()
    local ran = command("tutorial", "S11", "S55", "--lang", "en")
    assert.equal(0, ran.code)
    assert.matches("S11 .-measured  braid.now.-as the document says", ran.stdout)
    assert.matches("S55 .-the document errs", ran.stdout)
    assert.matches("2 rows, 2 green, 0 red", ran.stdout)
  end)

  test("speaks Chinese by default, and JSON", function()
    assert.matches("与文档一致", command("tutorial", "S11").stdout)
    local rows = require("braid.json").decode(command("tutorial", "S29", "--json").stdout)
    assert.equal("S29-S32", rows[1].row)
    assert.is_true(rows[1].ok)
    assert.equal("wrong", rows[1].verdict)
  end)

  -- Whether what they measure is what the document says is not for a machine that does other things as well.
  test("measures every row that is quick", function()
    local quick = { "S1", "S3", "S17", "S26-S28", "S44", "S51", "S53-S55", "S58" }
    local ran = command("tutorial", "--json", "--lang", "en", table.unpack(quick))
    local rows = require("braid.json").decode(ran.stdout)
    assert.equal(12, #rows)
    for _, row in ipairs(rows) do
      assert.is_not.matches("%.lua:%d+:", row.measured) -- an error would be the measurement
    end
  end, { deadline = 60 })

  test("refuses a row that is none", function()
    local ran = command("tutorial", "X1")
    assert.equal(1, ran.code)
    assert.matches('bad row "X1"', ran.stderr)
  end)
end)
