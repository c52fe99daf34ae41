-- SPDX-License-Identifier: MIT
-- Server-sent events: how they are read, and how their stream is connected to again.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local event_parser = require "braid.http.event_parser"
local http = braid.http
local test, misused, answer = helper.test, expect.misused, scripted.answer

local function parsed(text, size)
  local parser, list = event_parser.new(1000, ""), {}
  for at = 1, #text, size or #text do
    local events, err = parser:read(text:sub(at, at + (size or #text) - 1))
    assert.is_nil(err)
    table.move(events, 1, #events, #list + 1, list)
  end
  return list, parser
end

describe("the text of events", function()
  test("is read as the standard says, in pieces of any size", function()
    local text = "\xEF\xBB\xBF: a comment\n\ndata: one\n\n" .. "event: add\rdata:two\rdata:  lines\rid: 7\r\r" ..
      "data\r\n\r\nevent: lost\r\n\r\nid: 8\n\nignored: x\nretry: 1500\nretry: x\nid: a\0b\ndata: a: b\n\ndata: half"
    local expected = {
      { event = "message", data = "one", id = "" }, { event = "add", data = "two\n lines", id = "7" },
      { event = "message", data = "", id = "7" }, { event = "message", data = "a: b", id = "8" },
    }
    for _, size in ipairs { #text, 1, 2, 3, 7 } do
      local list, parser = parsed(text, size)
      assert.same(expected, list)
      assert.equal(1.5, parser.retry)
    end
  end)

  test("has a limit for each event", function()
    for _, text in ipairs { ("x"):rep(200), ("data: x\n"):rep(200), "data: " .. ("x"):rep(200) .. "\n" } do
      local parser = event_parser.new(100, "")
      local err
      for at = 1, #text, 10 do
        local _, trouble = parser:read(text:sub(at, at + 9))
        err = err or trouble
      end
      assert.equal("limit", err.kind)
    end
    local parser = event_parser.new(100, "")
    for _ = 1, 100 do assert.is_nil(select(2, parser:read("data: some text\n\n"))) end
  end)
end)

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"

local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end

-- A test function: fn(session, log); each request gets the next of the answers.
local function with(answers, fn)
  return scripted.with(function(request, stream, number)
    local reply = answers[number] or answers[#answers]
    if type(reply) == "function" then return reply(request, stream) end
    return reply
  end, function(base, log)
    local session <close> = http.session { base_url = base }
    fn(session, log)
  end)
end

-- The data of the next n events.
local function take(events, n)
  local list = {}
  for i = 1, n do
    local event = events()
    list[i] = event and event.data
  end
  return list
end

local function ends_with(text)
  return function(_, stream)
    stream:write(HEAD .. chunk(text) .. "0\r\n\r\n")
    return false
  end
end

describe("a stream of events", function()
  test("goes on over connections, and says what it has got", with({
    ends_with("id: 1\nretry: 20\ndata: one\n\ndata: two\n\nid: 9\ndata: half"),
    function(_, stream)
      stream:write(HEAD .. chunk("id: 2\ndata: three\n\n"))
      return false
    end,
    answer(503, "busy"),
    ends_with("data: four\n\n"),
  }, function(session, log)
    local events <close> = session:events("/")
    assert.same({ "one", "two", "three", "four" }, take(events, 4))
    assert.equal("2", events.id)
    local ids = {}
    for i, request in ipairs(log) do ids[i] = request.headers["last-event-id"] or "none" end
    assert.same({ "none", "1", "2", "2" }, ids)
    assert.equal("text/event-stream", log[1].headers.accept)
  end))

  test("is closed by the end of its loop, and by close", with({ function(_, stream)
    stream:write(HEAD .. chunk("data: one\n\ndata: two\n\n"))
    stream:read("a")
    return false
  end }, function(session)
    local first
    for event in session:events("/") do
      first = first or event.data
      if event.data == "two" then break end
    end
    assert.equal("one", first)
    assert.equal(0, session:stats().open)
    local events = session:events("/", { last_event_id = "7" })
    assert.equal("7", events.id)
    assert.same({ "one", "two" }, take(events, 2))
    local waiting = braid.spawn(events)
    braid.sleep(0.02)
    events:close()
    assert.is_nil((waiting:result()))
    assert.is_nil(events())
    local seen = 0
    assert.is_false(braid.move_on_after(0.1, function()
      for _ in session:events("/") do seen = seen + 1 end
    end))
    assert.equal(2, seen)
    assert.equal(0, session:stats().open)
  end))

  test("raises what is no stream of events", with({
    answer(404, "none"), answer(200, "text", { ["Content-Type"] = "text/plain" }), answer(500, "first"),
  }, function(session)
    for _, status in ipairs { 404, 200, 500 } do
      local ok, err = pcall(session:events("/"))
      assert.is_false(ok)
      assert.same({ "http", status, "NOT_AN_EVENT_STREAM" }, { err.kind, err.status, err.code })
    end
    local ok, err = pcall(http.events("http://127.0.0.1:1/"))
    assert.is_false(ok)
    assert.equal("COULDNT_CONNECT", err.code)
    http.close()
  end))

  test("ends where the server or the caller wants no more", with({
    ends_with("retry: 1\ndata: one\n\n"), answer(204, ""), ends_with("data: a\n\ndata: b\n\n"),
    ends_with("data: posted\n\n"),
  }, function(session, log)
    local list = {}
    for event in session:events("/") do list[#list + 1] = event.data end
    for event in session:events("/", { reconnect = false }) do list[#list + 1] = event.data end
    for event in session:events("/", { method = "post", json = { 1 } }) do list[#list + 1] = event.data end
    assert.same({ "one", "a", "b", "posted" }, list)
    assert.equal("[1]", log[4].body)
  end))

  test("gives up after so many failures, and where an event is too large", with({
    ends_with("retry: 1\ndata: one\n\n"), answer(503, ""), answer(503, ""),
    ends_with("data: " .. ("x"):rep(100) .. "\n\n"),
  }, function(session, log)
    local events <close> = session:events("/", { reconnect = { tries = 2 } })
    assert.same({ "one" }, take(events, 1))
    local ok, err = pcall(events)
    assert.same({ false, 503 }, { ok, err.status })
    assert.is_nil(events())
    assert.equal(3, #log)
    ok, err = pcall(session:events("/", { max_event = 50 }))
    assert.same({ false, "limit" }, { ok, err.kind })
  end))

  test("waits no longer than it is told: for the answer, and for bytes", with({
    function() braid.sleep(5) end,
    function(_, stream)
      stream:write(HEAD .. chunk("retry: 1\ndata: one\n\n"))
      braid.sleep(5)
    end,
    ends_with("data: two\n\n"),
  }, function(session)
    local ok, err = pcall(session:events("/", { timeout = 0.1 }))
    assert.same({ false, "timeout" }, { ok, err.kind })
    local events <close> = session:events("/", { timeouts = { read = 0.1 } })
    assert.same({ "one", "two" }, take(events, 2))
  end))

  test("refuses what makes no sense", with({ answer(204, "") }, function(session)
    misused("'stream'", session.events, session, "/", { stream = true })
    misused("max_event", session.events, session, "/", { max_event = 0 })
    misused("reconnect", session.events, session, "/", { reconnect = { delay = -1 } })
    misused("did you mean 'tries'", session.events, session, "/", { reconnect = { trie = 1 } })
    misused("last_event_id", session.events, session, "/", { last_event_id = "a\nb" })
    misused("a table expected", session.events, session, "/", 5)
    misused("did you mean 'headers'", session:events("/", { header = {} }))
  end))

  test("is read from braid's own server", function()
    local app = braid.web.app()
    app:get("/events", function()
      return braid.web.events(function(send)
        for i = 1, 3 do send({ data = "line\n" .. i, id = tostring(i) }) end
      end)
    end)
    braid.run(function()
      local server = assert(app:start { port = 0, access_log = false })
      local url, list = ("http://127.0.0.1:%d/events"):format(server.port), {}
      for event in http.events(url, { reconnect = false }) do list[#list + 1] = event.data end
      assert.same({ "line\n1", "line\n2", "line\n3" }, list)
      http.close()
      server:stop()
    end)
  end)
end)
