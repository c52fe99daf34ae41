-- SPDX-License-Identifier: MIT
-- Progress bars: what they count, what they write where there is no terminal, and on one.
local helper = require "spec.helper"
local braid = require "braid"
local units = require "braid.units"
local test = helper.test

-- What a script writes on stderr.
local function stderr_of(code)
  local stdout, stderr, status = helper.lua_process('local braid = require "braid"\n' .. code)
  assert.equal(0, status, stdout .. stderr)
  return stderr
end

local function lines(text)
  local _, count = text:gsub("\n", "")
  return count
end

describe("braid.progress, piped", function()
  test("gives a list's items and indices, and writes one line at the end", function()
    local text = stderr_of [[
      local seen = {}
      for item, index in braid.progress({ "a", "b", "c" }, { name = "letters" }) do seen[index] = item end
      assert(table.concat(seen) == "abc")
    ]]
    assert.equal(1, lines(text), text)
    assert.truthy(text:find("letters  100 %%  3/3"), text)
    assert.is_nil(text:find("[\27\r]"))
  end)

  test("counts up to a number, and goes through iterators and queues", function()
    local text = stderr_of [[
      local sum = 0
      for i in braid.progress(1000) do sum = sum + i end
      for word in braid.progress(("x y z"):gmatch "%a") do sum = sum + #word end
      local queue = braid.queue()
      queue:put_many { 1, 2 }
      queue:close()
      for item in braid.progress(queue, { total = 4 }) do sum = sum + item end
      assert(sum == 500500 + 3 + 3)
    ]]
    assert.equal(3, lines(text), text)
    assert.truthy(text:find("100 %%  1000/1000"), text)
    assert.truthy(text:find("\n3  "), text)
    assert.truthy(text:find("50 %%  2/4"), text)
  end)

  test("writes a line for each interval, not for each item", function()
    local text = stderr_of [[
      for i in braid.progress(100, { interval = 0.1 }) do braid.sleep(0.004) end
    ]]
    assert.truthy(lines(text) >= 2 and lines(text) <= 20, text)
    assert.truthy(text:find(" left\n"), text)
  end)

  test("is finished when the loop is left, by close, and when it is garbage", function()
    local text = stderr_of [[
      for i in braid.progress(10, { name = "left" }) do if i == 3 then break end end
      do
        local bar <close> = braid.progress(10, { name = "closed" })
        bar:advance(4)
      end
      braid.progress(10, { name = "garbage" }):advance(5)
      collectgarbage()
      local bar = braid.progress(nil, { name = "bytes", unit = "bytes" })
      bar:update(1500000, 3000000)
      bar:done()
      bar:done()
    ]]
    assert.equal(4, lines(text), text)
    assert.truthy(text:find("left   20 %%  2/10"), text)
    assert.truthy(text:find("closed   40 %%  4/10"), text)
    assert.truthy(text:find("garbage   50 %%  5/10"), text)
    assert.truthy(text:find("bytes   50 %%  1.50 MB/3.00 MB  [%d.]+ .B/s"), text)
  end)

  test("works inside the maps of pools and tasks", function()
    local text = stderr_of [[
      local function double(x) return 2 * x end
      local list = {}
      for i = 1, 50 do list[i] = i end
      for _, kind in ipairs { "inline", "tasks", "threads" } do
        local pool <close> = braid.pool(kind, 2)
        assert(pool:map(double, list, { progress = { name = kind } })[50] == 100)
        local n = 0
        for _ in pool:imap(double, list, { progress = { name = kind .. " imap" } }) do n = n + 1 end
        assert(n == 50)
      end
      braid.map(double, list, { progress = { name = "braid.map" } })
    ]]
    assert.equal(7, lines(text), text)
    for name in ("inline tasks threads braid.map"):gmatch "%S+" do
      assert.truthy(text:find(name .. "  100 %  50/50", 1, true), text)
    end
    assert.truthy(text:find("threads imap  100 %  50/50", 1, true), text)
  end)
end)

describe("braid.progress", function()
  test("on a terminal redraws bars in place, several at once", function()
    if not io.open "/usr/bin/script" then return pending "needs the program script" end
    local file = os.tmpname()
    local handle <close> = assert(io.open(file, "w"))
    handle:write [[
      local braid = require "braid"
      for i in braid.progress(3, { name = "outer" }) do
        for j in braid.progress(4, { name = "inner", interval = 0 }) do end
      end
    ]]
    handle:close()
    local result = braid.process.run({ "script", "-qec", helper.lua .. " " .. file, "/dev/null" }, { stdin = "" })
    os.remove(file)
    assert.equal(0, result.code, result.stdout)
    local _, finished = result.stdout:gsub("inner  100 %%[^\n]*4/4[^\n]*\n", "")
    assert.equal(3, finished, result.stdout)
    assert.truthy(result.stdout:find("\27%[1A\r\27%[J"), "two bars stand one above the other")
    assert.truthy(result.stdout:find("outer  100 %%[^\n]*█[^\n]*3/3"), result.stdout)
  end)

  test("refuses what it does not know", function()
    local ok, err = pcall(braid.progress, 3, { nmae = "x" })
    assert.is_false(ok)
    assert.truthy(err.message:find "did you mean 'name'")
    ok, err = pcall(braid.progress, "text")
    assert.is_false(ok)
    assert.truthy(err.message:find "'what' to 'progress'")
    for _, bad in ipairs { -5, 0 / 0 } do
      assert.is_true(braid.is_error(select(2, pcall(braid.progress, bad)), "misuse"))
      assert.is_true(braid.is_error(select(2, pcall(braid.progress, nil, { total = bad })), "misuse"))
    end
  end)
end)

describe("units", function()
  test("have three digits", function()
    assert.equal("12.3 ms", units.seconds(0.01234))
    assert.equal("1.00 s", units.seconds(0.9999))
    assert.equal("450 ns", units.seconds(450e-9))
    assert.equal("4.56 MB", units.bytes(4560000))
    assert.equal("12.3 k", units.count(12345))
    assert.equal("1234", units.count(1234))
    assert.equal("1:02:03", units.clock(3723))
    assert.equal("0:07", units.clock(7.2))
    assert.equal(4, units.width "中文")
  end)
end)
