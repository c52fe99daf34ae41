-- SPDX-License-Identifier: MIT
-- Jobs of pools that nobody closed were dropped without a word when the run, the script, or the job that made the pool
-- ended; and what they failed with was lost with them.
local helper = require "spec.helper"
local describe, assert = describe, assert
local test = helper.test

local head = [[
local braid = require "braid"
local _, early_exit = braid.now, os.exit -- after braid is loaded, and before there is a pool
io.stdout:setvbuf "no"
local kind, pid = arg[1], require "braid.core".pid()
-- Sends the script so many SIGINTs, soon: while os.execute runs a program they are ignored.
local function interrupt(count)
  os.execute("(" .. ("sleep 0.1; kill -INT " .. pid .. "; "):rep(count or 1) .. ") &")
end
-- Says so after some time.
local function say(what, seconds)
  require "braid".sleep(seconds or 0.03)
  io.write(what, " ")
  io.flush()
end
local function fail(what)
  require "braid".sleep(0.01)
  error(what, 0)
end
]]

-- What the script prints, says on stderr, and ends with, for each kind of pool.
local function case(name, script, expected, opts)
  for _, kind in ipairs(opts and opts.kinds or { "tasks", "threads", "processes" }) do
    test(kind .. ": " .. name, function()
      local out, err, status = helper.lua_process(head .. script, { args = { kind } })
      assert.same({ expected.out or "", expected.status or 0 }, { out, status }, err)
      assert.matches(expected.err or "^$", err)
    end, { deadline = opts and opts.deadline or 15 })
  end
end

describe("a run that ends well", function()
  case("waits for the jobs of its pools", [[
    braid.run(function()
      local pool = braid.pool(kind, 1)
      for i = 1, 3 do pool:submit(say, i) end
    end)
    print "end"
  ]], { out = "1 2 3 end\n" })

  case("waits for pools that are made in tasks and scopes of it", [[
    braid.run(function()
      braid.scope(function(scope)
        scope:spawn(function() braid.timeout(5, function() braid.pool(kind, 1):submit(say, 1) end) end)
      end)
      braid.spawn(function() braid.sleep(0.1) braid.pool(kind, 1):submit(say, 2) end)
    end)
    print "end"
  ]], { out = "1 2 end\n" })

  case("waits for pools that are collected, and closed", [[
    braid.run(function()
      local pool = braid.pool(kind, 1)
      for i = 1, 3 do pool:submit(say, i) end
      pool:shutdown { wait = false }
      pool = nil
      for _ = 1, 3 do collectgarbage() end
    end)
    print "end"
  ]], { out = "1 2 3 end\n" })

  case("waits for what callbacks submit, and spawn", [[
    braid.run(function()
      local pool = braid.pool(kind, 1)
      pool:submit(say, 1):on_done(function()
        pool:submit(say, 2):on_done(function()
          braid.spawn(function()
            say(3)
            pool:submit(say, 4)
          end)
        end)
      end)
    end)
    print "end"
  ]], { out = "1 2 3 4 end\n" })

  case("waits for what jobs submit to its other pools", [[
    braid.run(function()
      local first, second = braid.pool(kind, 1), braid.pool(kind, 1)
      first:submit(function(pool)
        require "braid".sleep(0.02)
        pool:submit(say, 1)
      end, second)
    end)
    print "end"
  ]], { out = "1 end\n" }, { kinds = { "tasks", "threads" } })

  case("is cut short by SIGINT while it waits, and cancels the jobs", [[
    braid.run(function()
      local pool = braid.pool(kind, 1)
      pool:submit(function() say(1, 0) interrupt() require "braid".sleep(60) end)
      pool:submit(say, 2)
    end)
    print "not reached"
  ]], { out = "1 ", err = "interrupted", status = 130 })

  case("whose pools can be used afterwards, by who waits then", [[
    local pool
    braid.run(function()
      pool = braid.pool(kind, 1)
      pool:submit(say, 1)
    end)
    io.write "end "
    pool:submit(say, 2)
    braid.run(function() pool:submit(say, 3) end)
    io.write "end "
  ]], { out = "1 end end 2 3 " }, { kinds = { "threads", "processes" } })
end)

describe("a run that fails", function()
  case("cancels the jobs of its pools, and does not wait for them", [[
    local pool, last
    local ok, err = pcall(braid.run, function()
      pool = braid.pool(kind, 1)
      pool:submit(braid.sleep, 60)
      last = pool:submit(say, 1)
      braid.sleep(0.05)
      error("no", 0)
    end)
    print(ok, err, last:wait(5), last:state(), pcall(pool.submit, pool, say) and "open" or "closed")
  ]], { out = "false\tno\ttrue\tcancelled\tclosed\n" })

  case("by a task of its own cancels them, too", [[
    local ok, err = pcall(braid.run, function()
      braid.pool(kind, 1):submit(braid.sleep, 60)
      braid.spawn(error, "no", 0)
    end)
    print(ok, err)
  ]], { out = "false\tno\n", err = "unhandled error[^\n]*: no\n" })

  case("ends the script without them", [[
    braid.run(function()
      braid.pool(kind, 1):submit(braid.sleep, 60)
      error("no", 0)
    end)
  ]], { err = "no", status = 1 })
end)

describe("the end of a script", function()
  case("waits for the jobs of its pools, and cancels its tasks", [[
    local pool = braid.pool(kind, 1)
    for i = 1, 3 do pool:submit(say, i) end
    braid.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() print "cancelled" end })
      braid.sleep(60)
    end)
    io.write "end "
  ]], { out = "end 1 2 3 cancelled\n" })

  case("waits for jobs with what the script has made", [[
    local file, queue, counter = io.stdout, braid.queue(), braid.counter()
    local pool = braid.pool(kind, 1)
    pool:submit(function()
      local braid = require "braid"
      braid.sleep(0.02)
      counter:add()
      queue:put(counter:get())
    end):on_done(function() file:write(queue:try_get() or "nothing", "\n") end)
  ]], { out = "1\n" })

  case("after an error does not", [[
    local pool = braid.pool(kind, 1)
    pool:submit(braid.sleep, 60)
    local nothing
    nothing.x = 1
  ]], { err = "nil value %(local 'nothing'%)", status = 1 })

  case("after an error with a table, or in a coroutine, does not", [[
    local pool = braid.pool(kind, 1)
    pool:submit(braid.sleep, 60)
    coroutine.wrap(function() error(setmetatable({}, { __tostring = function() return "no text" end })) end)()
  ]], { err = "no text", status = 1 })

  case("waits after an error that was caught", [[
    local pool = braid.pool(kind, 1)
    pool:submit(say, 1)
    print(pcall(error, "caught", 0))
    print(xpcall(error, function(err) return "handled " .. err end, "caught", 0))
  ]], { out = "false\tcaught\nfalse\thandled caught\n1 " })

  case("is cut short by SIGINT", [[
    local pool = braid.pool(kind, { workers = 1, name = "mail" })
    pool:submit(function() say(1, 0) interrupt() require "braid".sleep(60) end)
    pool:submit(say, 2)
  ]], { out = "1 ", err = "^braid: interrupted\n", status = 130 })

  case("is cut short by a second SIGINT, which says what is dropped", [[
    local pool = braid.pool(kind, { workers = 1, name = "mail" })
    pool:submit(function() interrupt(2) require "braid".sleep(60) end)
    pool:submit(braid.sleep, 60)
    braid.run(braid.shield, braid.sleep, 60)
  ]], { err = "^braid: pool 'mail' %(%w+%): 2 jobs were dropped\n$", status = 130 })
end)

describe("a server that is told to stop", function()
  case("gives the jobs of its pools the grace, and cancels them then", [[
    local pool = braid.pool(kind, 1)
    pool:submit(say, 1, 0.5)
    pool:submit(braid.sleep, 60)
    local app = braid.web.app()
    app:on_start(function() os.execute "(sleep 0.1; kill -TERM $PPID) &" end)
    app:serve { port = 0, grace = 1 }
    print "end"
  ]], { out = "1 end\n", err = "^braid: serving on [^\n]*\n$" })
end)

describe("os.exit", function()
  for _, exit in ipairs { "os.exit(3)", "os.exit(3, true)" } do
    case(exit .. " says what is dropped", ([[
      local pool = braid.pool(kind, { workers = 1, name = "mail" })
      for _ = 1, 5 do pool:submit(braid.sleep, 60) end
      braid.sleep(0.05)
      %s
    ]]):format(exit), { err = "^braid: pool 'mail' %(%w+%): 5 jobs were dropped\n$", status = 3 })

    case(exit .. " in a run says what is dropped", ([[
      braid.run(function()
        local pool = braid.pool(kind, { workers = 1, name = "a\nb" })
        pool:submit(braid.sleep, 60)
        braid.pool(kind, 1):submit(braid.sleep, 60)
        %s
      end)
    ]]):format(exit), { err = "^braid: [^\n]*: 1 job was dropped\nbraid: [^\n]*: 1 job was dropped\n$", status = 3 })

    case(exit .. " in a job of a task pool does not count that", ([[
      local pool = braid.task_pool { workers = 1, name = "mail" }
      pool:submit(function() %s end)
      pool:submit(braid.sleep, 60)
      braid.sleep(60)
    ]]):format(exit), {
      err = "^braid: pool 'mail' %(tasks%): 1 job was dropped\n$", status = 3,
    }, { kinds = { "tasks" } })

    case(exit .. " with nothing to drop says nothing", ([[
      local pool = braid.pool(kind, { workers = 1, name = "mail" })
      pool:submit(say, 1):wait()
      pool:submit(braid.sleep, 60):cancel()
      local job = pool:submit(say, 2)
      job:wait()
      %s
    ]]):format(exit), { out = "1 2 ", status = 3 })

    case(exit .. ", kept from before, says it, too", ([[
      local pool = braid.pool(kind, { workers = 1, name = "mail" })
      for _ = 1, 5 do pool:submit(braid.sleep, 60) end
      braid.sleep(0.05)
      early_%s
    ]]):format((exit:gsub("os%.", ""))), { err = "^braid: pool 'mail' %(%w+%): 5 jobs were dropped\n$", status = 3 })
  end
end)

describe("a job", function()
  case("waits for the jobs of pools that it makes", [[
    local outer <close> = braid.pool(kind, 1)
    outer:submit(function(nested)
      local pool = require "braid".pool(nested, 1)
      for i = 1, 2 do pool:submit(say, i) end
      io.write "returned "
      io.flush()
    end, kind):result()
    print "end"
  ]], { out = "returned 1 2 end\n" })

  case("that fails does not, nor one that is stopped", [[
    local outer <close> = braid.pool(kind, 1)
    local function forget(nested, fn, ...)
      require "braid".pool(nested, 1):submit(require "braid".sleep, 60)
      if fn then fn(...) end
    end
    print(select(2, pcall(function() outer:submit(forget, kind, error, "no", 0):result() end)))
    local job = outer:submit(forget, kind)
    braid.sleep(0.3)
    print(job:state(), job:cancel(), job:wait(5), job:state())
  ]], { out = "no\nrunning\ttrue\ttrue\tcancelled\n" })

  case("obeys its time limit while it waits for them", [[
    local outer <close> = braid.pool(kind, { workers = 1, time_limit = 0.5 })
    local job = outer:submit(function(nested)
      require "braid".pool(nested, 1):submit(require "braid".sleep, 60)
    end, kind)
    print(job:wait(5), job:error().kind)
  ]], { out = "true\tlimit\n" })

  case("leaves what other jobs submit to its pool to the end of the worker", [[
    local outer = braid.pool(kind, 1)
    local function add(nested, what, seconds)
      kept = kept or require "braid".pool(nested, 1)
      kept:submit(say, what, seconds)
    end
    outer:submit(add, kind, 1, 0):result()
    outer:submit(add, kind, 2, 0.1):result()
    io.write "close "
    outer:close()
    print "end"
  ]], { out = "1 close 2 end\n" }, { kinds = { "threads", "processes" } })

  case("of an inline pool waits, too", [[
    local outer = braid.inline_pool()
    outer:submit(function() braid.pool(kind, 1):submit(say, 1) end):result()
    print "end"
  ]], { out = "1 end\n" })

  case("in a process says what its os.exit drops", [[
    local outer <close> = braid.process_pool(1)
    local job = outer:submit(function(nested)
      local braid = require "braid"
      braid.pool(nested, { workers = 1, name = "mail" }):submit(braid.sleep, 60)
      braid.sleep(0.05)
      os.exit(4)
    end, kind)
    print(job:wait(10), job:error().kind, job:error().status)
  ]], { out = "true\tworker_died\t4\n", err = "^braid: pool 'mail' %(%w+%): 1 job was dropped\n$" })
end)

describe("a failed job that nobody asked for is reported once", function()
  local submit = "braid.pool(kind, 1):submit(fail, 'lost') "
  local seconds = 0.3 * helper.slowness -- until it has failed
  local sleep, block = ("braid.sleep(%g) "):format(seconds), ("os.execute 'sleep %g' "):format(seconds)
  local ways = {
    ["at the end of the script"] = submit,
    ["at the end, when it has failed before"] = submit .. block,
    ["at the end of a run"] = "braid.run(function() " .. submit .. " end)",
    ["when its pool is closed"] = "local pool <close> = braid.pool(kind, 1) pool:submit(fail, 'lost')",
    ["when its pool and its future are collected"] = submit .. ([[
      for _ = 1, %d do braid.sleep(0.005) collectgarbage() end
      early_exit(0)
    ]]):format(math.ceil(200 * seconds)),
    ["after an error"] = submit .. sleep .. "error('end', 0)",
    ["after an error, when it has failed before"] = submit .. block .. "error('end', 0)",
    ["after os.exit"] = submit .. sleep .. "os.exit(0)",
    ["after os.exit, when it has failed before"] = submit .. block .. "os.exit(0)",
    ["after os.exit that closes"] = submit .. sleep .. "os.exit(0, true)",
    ["after os.exit in a run"] = "braid.run(function() " .. submit .. sleep .. "os.exit(0, true) end)",
    ["after SIGINT"] = "braid.run(function() " .. submit .. sleep .. "interrupt() braid.sleep(60) end)",
    ["when it fails in its clean-up"] = [[
      local begun = braid.event()
      pcall(braid.run, function()
        braid.pool(kind, 1):submit(function()
          local _ <close> = setmetatable({}, { __close = function() error("lost", 0) end })
          begun:set()
          require "braid".sleep(60)
        end)
        begun:wait()
        error("end")
      end)
    ]],
  }
  for name, script in pairs(ways) do
    if not name:find "failed before" then
      case(name, [[
        local seen = 0
        braid.on_unhandled(function(err)
          seen = seen + 1
          io.write(seen, " ", tostring(err), "\n")
          io.flush()
        end)
      ]] .. script, {
        out = "1 lost\n", status = name:find "SIGINT" and 130 or name:find "error" and 1 or 0, err = "",
      })
    end
  end
  for _, name in ipairs {
    "at the end, when it has failed before", "after an error, when it has failed before",
    "after os.exit, when it has failed before",
  } do
    case(name, "braid.on_unhandled(function(err) print(err) end) " .. ways[name], {
      out = "lost\n", status = name:find "error" and 1 or 0, err = "",
    }, { kinds = { "threads", "processes" } })
  end
end)
