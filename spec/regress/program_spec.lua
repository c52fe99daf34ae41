-- SPDX-License-Identifier: MIT
-- Programs: a group outlived its first process and every signal; a pipe that could not be read was an empty output with
-- code 0; pipes and children did not raise the limit of descriptors, as sockets do.
local helper = require "spec.helper"
local braid = require "braid"
local errors = require "braid.errors"
local stream = require "braid.io.stream"
local process = braid.process
local lives = helper.lives

local function ends(pid)
  local deadline = braid.now() + 5 * helper.slowness
  while lives(pid) and braid.now() < deadline do braid.sleep(0.01) end
  local gone = not lives(pid)
  if not gone then os.execute("kill -KILL " .. pid) end
  return gone
end

-- A program that has ended, and one of its group that has not.
local function start()
  local program = assert(process.start({ "sh", "-c", "sleep 100 & echo $!" }, { group = true }))
  local pid = tonumber(program:read())
  while lives(program.pid) do braid.sleep(0.001) end
  braid.sleep(0.01) -- the loop learns of it
  assert.is_true(lives(pid))
  return program, pid
end

local function test(name, fn)
  helper.test(name, function() braid.run(fn) end)
end

describe("a group whose first process has ended", function()
  test("gets signals", function()
    local program, pid = start()
    assert.equal(0, program:wait().code)
    assert.is_true(program:kill(0))
    assert.is_true(program:kill("KILL"))
    assert.is_true(ends(pid))
  end)

  test("is ended by a timeout", function()
    local result, err = process.run({ "sh", "-c", "sleep 100 & echo $!" }, { group = true, timeout = 0.1 })
    assert.is_nil(result)
    assert.equal("timeout", err.kind)
    assert.is_true(ends(tonumber(err.stdout)))
  end)

  test("is killed when it does not listen", function()
    local line = "(trap '' TERM; echo $$; exec sleep 100) & :"
    local _, err = process.run({ "sh", "-c", line:gsub("%$%$", "$(cut -d' ' -f4 /proc/self/stat)") },
      { group = true, timeout = 0.2 })
    assert.is_true(ends(tonumber(err.stdout)))
  end)

  test("is ended by a cancel", function()
    local pid
    local task = braid.spawn(function()
      local program <close>, own = start()
      pid = own
      program:wait()
      braid.sleep(100)
    end)
    while not pid do braid.sleep(0.001) end
    task:cancel()
    task:wait()
    assert.is_true(ends(pid))
  end)

  test("is ended with the block that has it", function()
    local pid
    do
      local program <close>, own = start()
      pid = own
      assert.is_truthy(program)
    end
    assert.is_true(ends(pid))
  end)

  test("goes on when its end was waited for, and nothing is wrong", function()
    local result = process.run({ "sh", "-c", "sleep 100 >/dev/null 2>&1 & echo $!" }, { group = true })
    local pid = tonumber(result.stdout)
    assert.is_true(lives(pid))
    os.execute("kill -KILL " .. pid)
  end)
end)

describe("a program whose pipe cannot be used", function()
  local function with_broken(method, fn)
    local real = stream.Stream[method]
    stream.Stream[method] = function() return nil, errors.new("system", "broken") end
    local ok, err = pcall(fn)
    stream.Stream[method] = real
    assert.is_true(ok, tostring(err))
  end

  for method, name in pairs { read = "std%a+", write = "stdin" } do
    test("is an error that says which, and ends it: " .. method, function()
      with_broken(method, function()
        local start_time = braid.now()
        local result, err = process.run({ "sh", "-c", "echo said; exec sleep 100" }, { stdin = "text" })
        assert.is_nil(result)
        assert.equal("system", err.kind)
        assert.matches("^" .. name .. ' of "sh": broken$', err.message)
        assert.is_true(err.stdout == "said\n" or err.stdout == "")
        assert.is_true(braid.now() - start_time < 20 * helper.slowness)
      end)
    end)
  end
end)

describe("many programs at once", function()
  helper.test("raise a low limit of descriptors", function()
    braid.run(function()
      local code = [[
        local braid = require "braid"
        local list, right = {}, 0
        for i = 1, 60 do list[i] = i end
        braid.map(function(i)
          local result = assert(braid.process.run { "echo", i })
          if result.stdout == i .. "\n" then right = right + 1 end
        end, list)
        local pool <close> = braid.process_pool(20)
        print(right, #pool:map(math.abs, list))
      ]]
      local result = assert(process.run { "sh", "-c", 'ulimit -Sn 40; exec "$0" -e "$1"', helper.lua, code })
      assert.same({ code = 0, stdout = "60\t60\n", stderr = "" }, result)
    end)
  end)
end)
