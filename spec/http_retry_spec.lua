-- SPDX-License-Identifier: MIT
-- Requests that are tried again, and what is told on the way.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local retry = require "braid.http.retry"
local test, answer = helper.test, scripted.answer
local misused = expect.misused

local QUICK = { count = 3, backoff = 0.01 }

-- Fails so many times with the reply, then succeeds.
local function after(failures, reply)
  return function(_, _, number) return number <= failures and reply or number > failures and answer(200, "at last") end
end

-- fn(session, log, base) with such a server.
local function with(handle, fn)
  return scripted.with(handle, function(base, log)
    local session <close> = braid.http.session { base_url = base }
    fn(session, log, base)
  end)
end

describe("retries", function()
  test("end with the first success", with(after(2, answer(503, "busy")), function(session, log)
    local response = assert(session:get("/", { retries = QUICK }))
    assert.equal("at last", response.body)
    assert.equal(3, #log)
  end))

  test("give the last response when they are used up", with(after(9, answer(503, "busy")), function(session, log)
    local response = assert(session:get("/", { retries = { count = 2, backoff = 0.01 } }))
    assert.equal(503, response.status)
    assert.equal("busy", response.body)
    assert.equal(3, #log)
  end))

  test("are for failures of the network, too", with(after(2, false), function(session, log)
    assert.equal("at last", assert(session:get("/", { retries = QUICK })).body)
    assert.equal(3, #log)
    local response, err = session:get("http://127.0.0.1:1/", { retries = QUICK })
    assert.is_nil(response)
    assert.equal("COULDNT_CONNECT", err.code)
  end))

  test("are for idempotent methods only", with(function() return answer(503) end, function(session, log)
    for _, method in ipairs { "post", "patch" } do
      assert.equal(503, session[method](session, "/", { retries = QUICK, body = "x" }).status)
    end
    assert.equal(2, #log)
    for _, method in ipairs { "put", "delete", "head" } do session[method](session, "/", { retries = 1 }) end
    assert.equal(8, #log)
    session:post("/", { retries = { count = 1, backoff = 0.01, methods = { "POST" } } })
    assert.equal(10, #log)
  end))

  test("are for some statuses only", with(function() return answer(500) end, function(session, log)
    session:get("/", { retries = QUICK })
    assert.equal(1, #log)
    session:get("/", { retries = { count = 1, backoff = 0.01, statuses = { 500 } } })
    assert.equal(3, #log)
    session:get("/")
    session:get("/", { retries = false })
    session:get("/", { retries = 0 })
    assert.equal(6, #log)
  end))

  test("wait longer each time", with(function() return answer(503) end, function(session)
    local delays = {}
    session:get("/", { retries = { count = 4, backoff = 0.02 }, trace = function(event)
      if event.event == "retry" then delays[#delays + 1] = event.delay end
    end })
    assert.equal(4, #delays)
    for i, delay in ipairs(delays) do
      local most = 0.02 * 2 ^ (i - 1)
      assert.is_true(delay >= most / 2 and delay <= most, delay)
    end
  end))

  test("wait as long as Retry-After says", with(after(1, answer(429, "", { ["Retry-After"] = 1 })), function(session)
    local started = braid.now()
    assert.equal(200, assert(session:get("/", { retries = QUICK })).status)
    assert.is_true(braid.now() - started >= 1)
  end))

  test("do not wait beyond the timeout, or max_delay", with(function()
    return answer(503, "", { ["Retry-After"] = 100 })
  end, function(session, log)
    local started = braid.now()
    assert.equal(503, assert(session:get("/", { retries = true })).status) -- 100 is more than max_delay
    assert.equal(503, assert(session:get("/", { retries = { max_delay = 1000 }, timeout = 5 })).status)
    assert.is_true(braid.now() - started < 2 * helper.slowness)
    assert.equal(2, #log)
  end))

  test("count into the timeout", with(function() braid.sleep(60) end, function(session, log)
    local started = braid.now()
    local response, err = session:get("/", { retries = QUICK, timeout = 0.2 })
    assert.is_nil(response)
    assert.is_true(braid.is_error(err, "timeout"))
    assert.is_true(braid.now() - started < 2 * helper.slowness)
    assert.equal(1, #log)
  end))

  test("can be cancelled while they wait", with(function() return answer(503) end, function(session)
    local task = braid.spawn(session.get, session, "/", { retries = { backoff = 20 } })
    braid.sleep(0.05)
    task:cancel()
    assert.is_true(task:wait(2))
    assert.is_true(task:cancelled())
  end))

  test("may be a session's way", scripted.with(after(1, answer(502)), function(base, log)
    local session <close> = braid.http.session { retries = QUICK, base_url = base }
    assert.equal(200, assert(session:get("/")).status)
    assert.equal(2, #log)
  end))

  test("give a sink and a file one body only", with(function(_, stream, number)
    if number % 2 == 1 then return answer(503, "no") end
    stream:write(answer(200, "yes"))
  end, function(session, log)
    local pieces = {}
    local function sink(piece) pieces[#pieces + 1] = piece end
    local response = assert(session:get("/", { retries = QUICK, sink = sink }))
    assert.equal(200, response.status)
    assert.equal("yes", table.concat(pieces))
    local path = os.tmpname()
    assert(session:get("/", { retries = QUICK, file = path }))
    local file <close> = assert(io.open(path))
    assert.equal("yes", file:read("a"))
    os.remove(path)
    local streamed <close> = assert(session:get("/", { retries = QUICK, stream = true }))
    assert.equal("yes", streamed:read("a"))
    assert.equal(6, #log)
  end))

  test("do not begin again what a sink has seen", with(function(_, stream)
    stream:write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
    return false
  end, function(session, log)
    local response, err = session:get("/", { retries = QUICK, sink = function() end })
    assert.is_nil(response)
    assert.equal("PARTIAL_FILE", err.code)
    assert.equal(1, #log)
    assert.is_nil((session:get("/", { retries = QUICK }))) -- without a sink it may
    assert.equal(5, #log)
  end))

  test("are refused where they make no sense", function()
    finally(braid.http.close)
    misused("did you mean 'backoff'", braid.http.get, "http://x/", { retries = { backof = 1 } })
    misused("negative", braid.http.get, "http://x/", { retries = -1 })
    misused("'retries'", braid.http.get, "http://x/", { retries = "3" })
  end)
end)

describe("Retry-After", function()
  it("is seconds, or a date", function()
    assert.equal(120, retry.after("120"))
    assert.equal(10, retry.after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 10))
    assert.equal(0, retry.after("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(951782400, retry.after("Tue, 29 Feb 2000 00:00:00 GMT", 0))
    assert.is_nil(retry.after("soon"))
    assert.is_nil(retry.after("06 Foo 1994 08:49:37 GMT"))
    assert.is_nil(retry.after(nil))
  end)
end)

describe("a trace", function()
  test("tells of every attempt, with its times", with(after(1, answer(503)), function(session, _, base)
    local events = {}
    assert(session:get("/x", { retries = QUICK, trace = function(event) events[#events + 1] = event end }))
    local names = {}
    for i, event in ipairs(events) do names[i] = event.event .. event.attempt end
    assert.equal("request1 response1 retry1 request2 response2", table.concat(names, " "))
    local last = events[5]
    assert.equal("GET", last.method)
    assert.equal(base .. "/x", last.url)
    assert.equal(200, last.status)
    assert.is_true(last.timing.total >= last.timing.first_byte and last.timing.first_byte > 0)
  end))

  test("tells of failures", function()
    helper.run(function()
      local session <close> = braid.http.session { trace = function(event)
        if event.event == "failure" then error(event.error, 0) end -- what it raises is the caller's
      end }
      local ok, err = pcall(session.get, session, "http://127.0.0.1:1/")
      assert.is_false(ok)
      assert.equal("COULDNT_CONNECT", err.code)
    end)
  end)
end)
