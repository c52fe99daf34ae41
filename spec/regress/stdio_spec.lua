-- SPDX-License-Identifier: MIT
-- A thread that waits in io.read holds the lock of stdin's FILE, for which popen's fflush(NULL) waits, which holds the
-- lock of the list of all files, for which io.open and require wait.
local helper = require "spec.helper"

-- Runs the script with a standard input on which nothing comes.
local function with_silent_input(code)
  local out, err, status = helper.lua_process(([[
    local script = os.tmpname()
    local file <close> = assert(io.open(script, "w"))
    file:write(%q)
    file:close()
    local fifo = os.tmpname()
    local pipe = assert(io.popen(("rm %%s && mkfifo %%s && exec 3<>%%s && rm %%s && exec '%%s' %%s <&3 2>&1")
      :format(fifo, fifo, fifo, fifo, %q, script)))
    local start = os.time()
    while true do
      local line = pipe:read "L"
      if not line then break end
      io.write(line)
      if line == "end\n" then break end
    end
    print(os.time() - start <= 3)
    io.stdout:flush()
    os.remove(script)
    os.exit(0)
  ]]):format(code, helper.lua), { timeout = 20 })
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

describe("a thread that waits for standard input", function()
  helper.test("does not hold up io.popen, io.open and require of others", function()
    assert.equal("popen\topen\trunning\nmain\nend\ntrue\n", with_silent_input [[
      local braid = require "braid"
      local pool = braid.thread_pool(3)
      local reader = pool:submit(function() return io.read "l" end)
      braid.sleep(0.1)
      local run = pool:submit(function()
        local pipe <close> = io.popen "echo popen"
        return pipe:read "l"
      end)
      local file = pool:submit(function()
        for _ = 1, 20 do
          local open <close> = assert(io.open "/etc/passwd")
          open:read "a"
        end
        return require "braid.json" and "open"
      end)
      print(run:result(5), file:result(5), reader:state())
      local pipe <close> = io.popen "echo main"
      print(pipe:read "l")
      reader:cancel() -- the script's end waits for its jobs
      pool:shutdown { wait = false }
      setmetatable({}, { __gc = function() print "end" io.stdout:flush() end })
    ]])
  end, { deadline = 20 })

  helper.test("can be cancelled, and its worker serves on", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    assert.equal("cancelled\t1\nend\ntrue\n", with_silent_input [[
      local braid = require "braid"
      local pool <close> = braid.thread_pool(1)
      local reader = pool:submit(function() return io.read "l" end)
      braid.sleep(0.1)
      reader:cancel()
      reader:wait(3)
      print(reader:state(), pool:submit(function() return 1 end):result(3))
      print "end"
      io.stdout:flush()
    ]])
  end, { deadline = 20 })

  helper.test("reads what comes, by io.read, io.lines and their methods", function()
    local out = helper.lua_process([[
      local braid = require "braid"
      local pool <close> = braid.thread_pool(1)
      print(pool:submit(function()
        local got = { io.read "l", io.stdin:read "l", io.read "n", io.read "L" }
        for line in io.stdin:lines() do got[#got + 1] = line break end
        for line in io.lines() do got[#got + 1] = line end
        return table.concat(got, ",")
      end):result())
    ]], { stdin = "a\nb\n12\nc\nd\ne" })
    assert.equal("a,b,12,\n,c,d,e\n", out)
  end)
end)
