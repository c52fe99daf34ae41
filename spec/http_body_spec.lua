-- SPDX-License-Identifier: MIT
-- Where a response's body can go: it is pulled, saved, counted.
local expect = require "spec.expect"
local helper = require "spec.helper"
local server = require "spec.http_server"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local lfs = require "lfs"
local http = braid.http
local test, with_session, wait_for_open = helper.test, server.with_session, server.wait_for_open
local misused = expect.misused
local fails, facts = server.fails, server.facts

lazy_setup(server.start)
lazy_teardown(server.stop)

describe("a streamed response", function()
  test("is there with its headers, before its body", scripted.with(function(_, stream)
    stream:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    braid.sleep(0.3)
    stream:write("data: 1\n")
    braid.sleep(0.05)
    stream:write("data: 2\n")
    return false
  end, function(base)
    local session <close> = http.session()
    local started = braid.now()
    local response <close> = assert(session:get(base .. "/", { stream = true }))
    assert.is_true(braid.now() - started < 0.25 * helper.slowness)
    assert.equal(200, response.status)
    assert.equal("text/event-stream", response.headers["content-type"])
    assert.is_nil(response.body)
    local lines = {}
    for line in response:lines() do lines[#lines + 1] = line end
    assert.same({ "data: 1", "data: 2" }, lines)
    assert.is_true(response.timing.total > 0.3)
  end))

  test("gives its pieces as they come", with_session(function(session)
    local response <close> = assert(session:get("/drip?count=3&ms=60", { stream = true }))
    local pieces = {}
    for piece in response:chunks() do pieces[#pieces + 1] = piece end
    assert.same({ "drip1", "drip2", "drip3" }, pieces)
    assert.is_nil((response:read()))
  end))

  test("can be read as a file is", with_session(function(session)
    local response <close> = assert(session:get("/big?bytes=3000000", { stream = true }))
    assert.equal("xxx", response:read(3))
    assert.equal(2999997, #response:read("a"))
    assert.equal("", response:read("a"))
    local json <close> = assert(session:get("/json", { stream = true }))
    assert.is_true(json:json().ok)
  end))

  test("skips the heads of redirects", with_session(function(session)
    local response <close> = assert(session:get("/redirect?to=/ok", { stream = true }))
    assert.equal(200, response.status)
    assert.equal(server.base .. "/ok", response.url)
    assert.equal("ok", response:read("a"))
    local other <close> = assert(session:get("/redirect?to=/ok", { stream = true, follow = false }))
    assert.equal(302, other.status)
    assert.equal("not here", other:read("a"))
  end))

  test("makes the server wait while nobody reads", with_session(function(session)
    local other <close> = http.session { base_url = server.base }
    local before = facts(other).sent
    local response <close> = assert(session:get("/big?bytes=200000000", { stream = true }))
    braid.sleep(0.3)
    local during = facts(other).sent - before
    assert.is_true(during < 50000000, during)
    local size = 0
    for piece in response:chunks() do size = size + #piece end
    assert.equal(200000000, size)
  end), { deadline = 30 })

  test("is stopped when it is closed, dropped, or its reader cancelled", with_session(function(session)
    local before = facts(session).open
    do
      local _ <close> = assert(session:get("/endless", { stream = true }))
    end
    wait_for_open(session, before)
    local function drop() session:get("/endless", { stream = true }):read(10) end
    drop()
    collectgarbage()
    collectgarbage()
    wait_for_open(session, before)
    local task = braid.spawn(function()
      local response <close> = assert(session:get("/drip?count=1000&ms=50", { stream = true }))
      for _ in response:chunks() do end
    end)
    braid.sleep(0.1)
    task:cancel()
    task:wait()
    assert.is_true(task:cancelled())
    wait_for_open(session, before)
    assert.is_false(braid.move_on_after(0.05, session.get, session, "/never", { stream = true }))
    wait_for_open(session, before)
  end))

  test("fails where it fails: before the headers, or at the end", with_session(function(session)
    fails("http", session:get("/empty", { stream = true }))
    fails("timeout", session:get("/never", { stream = true, timeout = 0.1 }))
    local short <close> = assert(session:get("/short", { stream = true }))
    assert.equal("0123456789", short:read(10))
    assert.equal("PARTIAL_FILE", fails("http", short:read(1)).code)
    local ok, err = pcall(function() for _ in short:chunks() do end end)
    assert.is_false(ok)
    assert.equal("PARTIAL_FILE", err.code)
    local slow <close> = assert(session:get("/drip?count=50&ms=50", { stream = true, timeout = 0.2 }))
    fails("timeout", slow:read("a"))
    local large <close> = assert(session:get("/endless", { stream = true, max_body = 1000000 }))
    fails("limit", large:read("a"))
  end))

  test("has timeouts for a single read, after which it goes on", with_session(function(session)
    local response <close> = assert(session:get("/drip?count=2&ms=150", { stream = true }))
    assert.equal("drip1", response:read(5))
    fails("timeout", response:read(5, 0.02))
    fails("timeout", response:read(5, 0))
    assert.equal("drip2", response:read(5))
  end))

  test("has one reader", with_session(function(session)
    local response <close> = assert(session:get("/drip?count=2&ms=200", { stream = true }))
    assert(response:read(5))
    local reader = braid.spawn(response.read, response, 5)
    braid.sleep(0)
    misused("another task is reading", response.read, response)
    assert.equal("drip2", reader:result())
  end))

  test("is closed with its session, and by itself", with_session(function(session)
    local response = assert(session:get("/endless", { stream = true }))
    response:close()
    response:close()
    fails("closed", response:read(1))
    local other = assert(session:get("/drip?count=50&ms=50", { stream = true }))
    local reader = braid.spawn(other.read, other, "a")
    braid.sleep(0.02)
    session:close()
    fails("closed", reader:result())
  end))

  test("frees its connection when all of it has come", with_session(function(session)
    for _ = 1, 5 do
      local response <close> = assert(session:get("/big?bytes=300000", { stream = true, timeout = 5 }))
      assert.equal(300000, #response:read("a"))
    end
  end, { max_per_host = 1 }))

  test("and a whole one are used alike", with_session(function(session)
    local response <close> = assert(session:get("/drip?count=3&ms=1"))
    assert.equal("drip1drip2drip3", response.body)
    local pieces = {}
    for piece in response:chunks() do pieces[#pieces + 1] = piece end
    assert.equal("drip1drip2drip3", table.concat(pieces))
  end))
end)

describe("a file", function()
  local folder

  local function with_folder(fn)
    return with_session(function(session)
      folder = os.tmpname()
      os.remove(folder)
      assert(lfs.mkdir(folder))
      fn(session, folder .. "/file")
      for name in lfs.dir(folder) do os.remove(folder .. "/" .. name) end
      assert(lfs.rmdir(folder))
    end)
  end

  local function content(path)
    local file <close> = io.open(path, "rb")
    return file and file:read("a")
  end

  local function names()
    local list = {}
    for name in lfs.dir(folder) do
      if not name:find("^%.") then list[#list + 1] = name end
    end
    return table.concat(list, " ")
  end

  test("has all of the body, and nothing is left beside it", with_folder(function(session, path)
    local response = assert(session:get("/big?bytes=3000000", { file = path }))
    assert.is_nil(response.body)
    assert.equal(path, response.file)
    assert.equal(("x"):rep(3000000), content(path))
    assert(session:get("/ok", { file = path })) -- takes its place
    assert.equal("ok", content(path))
    assert.equal("file", names())
    assert(session:get("/big?bytes=0", { file = path }))
    assert.equal("", content(path))
  end))

  test("is not touched by failures, cancels and other statuses", with_folder(function(session, path)
    assert(session:get("/ok", { file = path }))
    fails("http", session:get("/short", { file = path }))
    fails("timeout", session:get("/endless", { file = path, timeout = 0.1 }))
    fails("limit", session:get("/endless", { file = path, max_body = 100000 }))
    assert.is_false(braid.move_on_after(0.05, session.get, session, "/drip?count=50&ms=20", { file = path }))
    local response = assert(session:get("/status?code=404", { file = path }))
    assert.equal("as asked", response.body)
    assert.is_nil(response.file)
    assert.equal("ok", content(path))
    assert.equal("file", names())
  end))

  test("that cannot be written is a failure before the request", with_folder(function(session)
    local before = facts(session).requests
    fails("system", session:get("/ok", { file = folder .. "/missing/file" }))
    assert.equal(before + 1, facts(session).requests)
    fails("system", session:get("/ok", { file = folder })) -- it is a folder
    assert.equal("", names())
  end))
end)

describe("progress", function()
  test("is told with what has come, of how much", with_session(function(session)
    local calls, last = 0, 0
    local response = assert(session:get("/big?bytes=1000000", { progress = function(received, total)
      assert.equal(1000000, total)
      assert.is_true(received > last)
      calls, last = calls + 1, received
    end }))
    assert.equal(1000000, #response.body)
    assert.equal(1000000, last)
    assert.is_true(calls > 1)
  end))

  test("does not know how much where the server does not say", with_session(function(session)
    local told = {}
    assert(session:get("/drip?count=2&ms=30", { progress = function(...) told[#told + 1] = table.pack(...) end }))
    assert.same({ { 5, nil, n = 2 }, { 10, nil, n = 2 } }, told)
    assert(session:get("/gzip", { progress = function(_, total) assert.is_nil(total) end }))
  end))

  test("goes with a file and with a stream", with_session(function(session)
    local path, last = os.tmpname(), nil
    local function note(received) last = received end
    assert(session:get("/big?bytes=300000", { file = path, progress = note }))
    os.remove(path)
    assert.equal(300000, last)
    local response <close> = assert(session:get("/big?bytes=200000", { stream = true, progress = note }))
    response:read("a")
    assert.equal(200000, last)
  end))

  test("is a line on stderr where that is no terminal", function()
    local stdout, stderr, code = helper.lua_process(([[
      local braid = require "braid"
      print(#braid.http.get("%s/big?bytes=2000000", { progress = true }).body)
    ]]):format(server.base))
    assert.equal("2000000\n", stdout)
    assert.is_truthy(stderr:find("100 %", 1, true), stderr)
    assert.equal(0, code)
  end)
end)

describe("a sink that waits", function()
  test("may do so", with_session(function(session)
    local queue, size = braid.queue(1), 0
    local reader = braid.spawn(function()
      for piece in queue:items() do
        size = size + #piece
        braid.sleep(0.001)
      end
    end)
    assert(session:get("/big?bytes=2000000", { sink = function(piece) queue:put(piece) end }))
    queue:close()
    reader:result()
    assert.equal(2000000, size)
  end))
end)

describe("misuse", function()
  test("of several places for one body", function()
    finally(http.close)
    misused("exclude each other", http.get, server.base, { sink = print, stream = true })
    misused("exclude each other", http.get, server.base, { sink = print, file = "x" })
    misused("'file'", http.get, server.base, { file = "" })
    misused("'progress'", http.get, server.base, { progress = 5 })
  end)
end)
