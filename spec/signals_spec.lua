-- SPDX-License-Identifier: MIT
-- Signals as something to wait for. Each script is a process of its own, so that no signal meets the tests.
local helper = require "spec.helper"
local test, lua = helper.test, helper.lua_process

local HEAD = [[
  local braid = require "braid"
  local stat <close> = io.open "/proc/self/stat"
  local pid = stat:read "n" | 0
  local function kill(name) assert(braid.process.run({ "kill", "-" .. name, tostring(pid) }).code == 0) end
]]

-- What the script prints; and how it ended, unless it ended well.
local function output(code)
  local stdout, stderr, status = lua(HEAD .. code)
  return stdout .. stderr .. (status ~= 0 and "status " .. status or "")
end

describe("signals", function()
  test("come one after the other, by either form of their names", function()
    assert.equal("HUP\nTERM\nHUP\nend\n", output [[
      braid.run(function()
        local signals, came = braid.signals("HUP", "SIGTERM"), braid.queue()
        local task = braid.spawn(function()
          for name in signals do
            print(name)
            came:put(name)
          end
          print "end"
        end)
        for _, name in ipairs { "HUP", "TERM", "HUP" } do kill(name) came:get() end
        signals:close()
        task:result()
      end)
    ]])
  end)

  test("are told to every object that names them, in threads, too", function()
    assert.equal("HUP HUP HUP\n", output [[
      local pool <close>, ready = braid.thread_pool(1), braid.queue()
      local job = pool:submit(function(ready)
        local signals <close> = require "braid".signals "HUP"
        ready:put(true)
        return signals:get()
      end, ready)
      local a <close> = braid.signals "HUP"
      local b <close> = braid.signals("USR1", "HUP")
      ready:get()
      kill "HUP"
      print(a:get() .. " " .. b:get() .. " " .. job:result())
    ]])
  end)

  test("do what they did before when nobody waits for them any more", function()
    assert.matches("^HUP\n.*status 129$", output [[
      do
        local a <close> = braid.signals "HUP"
        do
          local b <close> = braid.signals "HUP"
        end
        kill "HUP"
        print(a:get())
      end
      kill "HUP"
      braid.sleep(5)
    ]])
  end)

  test("of the terminal interrupt nobody while somebody waits for them", function()
    assert.equal("INT\nINT\nfalse interrupted\n", output [[
      local signals = braid.signals "INT"
      braid.run(function()
        kill "INT"
        print(signals:get())
        kill "INT"
      end)
      print(signals:get())
      signals:close()
      local ok, err = pcall(braid.run, function()
        kill "INT"
        braid.sleep(5)
      end)
      print(tostring(ok) .. " " .. err.kind)
    ]])
  end)

  test("of the terminal interrupt again once they are closed, also where a run began meanwhile", function()
    assert.equal("INT\nfalse interrupted\n", output [[
      local signals = braid.signals "INT"
      local ok, err = pcall(braid.run, function()
        kill "INT"
        print(signals:get())
        signals:close()
        kill "INT"
        braid.sleep(5)
      end)
      print(tostring(ok) .. " " .. err.kind)
    ]])
  end)

  test("leave in place what braid has done for them meanwhile: a broken pipe of a transfer ends no program", function()
    assert.equal("1\n", output [[
      local signals = braid.signals "PIPE"
      braid.http.session():get("http://127.0.0.1:1/", { timeout = 1 })
      signals:close()
      local caught = io.open("/proc/self/status"):read("a"):match "SigCgt:%s+(%x+)"
      print(tonumber(caught, 16) >> 12 & 1) -- SIGPIPE is 13
    ]])
  end)

  test("are not passed on to programs that are started meanwhile", function()
    assert.equal("0000000000000000\n", output [[
      local signals <close> = braid.signals("USR1", "TERM")
      local shown = braid.process.run { "grep", "-E", "SigBlk|SigIgn", "/proc/self/status" }
      print(shown.stdout:match "SigBlk:%s+(%x+)")
    ]])
  end)

  test("can be waited for so long only, and a wait ends when it is cancelled or they are closed", function()
    assert.equal("timeout\nempty\ncancelled\nclosed\nclosed\n", output [[
      braid.run(function()
        local signals = braid.signals "HUP"
        local function kind(...) print((select(2, ...)).kind) end
        kind(signals:get(0.01))
        print(select(2, signals:get(0)).kind == "timeout" and "empty")
        local task = braid.spawn(signals.get, signals)
        braid.checkpoint()
        task:cancel()
        kind(pcall(task.result, task))
        local waiting = braid.spawn(signals.get, signals)
        braid.checkpoint()
        signals:close()
        kind(waiting:result())
        kind(signals:get())
        signals:close()
      end)
    ]])
  end)

  test("that cannot be waited for are refused at the caller's line", function()
    local text = output [[
      for _, name in ipairs { "KILL", "STOP", "SEGV", "hup", "" } do
        local ok, err = pcall(braid.signals, name)
        print(ok, err.kind, err.message)
      end
      print(pcall(braid.signals))
    ]]
    assert.equal(5, select(2, text:gsub("false\tmisuse\t%S+ bad argument 'name' to 'signals'", "")))
    assert.matches("'name' to 'signals' %(a string expected, got nil%)", text)
  end)

  test("leave nothing open, also when nobody closes them", function()
    assert.equal("true\n", output [[
      local function count()
        local shown = braid.process.run { "sh", "-c", "ls -l /proc/$PPID/fd | grep -c eventfd" }
        return tonumber(shown.stdout)
      end
      braid.signals("HUP"):close()
      local before = count()
      for _ = 1, 300 do braid.signals "HUP" end
      collectgarbage()
      collectgarbage()
      print(count() == before)
    ]])
  end)

  test("come in storms, and none of the last is lost", function()
    assert.equal("USR2\n", output [[
      braid.run(function()
        local signals <close> = braid.signals("USR1", "USR2")
        local storm = braid.process.start { "sh", "-c",
          "for i in $(seq 2000); do kill -USR1 " .. pid .. "; done; kill -USR2 " .. pid }
        for _ = 1, 50 do braid.signals("USR1"):close() end
        for name in signals do
          if name == "USR2" then print(name) break end
        end
        storm:wait()
      end)
    ]])
  end)
end)
