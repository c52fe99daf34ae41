-- SPDX-License-Identifier: MIT
-- braid top: what it prints once, what it draws, its keys, and what it costs.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local expect = require "spec.expect"

local keys = require "braid.command.top.keys"
local screen = require "braid.command.top.screen"
local units = require "braid.units"
local views = require "braid.command.top.views"

local test, describe = helper.test, require("busted").describe

local WATCHED = [[
  local braid = require "braid"
  braid.run(function()
    local threads = braid.thread_pool { workers = 1, name = "crunchers" }
    local processes = braid.process_pool { workers = 1, name = "diggers" }
    local queue, lock = braid.queue(3), braid.lock()
    lock:acquire()
    threads:submit(function() lock:acquire() end)
    processes:submit(function() queue:put(1) while true do end end)
    while queue:size() < 1 do braid.sleep(0.01) end
    for _ = 1, 2 do queue:put("x") end
    braid.spawn(function() queue:put("y") end).name = "putter"
    braid.current().name = "holder"
    braid.sleep(0.3)
    print "ready"
    io.stdout:flush()
    braid.sleep(60)
  end)
]]

local function watched()
  local child = braid.process.start { helper.lua, "-e", WATCHED }
  child:read("l", 20 * helper.slowness)
  return child
end

local function top(...) return braid.process.run { helper.lua, "bin/braid", "top", ... } end

describe("braid top", function()
  test("prints loops, tasks, jobs, pools, queues and locks, of worker processes as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local child <close> = watched()
    local ran = top(tostring(child.pid))
    assert.equal("", ran.stderr)
    assert.equal(0, ran.code)
    local text = ran.stdout
    assert.matches("\n +" .. child.pid .. " +%d+%% [^\n]*\n", text)
    assert.matches(" worker 1 of pool crunchers\n", text)
    assert.matches(" worker of pool diggers of process " .. child.pid .. " %(computes%)\n", text)
    assert.matches("task waits +[%d.]+ m?s holder +sleep at ", text)
    assert.matches("task waits +[%d.]+ m?s putter +queue:put at ", text)
    assert.matches("job  waits +[%d.]+ m?s [^\n]*lock:acquire at ", text)
    assert.matches("job  runs ", text)
    assert.matches("threads +1 +1 +0 [^\n]*crunchers\n", text)
    assert.matches("processes +1 +1 +0 [^\n]*diggers\n", text)
    assert.matches(" 3/3 +0 +3 +1 open ", text)
    assert.matches("lock +1 +%x+ +holder\n", text)
    child:kill(9)
  end, { deadline = 30 })

  test("tells the same as JSON, and one table, filtered", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local child <close> = watched()
    local all = braid.json.decode(top(tostring(child.pid), "--json").stdout)
    assert.equal(2, #all.processes)
    assert.equal(3, #all.loops)
    assert.equal("crunchers", all.pools[1].name)
    assert.equal(3, all.queues[1].size)
    local text = top(tostring(child.pid), "--once", "--view", "tasks", "--filter", "putter").stdout
    assert.matches("putter", text)
    assert.is_nil(text:find "holder")
    assert.is_nil(text:find "\nQueues")
    child:kill(9)
  end, { deadline = 30 })

  test("is a screen in a terminal, with keys, that gives the terminal back", function()
    local child <close> = watched()
    local shown <close> = braid.process.start({ helper.lua, "bin/braid", "top", tostring(child.pid), "--delay", "0.2" },
      { pty = { rows = 20, columns = 90 } })
    local function until_seen(text) assert(shown.stdout:read_until(text, nil, 10 * helper.slowness)) end
    until_seen "\27[?1049h"
    until_seen "holder"
    shown.stdin:write "2"
    until_seen "worker 1 of"
    shown.stdin:write "h"
    until_seen "quit"
    shown.stdin:write "h3/putter\r"
    until_seen 'filter "putter"'
    shown.stdin:write "q"
    until_seen "\27[?1049l"
    assert.equal(0, shown:wait(10 * helper.slowness).code)
    child:kill(9)
  end, { deadline = 40 })

  test("says when the process has ended, and why it cannot be watched", function()
    expect.contains(top("999999999").stderr, "there is no process 999999999")
    assert.equal(1, top("999999999").code)
    expect.contains(top("1", "--delay", "0").stderr, "--delay: 0.2 to 60 seconds expected, got 0")
    expect.contains(top("--view", "task").stderr, 'there is no table "task", did you mean "tasks"?')
    expect.contains(top("--sort", "SIZE").stderr, 'the table processes has no column "SIZE"')
    assert.equal(2, top("x").code)
  end, { deadline = 30 })

  test("costs the watched process less than 0.5 % of a core", function()
    local child <close> = braid.process.start { helper.lua, "-e", [[
      local braid = require "braid"
      braid.run(function()
        for i = 1, 1000 do braid.spawn(braid.sleep, 60).name = "sleeper " .. i end
        braid.sleep(0)
        print "ready"
        io.stdout:flush()
        braid.sleep(60)
      end)
    ]] }
    child:read("l", 20 * helper.slowness)
    local function spent() -- ns of all its threads
      local sum = 0
      for _, thread in ipairs(require("braid.core").numbers(("/proc/%d/task"):format(child.pid))) do
        local file <close> = io.open(("/proc/%d/task/%d/schedstat"):format(child.pid, thread))
        sum = sum + (file and file:read "n" or 0)
      end
      return sum
    end
    if spent() == 0 then return pending "the system does not tell" end
    local dump = require "braid.debug.dump"
    dump.count(child.pid)
    local before = spent()
    for _ = 1, 10 do assert(dump.count(child.pid)) end
    local share = (spent() - before) / 10 / 2e9 -- a question every two seconds
    assert.is_true(share < 0.005 * helper.slowness, ("%.4f"):format(share))
    child:kill(9)
  end, { deadline = 30 })
end)

describe("the screen of braid top", function()
  local function sample(tasks)
    local rows = {}
    for i = 1, tasks do
      rows[i] = { pid = 1, id = "1:" .. i, kind = "task", state = "waits", seconds = i, name = "列" .. i, place = "x" }
    end
    return { processes = {}, loops = {}, tasks = rows, pools = {}, queues = {}, locks = {},
      deadlocks = { "deadlock: x" } }
  end

  local function settings(view)
    return { view = views.list[views.by_name[view]], filter = "", at = 1, first = 1, cores = 2, delay = 2 }
  end

  local function bare(line) return (line:gsub("\27%[[%d;]*m", "")) end

  test("is never larger than the terminal", function()
    for _, view in ipairs(views.list) do
      for width = 1, 130, 3 do
        for _, height in ipairs { 1, 2, 3, 5, 8, 24 } do
          local lines = screen.lines(sample(30), settings(view.name), width, height)
          assert.equal(height, #lines)
          for _, line in ipairs(lines) do assert.is_true(units.width(bare(line)) <= width, bare(line)) end
        end
      end
    end
  end)

  test("scrolls to the row that is marked", function()
    local chosen = settings "tasks"
    chosen.at = 30
    local text = bare(table.concat(screen.lines(sample(30), chosen, 80, 12), "\n"))
    assert.matches("列1 ", text) -- the last one: the longest wait is first
    assert.is_nil(text:find "列30")
    chosen.at, chosen.reverse = 1, true
    assert.matches("列1 ", bare(table.concat(screen.lines(sample(30), chosen, 80, 12), "\n")))
  end)

  test("knows keys, also when they come in pieces", function()
    local function names(text)
      local found, key = {}
      repeat
        key, text = keys.take(text, true)
        found[#found + 1] = key
      until not key
      return table.concat(found, " ")
    end
    assert.equal("q up pagedown end filter backtab ü escape", names "q\27[A\27[6~\27[F\27OS\27[Zü\27")
    assert.equal("unknown 1", names "\27[1;5X1")
    assert.is_nil((keys.take("\27[5", false)))
    assert.is_nil((keys.take("\27", false)))
    assert.equal("escape", (keys.take("\27", true)))
  end)
end)
