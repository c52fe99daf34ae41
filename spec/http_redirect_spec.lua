-- SPDX-License-Identifier: MIT
-- Redirects, and what goes along: cookies, user and password belong to an origin.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local server = require "spec.http_server"
local braid = require "braid"
local http = braid.http
local test, fails, answer = helper.test, server.fails, scripted.answer

-- What of the request belongs to its origin.
local function own(request)
  local headers = request.headers
  return (headers.cookie or "-") .. " " .. (headers.authorization and "user" or "-") .. " " .. (headers["x-app"] or "-")
end

-- A test with a server that has two names, and so two origins: fn(base, other, log). /away leads to /end of the other,
-- /out to /home there, and that back to /end; /here stays.
local function with_two(fn)
  local places
  local function handle(request)
    local there = request.headers.host:find("^localhost") ~= nil
    places.log[#places.log + 1] = (there and "other " or "") .. request.target .. " " .. own(request)
    assert(not there or not request.headers["proxy-authorization"])
    if request.target == "/here" then return answer(302, "elsewhere", { Location = "/end" }) end
    if request.target == "/away" then return answer(302, "elsewhere", { Location = places.other .. "/end" }) end
    if request.target == "/out" then return answer(302, "elsewhere", { Location = places.other .. "/home" }) end
    if request.target == "/home" then return answer(307, "", { Location = places.base .. "/end" }) end
    return answer(200, there and "other end" or "end")
  end
  return scripted.with(handle, function(base)
    places = { base = base, other = base:gsub("127%.0%.0%.1", "localhost"), log = {} }
    fn(base, places.other, places.log)
  end)
end

describe("what belongs to an origin", function()
  local mine = { cookies = { a = "1" }, auth = "user:word", headers = { ["X-App"] = "app" } }

  test("goes along to the same origin, and to no other", with_two(function(base, _, log)
    local session <close> = http.session {}
    assert.equal("end", assert(session:get(base .. "/here", mine)).body)
    assert.equal("other end", assert(session:get(base .. "/away", mine)).body)
    assert.same({
      "/here a=1 user app", "/end a=1 user app", "/away a=1 user app", "other /end - - app",
    }, log)
  end))

  test("is there again where a redirect leads back", with_two(function(base, _, log)
    local session <close> = http.session {}
    assert.equal("end", assert(session:get(base .. "/out", mine)).body)
    assert.same({ "/out a=1 user app", "other /home - - app", "/end a=1 user app" }, log)
  end))

  test("stays at home also as a header, a bearer or in the URL", with_two(function(base, _, log)
    local session <close> = http.session {}
    assert(session:get(base .. "/away", {
      headers = { Cookie = "b=2", Authorization = "Basic xyz", ["Proxy-Authorization"] = "Basic uvw" },
    }))
    assert(session:get(base .. "/away", { auth = { bearer = "token" } }))
    local response = assert(session:get((base:gsub("//", "//user:word@")) .. "/away"))
    assert.is_nil(response.url:find("word", 1, true))
    assert.is_nil(response.history[1].url:find("word", 1, true))
    assert.same({
      "/away b=2 user -", "other /end - - -", "/away - user -", "other /end - - -",
      "/away - user -", "other /end - - -",
    }, log)
  end))

  test("goes from a session to its base only", with_two(function(base, other, log)
    local session <close> = http.session {
      base_url = base, cookies = mine.cookies, auth = mine.auth, headers = mine.headers,
    }
    assert(session:get("/end"))
    assert(session:get(base .. "/end"))
    assert(session:get(other .. "/end"))
    assert(session:get(other .. "/end", { cookies = { c = "3" } }))
    assert.same({
      "/end a=1 user app", "/end a=1 user app", "other /end - - app", "other /end c=3 - app",
    }, log)
  end))
end)

describe("a redirect", function()
  local function to_end(request)
    local status = tonumber(request.target:match("^/(%d+)"))
    local content = (request.headers["content-type"] or "-") .. request.body
    if not status then return answer(200, request.method .. " " .. content) end
    return "HTTP/1.1 " .. status .. " Said\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"
  end

  test("is one of five statuses; the others are answers", scripted.with(to_end, function(base)
    local session <close> = http.session { base_url = base }
    for status, followed in pairs {
      [300] = false, [301] = true, [302] = true, [303] = true, [305] = false, [306] = false, [307] = true, [308] = true,
    } do
      local response = assert(session:get("/" .. status))
      assert.equal(followed and 200 or status, response.status)
      assert.equal(base .. (followed and "/end" or "/" .. status), response.url)
      assert.equal(followed and status or nil, response.history[1] and response.history[1].status)
    end
  end))

  test("makes a GET without content of a POST, or leaves it as it is", scripted.with(to_end, function(base)
    local session <close> = http.session { base_url = base }
    for status, expected in pairs {
      [301] = "GET -", [302] = "GET -", [303] = "GET -", [307] = "POST application/json[1]",
      [308] = "POST application/json[1]",
    } do
      assert.equal(expected, assert(session:post("/" .. status, { json = { 1 } })).body)
    end
    assert.equal("GET -", assert(session:put("/303", { body = "text" })).body)
    assert.equal("PUT -text", assert(session:put("/302", { body = "text" })).body)
    assert.equal(200, assert(session:head("/303")).status)
  end))

  test("has its place in the history and in the times", scripted.with(function(request)
    local n = tonumber(request.target:match("%d+"))
    braid.sleep(0.02)
    if n == 0 then return answer(200, request.target) end
    return answer(302, ("x"):rep(100), { Location = n - 1 .. "?q=\u{e4} b" })
  end, function(base)
    local session <close> = http.session { base_url = base, max_body = 150 }
    local response = assert(session:get("/a/3"))
    assert.equal("/A/0?Q=%C3%A4+B", response.body:upper())
    assert.equal(3, #response.history)
    assert.equal(base .. "/a/3", response.history[1].url)
    assert.equal("Said", response.history[1].reason)
    assert.is_true(response.timing.total >= 0.08, response.timing.total)
    assert.equal("TOO_MANY_REDIRECTS", fails("http", session:get("/a/3", { follow = 2 })).code)
    fails("timeout", session:get("/a/9", { timeout = 0.1 }))
    local streamed <close> = assert(session:get("/a/2", { stream = true }))
    assert.equal(2, #streamed.history)
    assert.is_truthy(streamed:read("a"):find("/a/0", 1, true))
  end))
end)
