-- SPDX-License-Identifier: MIT
-- The option cache: RFC 9111, for one user.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local freshness = require "braid.http.freshness"
local http = braid.http
local test, answer = helper.test, scripted.answer

-- A test function: fn(session, state, log, folder); the server answers with state.headers and state.body, and 304 to
-- state.headers.ETag or Last-Modified.
local function with(fn)
  return function()
    local made <close> = assert(braid.file.temporary { folder = true })
    local state = { headers = {}, body = "one", status = 200 }
    scripted.with(function(request)
      if state.broken then return false end
      if request.target == "/moved" then
        return answer(301, "", { Location = "/", ["Cache-Control"] = "max-age=60" })
      end
      local tag, time = request.headers["if-none-match"], request.headers["if-modified-since"]
      local same = tag and tag == state.headers.ETag or not tag and time and time == state.headers["Last-Modified"]
      if same then return answer(304, "", state.headers) end
      return answer(state.status, state.body, state.headers)
    end, function(base, log)
      local session <close> = http.session { base_url = base, cache = made.path .. "/kept", timeout = 5 }
      fn(session, state, log, made.path .. "/kept")
    end)()
  end
end

local function set(state, headers, body)
  state.headers, state.body = headers, body or state.body
end

local function get(session, path, opts)
  local response = assert(session:get(path, opts))
  return response.body, response.cached, response
end

describe("a cache", function()
  test("answers while what it has is fresh", with(function(session, state, log)
    set(state, { ["Cache-Control"] = "max-age=60", ["X-Own"] = "yes" })
    assert.same({ "one" }, { get(session, "/") , nil })
    local body, cached, response = get(session, "/")
    assert.same({ "one", "fresh", 200, "yes", "0" },
      { body, cached, response.status, response.headers["x-own"], response.headers.age })
    assert.equal(1, #log)
    assert.equal("one", (get(session, "/?other")))
    assert.equal(2, #log)
    assert.equal("1.1", response.http_version)
  end))

  test("asks whether what it has is still right, by tag and by time", with(function(session, state, log)
    set(state, { ETag = '"a"', ["X-Own"] = "first" })
    get(session, "/")
    state.headers["X-Own"] = "second"
    local body, cached, response = get(session, "/")
    assert.same({ "one", "revalidated", 200, "second" }, { body, cached, response.status, response.headers["x-own"] })
    assert.equal('"a"', log[2].headers["if-none-match"])
    set(state, { ETag = '"b"' }, "two")
    assert.same({ "two" }, { get(session, "/"), nil })
    assert.same("two", (get(session, "/")))
    assert.equal('"b"', log[4].headers["if-none-match"])
    set(state, { ["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT", ["Cache-Control"] = "max-age=0" }, "three")
    get(session, "/time")
    assert.equal("revalidated", select(2, get(session, "/time")))
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", log[#log].headers["if-modified-since"])
  end))

  test("grows old, and is renewed", with(function(session, state, log)
    set(state, { ["Cache-Control"] = "max-age=1", ETag = '"a"' })
    get(session, "/")
    assert.equal("fresh", select(2, get(session, "/")))
    braid.sleep(1.05)
    assert.equal("revalidated", select(2, get(session, "/")))
    assert.equal("fresh", select(2, get(session, "/")))
    assert.equal(2, #log)
    set(state, { ["Cache-Control"] = "max-age=60", Age = "59" })
    get(session, "/aged")
    assert.equal("fresh", select(2, get(session, "/aged")))
    braid.sleep(1.05)
    assert.is_nil(select(2, get(session, "/aged")))
  end))

  test("keeps nothing that must not be kept, or is of no use", with(function(session, state, log)
    for i, headers in ipairs {
      { ["Cache-Control"] = "no-store, max-age=60" }, { Vary = "*", ETag = '"a"' }, { Vary = "Cookie", ETag = '"a"' },
      {}, { Expires = "0" }, { ["Cache-Control"] = 'max-age="x"' },
    } do
      set(state, headers)
      get(session, "/" .. i)
      assert.is_nil(select(2, get(session, "/" .. i)))
    end
    set(state, { ["Cache-Control"] = "max-age=60" })
    get(session, "/mine", { headers = { ["Cache-Control"] = "no-store" } })
    assert.is_nil(select(2, get(session, "/mine")))
    assert.equal("fresh", select(2, get(session, "/mine")))
    state.status = 500
    get(session, "/failure")
    local before = #log
    get(session, "/failure")
    assert.is_true(#log == before or #log == before + 1)
    assert(session:get("/part", { headers = { Range = "bytes=0-0" } }))
    assert.is_nil(select(2, get(session, "/part")))
  end))

  test("does as the request says", with(function(session, state, log)
    set(state, { ["Cache-Control"] = "max-age=60", ETag = '"a"' })
    local function asked(control)
      local response, err = session:get("/", { headers = { ["Cache-Control"] = control } })
      return response and (response.cached or "server") or err.code
    end
    assert.equal("NOT_CACHED", asked "only-if-cached")
    assert.equal("server", asked(""))
    assert.equal("fresh", asked "only-if-cached")
    assert.equal("revalidated", asked "no-cache")
    assert.equal("revalidated", asked "max-age=0")
    assert.equal("revalidated", asked "min-fresh=100")
    assert.equal("fresh", asked "min-fresh=10")
    set(state, { ["Cache-Control"] = "max-age=0", ETag = '"b"' })
    asked "no-cache"
    assert.equal("fresh", asked "max-stale")
    assert.equal("fresh", asked "max-stale=10")
    set(state, { ["Cache-Control"] = "max-age=0, must-revalidate", ETag = '"c"' })
    asked "no-cache"
    assert.equal("revalidated", asked "max-stale")
    assert.is_nil(select(2, get(session, "/", { headers = { ["If-None-Match"] = '"x"' } })))
    assert.is_true(#log > 5)
  end))

  test("tells variants and users apart", with(function(session, state, log)
    set(state, { ["Cache-Control"] = "max-age=60", Vary = "Accept-Language, X-Kind" }, "de")
    local german, english = { headers = { ["Accept-Language"] = "de" } }, { headers = { ["Accept-Language"] = "en" } }
    get(session, "/", german)
    set(state, state.headers, "en")
    assert.equal("en", (get(session, "/", english)))
    assert.same({ "de", "fresh" }, { get(session, "/", german) , "fresh" })
    assert.equal("en", (get(session, "/", english)))
    assert.equal(2, #log)
    set(state, { ["Cache-Control"] = "max-age=60" }, "a's")
    assert.equal("a's", (get(session, "/user", { auth = "a:1" })))
    set(state, state.headers, "b's")
    assert.equal("b's", (get(session, "/user", { auth = "b:1" })))
    assert.equal("b's", (get(session, "/user", { auth = { bearer = "x" } })))
    assert.equal("a's", (get(session, "/user", { auth = "a:1" })))
    assert.equal(5, #log)
  end))

  test("forgets what was changed", with(function(session, state)
    set(state, { ["Cache-Control"] = "max-age=60" })
    get(session, "/")
    assert.equal("fresh", select(2, get(session, "/")))
    assert(session:put("/", { body = "new" }))
    assert.is_nil(select(2, get(session, "/")))
    state.status = 404
    assert(session:delete("/"))
    state.status = 200
    assert.equal("fresh", select(2, get(session, "/")))
    state.headers.Location = "/"
    assert(session:post("/elsewhere"))
    assert.is_nil(select(2, get(session, "/")))
  end))

  test("keeps redirects", with(function(session, state, log)
    set(state, { ["Cache-Control"] = "max-age=60" })
    assert.equal("one", (get(session, "/moved")))
    local _, cached, response = get(session, "/moved")
    assert.equal("fresh", cached)
    assert.equal("fresh", response.history[1].cached)
    assert.equal(2, #log)
  end))

  test("gives to sinks, files and readers as the server does", with(function(session, state, log, folder)
    set(state, { ["Cache-Control"] = "max-age=60" }, ("body"):rep(1000))
    get(session, "/")
    local pieces = {}
    local response = assert(session:get("/", { sink = function(piece) pieces[#pieces + 1] = piece end }))
    assert.equal(state.body, table.concat(pieces))
    assert.same({ "fresh" }, { response.cached, response.body })
    local path = folder .. "/copy"
    assert.equal(path, assert(session:get("/", { file = path })).file)
    assert.equal(state.body, braid.file.read(path))
    local stream <close> = assert(session:get("/", { stream = true }))
    assert.equal("body", stream:read(4))
    assert.equal(state.body:sub(5), stream:read("a"))
    assert.equal("fresh", assert(session:get("/", { progress = function() end })).cached)
    assert.equal(1, #log)
  end))

  test("helps out when the server fails, where that is allowed", with(function(session, state)
    set(state, { ["Cache-Control"] = "max-age=0, stale-if-error=60", ETag = '"a"' })
    get(session, "/")
    state.broken = true
    assert.same({ "one", "stale" }, { get(session, "/"), "stale" })
    state.broken = nil
    set(state, { ["Cache-Control"] = "max-age=0", ETag = '"a"' })
    get(session, "/strict")
    state.broken = true
    local response, err = session:get("/strict")
    assert.is_nil(response)
    assert.equal("http", err.kind)
  end))

  test("takes half a file, a foreign one and none for nothing", with(function(session, state, _, folder)
    set(state, { ["Cache-Control"] = "max-age=60" })
    get(session, "/")
    local kept
    for path, kind in braid.file.walk(folder) do
      if kind == "file" and not path:find("vary$") then kept = path end
    end
    local data = braid.file.read(kept)
    for _, other in ipairs { "", data:sub(1, -2), data .. "x", "not ours", data:sub(1, 40), ("\xff"):rep(100) } do
      assert(braid.file.write(kept, other))
      assert.is_nil(select(2, get(session, "/")))
      assert.equal("fresh", select(2, get(session, "/")))
    end
    assert.equal(384, braid.file.stat(kept).mode)
    assert(braid.file.remove(folder, { recursive = true }))
    assert.is_nil(select(2, get(session, "/")))
    assert.equal("fresh", select(2, get(session, "/")))
  end))

  test("is a folder, or an error", with(function(session)
    local response, err = session:get("/", { cache = "/dev/null/kept" })
    assert.is_nil(response)
    assert.equal("system", err.kind)
    require "spec.expect".misused("cache", session.get, session, "/", { cache = "" })
    assert.is_nil(select(2, get(session, "/", { cache = false })))
  end))
end)

describe("freshness", function()
  test("reads what servers write", function()
    assert.same({ ["max-age"] = "5", private = "set-cookie, x", ["no-cache"] = true, x = "" },
      freshness.directives(' Max-Age=5,private="set-cookie, x" ,, No-Cache, x='))
    local now = 784111777
    local function lifetime(headers) return freshness.lifetime(200, headers, now) end
    local date = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert.equal(10, lifetime { date = date, expires = "Sun, 06 Nov 1994 08:49:47 GMT" })
    assert.equal(10, lifetime { date = date, expires = "Sunday, 06-Nov-94 08:49:47 GMT" })
    assert.equal(10, lifetime { date = date, expires = "Sun Nov  6 08:49:47 1994" })
    assert.equal(0, lifetime { date = date, expires = "-1" })
    assert.equal(360, lifetime { date = date, ["last-modified"] = "Sun, 06 Nov 1994 07:49:37 GMT" })
    assert.equal(86400, lifetime { date = date, ["last-modified"] = "Sun, 06 Nov 1983 07:49:37 GMT" })
    assert.equal(7, freshness.age({ age = "5" }, now - 2, now, now))
    assert.equal(15, freshness.age({ date = date }, now + 9, now + 10, now + 15))
  end)
end)
