-- SPDX-License-Identifier: MIT
-- os.execute in a thread could switch Ctrl-C off for good, and what io.popen started there had all signals blocked.
local helper = require "spec.helper"
local braid = require "braid"

-- Functions that can travel: busted gives those of this file an environment of its own.
local execute = load "return os.execute(...)"
local read_all = load "local pipe = io.popen(...) return pipe:read 'a', pipe:close()"
local write_all = load [[
  local command, text = ...
  local pipe = io.popen(command, "w")
  pipe:write(text)
  return pipe:close()
]]

local commands = {
  "true", "false", "exit 7", "exit 300", "kill -TERM $$", "kill -KILL $$", "kill -INT $$", "(exit 3); exit 4",
  "no-such-program-here 2>/dev/null", "test \"$0\" = sh", "", "   ", "exit 0;", "cd /nowhere 2>/dev/null",
}

describe("in a worker", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("os.execute gives what Lua's own gives: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        assert.same({ execute() }, { pool:submit(execute):result() })
        for _, command in ipairs(commands) do
          assert.same(table.pack(execute(command)), table.pack(pool:submit(execute, command):result()), command)
        end
        for _, wrong in ipairs { {}, true } do
          local here, there = table.pack(pcall(execute, wrong)), pool:submit(execute, wrong)
          there:wait()
          assert.equal(here[1], there:state() == "done")
          if not here[1] then assert.equal(tostring(here[2]), tostring(there:error())) end
        end
      end)
    end)

    helper.test("io.popen gives what Lua's own gives: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        for _, command in ipairs(commands) do
          command = "echo begin; " .. command
          assert.same(table.pack(read_all(command)), table.pack(pool:submit(read_all, command):result()), command)
        end
        local name = os.tmpname()
        assert.same({ true, "exit", 0 }, { pool:submit(write_all, "cat >" .. name, "some\ntext"):result() })
        local fails = pool:submit(write_all, "cat >/dev/null; exit 9", "x")
        assert.same({ nil, "exit", 9, n = 3 }, table.pack(fails:result()))
        local file <close> = io.open(name)
        assert.equal("some\ntext", file:read "a")
        os.remove(name)
        local wrong = pool:submit(load "io.popen('true', 'x')")
        wrong:wait()
        assert.matches("invalid mode", wrong:error())
      end)
    end)

    helper.test("what they start sees the signals that the script's see: " .. kind, function()
      local look = "grep -E 'Sig(Blk|Ign)' /proc/self/status"
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        assert.equal((read_all(look)), (pool:submit(read_all, look):result()))
        local name = os.tmpname()
        pool:submit(execute, look .. " >" .. name):result()
        local file <close> = io.open(name)
        assert.equal((read_all(look)), file:read "a")
        os.remove(name)
      end)
    end)

    helper.test("they let the worker's other jobs go on: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, { workers = 1, tasks_per_worker = 3 })
        local file = os.tmpname()
        os.remove(file)
        local wait = ("while ! test -e %s; do sleep 0.01; done"):format(file)
        local slow, closing = pool:submit(execute, wait), pool:submit(load [[
          local pipe = io.popen(..., "w")
          return pipe:close()
        ]], wait)
        pool:submit(execute, "touch " .. file):result() -- only because the other two do not hold the worker
        assert.is_true(slow:result())
        assert.is_true(closing:result())
        os.remove(file)
      end)
    end)

    helper.test("a cancel ends them, and what they have started: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        local file = os.tmpname()
        for code, first in pairs {
          ["os.execute(...)"] = "", ["io.popen(..., 'w'):close()"] = "cat; ", -- until it is closed
          ["local pipe <close> = io.popen(...) require('braid').sleep(60)"] = "",
        } do
          local job = pool:submit(load(code), first .. "echo $$ >" .. file .. "; exec sleep 60")
          local pid
          while not pid do
            braid.sleep(0.01)
            local handle <close> = io.open(file)
            pid = handle:read "n"
          end
          job:cancel()
          job:wait()
          assert.equal("cancelled", job:state())
          while (os.execute(("kill -0 %d 2>/dev/null"):format(pid))) do braid.sleep(0.01) end
          os.remove(file)
          io.open(file, "w"):close()
        end
        os.remove(file)
      end)
    end)

    helper.test("they work where one cannot wait: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        assert.same({ true, 7, "begin\n" }, { pool:submit(load [[
          local seen, code, text
          table.sort({ 2, 1 }, function(a, b)
            seen, code = os.execute(), select(3, os.execute "exit 7")
            return a < b
          end)
          local co = coroutine.wrap(function()
            local pipe = io.popen "echo begin"
            text = pipe:read "a"
            pipe:close()
            io.popen("cat; exec sleep 0.1", "w") -- the collector closes it, and does not wait
          end)
          co()
          collectgarbage()
          collectgarbage()
          return seen, code, text
        ]]):result() })
        pool:submit(load "require('braid').sleep(0.3)"):result() -- the loop reaps what the collector has closed
      end)
    end)
  end

  helper.test("a script's SIGINT works afterwards, whatever a thread's C code did to it", function()
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      local stat <close> = io.open "/proc/self/stat"
      local pid = stat:read "n"
      local pool = braid.thread_pool(1)
      local job = pool:submit(function() require "braid".sleep(0.02) return os.execute "sleep 0.1" end)
      braid.sleep(0.05)
      assert(os.execute "true")
      for _ = 1, 3e7 do end
      print(job:result())
      io.popen("(sleep 0.1; kill -INT " .. pid .. ") >/dev/null 2>&1 &"):close()
      local ok, err = pcall(braid.sleep, 5)
      print(ok, err.kind)
    ]]
    assert.same({ "true\texit\t0\nfalse\tinterrupted\n", "", 0 }, { out, err, status })
  end)
end)
