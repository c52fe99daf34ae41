-- SPDX-License-Identifier: MIT
-- Streams and descriptors: reading in all its forms, slow sides, timeouts, cancels, closing, wait_fd.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local stream = require "braid.io.stream"
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

-- Two streams that are closed when the test ends.
local function with_pipe(fn)
  return function()
    local reader <close>, writer = stream.pipe()
    local _ <close> = writer
    run(fn, reader, writer)
  end
end

describe("stream:read_until", function()
  test("finds a text that comes in pieces, and returns it, too", with_pipe(function(reader, writer)
    local feeder = braid.spawn(function()
      for piece in ("GET /\r|\nHost: x\r\n|\r|\n\r\n\r|\n|rest"):gmatch("[^|]+") do
        writer:write(piece)
        braid.sleep(0.001)
      end
      writer:close()
    end)
    assert.equal("GET /\r\nHost: x\r\n\r\n", reader:read_until("\r\n\r\n"))
    assert.equal("\r\n\r\n", reader:read_until("\r\n\r\n"))
    assert.equal("rest", reader:read_until("\r\n\r\n"))
    assert.is_nil((reader:read_until("\r\n\r\n")))
    feeder:result()
  end))

  test("does not look at what was read before", with_pipe(function(reader, writer)
    writer:write("ab\rc")
    assert.equal("ab\r", reader:read(3))
    local task = braid.spawn(reader.read_until, reader, "\rc\n")
    braid.sleep(0.001)
    writer:write("\n\rc\n")
    assert.equal("c\n\rc\n", task:result())
  end))

  test("has a limit, and what was read stays", with_pipe(function(reader, writer)
    writer:write("12345--678--")
    fails("limit", reader:read_until("--", 4))
    assert.equal("12345--", reader:read_until("--", 5))
    fails("timeout", reader:read_until("==", 10, 0.001))
    fails("limit", reader:read_until("==", 3, 0.001))
    fails("timeout", reader:read_until("==", math.maxinteger, 0.001))
    assert.equal("678--", reader:read_until("-", 3) .. reader:read(1))
    misused("'text'", reader.read_until, reader, "")
    misused("'max'", reader.read_until, reader, "x", -1)
    misused("stream:read_until", reader.read_until, "x")
  end))
end)

describe("stream:peek", function()
  test("returns the next bytes, which stay", with_pipe(function(reader, writer)
    writer:write("abc")
    assert.equal("ab", reader:peek(2))
    fails("timeout", reader:peek(4, 0.001))
    local task = braid.spawn(reader.peek, reader, 5)
    braid.sleep(0)
    writer:write("def\n")
    assert.equal("abcde", task:result())
    assert.equal("a", reader:read(1))
    writer:close()
    assert.equal("bcdef\n", reader:peek(100))
    assert.equal("bcdef", reader:read())
    assert.is_nil((reader:peek(1)))
    misused("'count'", reader.peek, reader, 0)
  end))
end)

describe("stream:read", function()
  test("gives lines with and without their end, and nil at the end", with_pipe(function(reader, writer)
    writer:write("one\ntwo\n\nlast")
    writer:close()
    assert.equal("one", reader:read())
    assert.equal("two\n", reader:read("L"))
    assert.equal("", reader:read("l"))
    assert.equal("last", reader:read("L"))
    assert.is_nil((reader:read()))
    assert.is_nil((reader:read(5)))
    assert.equal("", reader:read("a"))
  end))

  test("gives exactly as many bytes as asked for, fewer only at the end", with_pipe(function(reader, writer)
    local feeder = braid.spawn(function()
      for _ = 1, 10 do
        writer:write("ab")
        braid.sleep(0.001)
      end
      writer:close()
    end)
    assert.equal("ababa", reader:read(5))
    assert.equal("", reader:read(0))
    assert.equal(("ba"):rep(5), reader:read(10))
    assert.equal("babab", reader:read(100))
    assert.is_nil((reader:read(0)))
    feeder:result()
  end))

  test("finds lines that come in pieces", with_pipe(function(reader, writer)
    local feeder = braid.spawn(function()
      for piece in ("a long line, in pie|ces\nand |another\n\n|x"):gmatch("[^|]+") do
        writer:write(piece)
        braid.sleep(0.001)
      end
      writer:close()
    end)
    local lines = {}
    for line in reader:lines() do lines[#lines + 1] = line end
    assert.same({ "a long line, in pieces", "and another", "", "x" }, lines)
    feeder:result()
  end))

  test("mixes formats over more than one buffer", with_pipe(function(reader, writer)
    local text = {}
    for i = 1, 20000 do text[i] = ("line %d %s\n"):format(i, ("x"):rep(i % 40)) end
    local all = table.concat(text)
    local feeder = braid.spawn(function()
      writer:write(all)
      writer:close()
    end)
    local got = {}
    repeat
      local piece = reader:read(({ "L", 7, "L", 30000, "L" })[#got % 5 + 1])
      got[#got + 1] = piece
    until not piece
    assert.is_true(table.concat(got) == all)
    feeder:result()
  end))

  test("read_some takes what is there", with_pipe(function(reader, writer)
    writer:write("hello")
    assert.equal("hel", reader:read_some(3))
    assert.equal("lo", reader:read_some())
    fails("timeout", reader:read_some(nil, 0))
    local feeder = braid.spawn(function() writer:write("later") end)
    assert.equal("later", reader:read_some())
    feeder:result()
    writer:close()
    assert.is_nil((reader:read_some()))
  end))

  test("times out, and what had come stays", with_pipe(function(reader, writer)
    writer:write("half a li")
    fails("timeout", reader:read("l", 0.01))
    fails("timeout", reader:read(100, 0))
    fails("timeout", reader:read("a", 0.01))
    writer:write("ne\nmore\n")
    assert.equal("half a line", reader:read("l", 1))
    fails("timeout", reader:read(6, 0.01))
    assert.equal("more", reader:read("l", 0))
  end))

  test("holds its deadline against a source that never rests", with_pipe(function(reader, writer)
    local flood = braid.spawn(function()
      while writer:write(("x"):rep(60000)) do end
    end)
    local before = braid.now()
    fails("timeout", reader:read("a", 0.05))
    assert.is_true(braid.now() - before < 2)
    reader:close()
    flood:result()
  end))

  test("loses nothing to a cancel", with_pipe(function(reader, writer)
    writer:write("abc")
    local first = braid.spawn(function() return reader:read(6) end)
    braid.sleep(0.005)
    first:cancel()
    first:wait()
    assert.is_true(first:cancelled())
    writer:write("def")
    assert.equal("abcdef", reader:read(6))
  end))

  test("of a second task is misuse, even where bytes are there", with_pipe(function(reader, writer)
    writer:write("abc")
    local first = braid.spawn(function() return reader:read(6) end)
    braid.sleep(0.005)
    misused("another task is reading", function() reader:read(1) end)
    misused("another task is reading", function() reader:read_some() end)
    misused("another task is reading", function() reader:lines()() end)
    writer:write("def")
    assert.equal("abcdef", first:result())
  end))

  test("refuses what it does not know", with_pipe(function(reader)
    misused("'what'", function() reader:read("*x") end)
    misused("'what'", function() reader:read(-1) end)
    misused("'what'", function() reader:read(1.5) end)
    misused("'timeout'", function() reader:read("l", -1) end)
    misused("'timeout' to 'read'", function() reader:read("l", "1") end)
    misused("'timeout' to 'read'", function() reader:read("l", 0 / 0) end)
    misused("'what' to 'lines'", function() reader:lines("a") end)
    misused("'most'", function() reader:read_some(0) end)
  end))

  test("works outside every task", function()
    local reader <close>, writer = assert(stream.pipe())
    writer:write("script\n")
    assert.equal("script", reader:read())
    fails("timeout", reader:read("l", 0.01))
    writer:close()
    assert.is_nil((reader:read()))
  end)
end)

describe("stream:write", function()
  test("waits for a slow reader and writes all of it", with_pipe(function(reader, writer)
    local data = {}
    for i = 1, 50000 do data[i] = ("%08d"):format(i) end
    data = table.concat(data)
    local feeder = braid.spawn(function()
      local ok = writer:write(data)
      writer:close()
      return ok
    end)
    braid.sleep(0.01)
    assert.is_false(feeder:done())
    assert.is_true(reader:read("a") == data)
    assert.is_true(feeder:result())
  end))

  test("of several tasks does not mix", with_pipe(function(reader, writer)
    local size = 100000
    for name in ("abcd"):gmatch(".") do
      braid.spawn(function() assert.is_true(writer:write(name:rep(size))) end)
    end
    local seen = {}
    for _ = 1, 4 do
      local block = reader:read(size)
      local name = block:sub(1, 1)
      assert.is_true(block == name:rep(size), "mixed")
      seen[#seen + 1] = name
    end
    assert.same({ "a", "b", "c", "d" }, seen)
  end))

  test("times out and tells how much is gone", with_pipe(function(reader, writer)
    local err = fails("timeout", writer:write(("x"):rep(1000000), 0.01))
    assert.is_true(err.written > 0 and err.written < 1000000)
    assert.equal(err.written, #reader:read(err.written))
    fails("timeout", reader:read(1, 0))
    fails("closed", writer:write("y", 0)) -- it would come after half of the other
  end))

  test("after one that was cancelled in the middle is refused", with_pipe(function(reader, writer)
    local first = braid.spawn(function() return writer:write(("x"):rep(1000000)) end)
    local second = braid.spawn(function() return writer:write("end") end)
    braid.sleep(0.005)
    first:cancel()
    first:wait()
    fails("closed", second:result())
    writer:close()
    local got = reader:read("a")
    assert.is_true(#got > 0 and #got < 1000000)
    assert.is_nil(got:find("end", 1, true))
  end))

  test("to a side that has closed is kind closed, and no signal kills us", with_pipe(function(reader, writer)
    reader:close()
    fails("closed", writer:write("x"))
    fails("closed", writer:write("x"))
    assert.is_true(writer:write(""))
  end))

  test("takes strings and numbers only", with_pipe(function(reader, writer)
    writer:write(12)
    assert.equal("12", reader:read(2))
    misused("'data'", function() writer:write(nil) end)
    misused("'data'", function() writer:write({}) end)
    misused("'timeout'", function() writer:write("x", -1) end)
  end))
end)

describe("stream:close", function()
  test("makes everything else kind closed, and is harmless again", with_pipe(function(reader, writer)
    writer:write("left over\n")
    assert.equal("l", reader:read(1))
    reader:close()
    reader:close()
    writer:close()
    assert.is_nil(reader.fd)
    fails("closed", reader:read())
    fails("closed", reader:read_some())
    fails("closed", writer:write("x"))
    local ok, err = pcall(reader:lines())
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "closed"))
  end))

  test("wakes the task that reads", with_pipe(function(reader)
    local task = braid.spawn(function() return reader:read() end)
    braid.sleep(0.005)
    reader:close()
    fails("closed", task:result())
  end))

  test("wakes the task that writes, and those in line behind it", with_pipe(function(_, writer)
    local first = braid.spawn(function() return writer:write(("x"):rep(1000000)) end)
    local second = braid.spawn(function() return writer:write("y") end)
    braid.sleep(0.005)
    writer:close()
    local err = fails("closed", first:result())
    assert.is_true(err.written > 0)
    fails("closed", second:result())
  end))

  test("of a reader that an event has woken already", with_pipe(function(reader, writer)
    local task = braid.spawn(function() return reader:read() end)
    braid.sleep(0.005)
    writer:write("x\n")
    reader:close()
    fails("closed", task:result())
  end))

  test("happens when nobody holds the stream any more", function()
    -- the helper counts descriptors
    for _ = 1, 10 do assert(stream.pipe()) end
  end)

  test("frees the number for others, whose waits are their own", function()
    run(function()
      for _ = 1, 50 do
        local reader <close>, writer = stream.pipe()
        local _ <close> = writer
        local task = braid.spawn(function() return reader:read() end)
        braid.sleep(0)
        local fd = reader.fd
        reader:close()
        local again <close>, other = stream.pipe()
        assert.equal(fd, again.fd)
        other:write("new\n")
        assert.equal("new", again:read("l", 5))
        fails("timeout", again:read("l", 0.0001))
        fails("closed", task:result())
        other:close()
      end
    end)
  end)
end)

describe("wait_fd", function()
  test("waits for bytes, and for room", with_pipe(function(reader, writer)
    assert.is_true((braid.wait_fd(writer.fd, "w")))
    local woken = braid.spawn(function() return braid.wait_fd(reader.fd, "r") end)
    braid.sleep(0.005)
    assert.is_false(woken:done())
    writer:write("x")
    assert.is_true(woken:result())
    assert.is_true((braid.wait_fd(reader.fd, "r", 0)))
    fails("timeout", writer:write(("x"):rep(1000000), 0.01))
    fails("timeout", braid.wait_fd(writer.fd, "w", 0.005))
    reader:read_some()
    assert.is_true((braid.wait_fd(writer.fd, "w", 1)))
  end))

  test("with rw tells what is ready", with_pipe(function(reader, writer)
    assert.equal("w", braid.wait_fd(writer.fd, "rw", 1))
    assert.equal("w", braid.wait_fd(writer.fd, "rw", 0))
    writer:write("x")
    assert.equal("r", braid.wait_fd(reader.fd, "rw", 1))
    assert.equal("r", braid.wait_fd(reader.fd, "rw", 0))
  end))

  test("wakes for a side that has closed", with_pipe(function(reader, writer)
    local woken = braid.spawn(function() return braid.wait_fd(reader.fd, "r") end)
    braid.sleep(0.005)
    writer:close()
    assert.is_true(woken:result())
  end))

  test("times out in time, tries once with 0", with_pipe(function(reader)
    local before = braid.now()
    fails("timeout", braid.wait_fd(reader.fd, "r", 0))
    assert.is_true(braid.now() - before < 1)
    fails("timeout", braid.wait_fd(reader.fd, "r", 0.05))
    assert.is_true(braid.now() - before >= 0.05)
  end))

  test("is cancelled, and the next wait is not disturbed", with_pipe(function(reader, writer)
    for _ = 1, 20 do
      local first = braid.spawn(function() return braid.wait_fd(reader.fd, "r") end)
      braid.sleep(0)
      first:cancel()
      first:wait()
      assert.is_true(first:cancelled())
    end
    fails("timeout", braid.wait_fd(reader.fd, "r", 0.005))
    writer:write("x")
    assert.is_true((braid.wait_fd(reader.fd, "r", 1)))
  end))

  test("lets several wait for one descriptor", with_pipe(function(reader, writer)
    local tasks = {}
    for i = 1, 10 do tasks[i] = braid.spawn(function() return braid.wait_fd(reader.fd, "r") end) end
    local other = braid.spawn(function() return braid.wait_fd(reader.fd, "rw", 5) end)
    braid.sleep(0.005)
    tasks[3]:cancel()
    writer:write("x")
    for i, task in ipairs(tasks) do
      if i ~= 3 then assert.is_true(task:result()) end
    end
    assert.equal("r", other:result())
  end))

  test("finds a regular file ready at once", function()
    run(function()
      local name = os.tmpname()
      finally(function() os.remove(name) end)
      local file <close> = assert(io.open(name))
      local fd = require "braid.core".file_number(file)
      assert.is_true((braid.wait_fd(fd, "r")))
      assert.is_true((braid.wait_fd(fd, "w", 5)))
      assert.equal("rw", braid.wait_fd(fd, "rw"))
    end)
  end)

  test("of a descriptor that is not open is kind system", function()
    run(function()
      fails("system", braid.wait_fd(999, "r"))
      fails("system", braid.wait_fd(999, "r", 0))
      fails("system", braid.wait_fd(2 ^ 31 - 1 | 0, "r", 1))
    end)
  end)

  test("refuses wrong arguments", function()
    run(function()
      misused("'fd'", function() braid.wait_fd(-1, "r") end)
      misused("'fd'", function() braid.wait_fd(2 ^ 31 | 0, "r") end)
      misused("'fd'", function() braid.wait_fd("x", "r") end)
      misused("'mode'", function() braid.wait_fd(0) end)
      misused("'mode'", function() braid.wait_fd(0, "x") end)
      misused("'timeout'", function() braid.wait_fd(0, "r", -1) end)
    end)
  end)

  test("works outside every task", function()
    local reader <close>, writer = assert(stream.pipe())
    fails("timeout", braid.wait_fd(reader.fd, "r", 0.01))
    writer:write("x")
    assert.is_true((braid.wait_fd(reader.fd, "r")))
    writer:close()
  end)

  test("keeps none of the others waiting while it is always ready", with_pipe(function(reader, writer)
    writer:write("x")
    local stopped, turns = false, 0
    braid.spawn(function()
      braid.sleep(0.01)
      stopped = true
    end)
    repeat
      assert(braid.wait_fd(reader.fd, "r", turns % 2 == 0 and 0 or nil))
      turns = turns + 1
    until stopped
    assert.is_true(turns > 10)
  end))
end)
