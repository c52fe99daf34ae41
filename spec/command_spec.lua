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
    for _, name in ipairs(require("braid.command").NAMES) do
      assert.matches("braid " .. name .. " +%S", help.stdout)
      for _, words in ipairs { { name, "--help" }, { name, "-h" }, { "help", name } } do
        local own = command(table.unpack(words))
        assert.equal(0, own.code)
        assert.matches("^usage: [^\n]*braid " .. name, own.stdout)
      end
    end
    local none = command()
    assert.equal(2, none.code)
    assert.equal("", none.stdout)
    assert.equal(help.stdout, none.stderr)
    assert.equal(braid._VERSION .. "\n", command("--version").stdout)
    assert.equal(0, command("--help").code)
  end)

  test("ends with 2 for every wrong command line, and says how to get help", function()
    for _, words in ipairs {
      { "nothing" }, { "help", "nothing" }, { "serve" }, { "serve", "a", "b" }, { "serve", "a", "--port", "x" },
      { "serve", "a", "--prot", "1" }, { "serve", "a", "--port" }, { "run" }, { "ps", "x" }, { "ps", "1", "2" },
      { "advise" }, { "advise", "f", "--items", "many" }, { "tutorial", "--lang", "fr" }, { "tutorial", "X1" },
      { "tutorial", "S999" }, { "env", "x" },
    } do
      local wrong = command(table.unpack(words))
      assert.equal(2, wrong.code, table.concat(words, " "))
      assert.equal("", wrong.stdout)
      assert.is_not.equal("", wrong.stderr)
      assert.not_matches("stack traceback", wrong.stderr)
      assert.not_matches("%.lua:%d", wrong.stderr)
    end
    assert.matches("\nbraid help serve tells more\n$", command("serve", "a", "--prot", "1").stderr)
  end)

  test("explains every option that a subcommand takes", function()
    for _, each in ipairs(require "tools.commands") do
      local explained = {}
      for _, option in ipairs(each.options) do explained[option.name] = true end
      for name in pairs(require("braid.command." .. each.name).options or {}) do
        assert.is_true(explained["--" .. name:gsub("_", "-")], each.name .. " " .. name)
      end
    end
  end)

  test("env: tells the shell where the modules are", function()
    if os.getenv "BRAID_LUA" then return pending "the sanitizers' host has the modules in it" end
    local told = command "env"
    assert.equal(0, told.code)
    local line = told.stdout .. 'cd / && exec "$0" -e "print(require([[braid]])._VERSION)"'
    local opts = { clear_env = true, env = { PATH = os.getenv "PATH" } }
    local ran = assert(braid.process.run({ "sh", "-c", line, helper.lua }, opts))
    assert.equal(braid._VERSION .. "\n", ran.stdout, ran.stderr)
  end)

  test("names the nearest command and option", function()
    local wrong = command "tutorail"
    assert.equal(2, wrong.code)
    assert.matches('no command "tutorail", did you mean "tutorial"', wrong.stderr)
    local option = command("tutorial", "S11", "--lnag", "en")
    assert.equal(2, option.code)
    assert.matches("no option %-%-lnag, did you mean %-%-lang", option.stderr)
    local row = command("tutorial", "S999")
    assert.equal(2, row.code)
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
    assert.matches("bound +the smallest step is < 0.1 ms", ran.stdout)
    assert.matches("2 rows: 2 hold, 0 do not, 0 have no verdict", ran.stdout)
  end)

  test("knows the document's sections by their numbers", function()
    local outline = require "braid.tutorial.outline"
    local function range(word) return table.concat({ outline.range(word) }, " ") end
    for word, rows in pairs { ["五"] = "29 33", ["5"] = "29 33", ["5.2"] = "33 33", ["五.2"] = "33 33", S33 = "33 33",
      ["S10-S19"] = "10 19", ["十"] = "56 58", ["十二"] = "", ["3.9"] = "", x = "" } do
      assert.equal(rows, range(word), word)
    end
    assert.equal("5.1", outline.section_of("S29-S32").number)
    local ran = command("tutorial", "S11", "--json")
    assert.equal("3.1", require("braid.json").decode(ran.stdout)[1].section)
  end)

  test("lists sections and rows without running them", function()
    local listed = command("tutorial", "--list", "--lang", "en").stdout
    assert.matches("三 %(3%) Case one, I/O%-bound: fetching many URLs\n  3%.1 Serially\n    S10 ", listed)
    assert.matches("\n十 %(10%) Free threading\n    S56%-S57", listed)
    local chinese = command("tutorial", "--list").stdout
    assert.matches("^一 核心概念辨析\n    S1 ", chinese)
    local _, count = chinese:gsub("\n    S", "")
    local _, english = listed:gsub("\n    S", "")
    assert.equal(english, count)
  end)

  test("gives no verdict on a machine that is busy, and tells why", function()
    local tutorial = require "braid.tutorial"
    local concepts, load = require "braid.tutorial.concepts", require "braid.tutorial.load"
    local before, wait, tries = concepts[1].run, load.await_calm, 0
    load.await_calm = function() end
    finally(function() concepts[1].run, load.await_calm = before, wait end)
    concepts[1].run = function()
      tries = tries + 1
      return { ok = false, measured = "0.9 x", busy = "native threads get only 0.9 x" }
    end
    local outcome = tutorial.run({ rows = { "S1" }, lang = "en" })[1]
    assert.equal("busy", outcome.verdict)
    assert.equal(3, outcome.tries)
    assert.equal(3, tries)
    assert.matches("machine busy, no verdict: native threads get only 0.9 x %(measured 3 times%)",
      tutorial.format(outcome, "en"))
    concepts[1].run = function() return { ok = true, measured = "2 x" } end
    assert.equal("confirmed", tutorial.run({ rows = { "S1" }, lang = "en" })[1].verdict)
  end, { deadline = 60 })

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
    assert.equal(2, ran.code)
    assert.matches('bad row "X1"', ran.stderr)
  end)
end)
