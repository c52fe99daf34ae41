-- SPDX-License-Identifier: MIT
-- Options of the HTTP client in their newer forms, and what a response tells of its way.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local server = require "spec.http_server"
local braid = require "braid"
local http = braid.http
local misused = require "spec.expect".misused
local test, fails, answer = helper.test, server.fails, scripted.answer

local function session_of(opts) return http.session(opts or {}) end

describe("retry", function()
  local function busy_twice(request, _, number)
    return answer(number < 3 and 418 or 200, request.method)
  end

  test("counts all tries, and says which statuses", scripted.with(busy_twice, function(base, log)
    local session <close> = session_of()
    assert.equal(418, assert(session:get(base, { retry = { tries = 2, backoff = 0.001, on = { 418 } } })).status)
    assert.equal(2, #log)
    assert.equal(200, assert(session:get(base, { retry = { tries = 2, on = { 418 } } })).status)
  end))

  test("asks a function, and repeats methods that it names", scripted.with(busy_twice, function(base)
    local session <close> = session_of()
    local seen = {}
    local function on(response, err, try)
      seen[try] = response and response.status or err.code
      return response and response.status == 418
    end
    local opts = { retry = { tries = 5, backoff = 0.001, on = on, methods = { "POST" } } }
    assert.equal(200, assert(session:post(base, opts)).status)
    assert.same({ 418, 418, 200 }, seen)
    misused("'retries'", session.get, session, base, { retry = {}, retries = 1 })
    misused("tries", session.get, session, base, { retry = { tries = 0 } })
  end))

  test("takes codes of errors", scripted.with(function(_, _, number) return number > 1 and answer(200, "ok") end,
    function(base)
      local session <close> = session_of()
      assert(session:get(base, { retry = { backoff = 0.001, on = { "GOT_NOTHING" } } }))
      local refused = "http://127.0.0.1:1/"
      local start = braid.now()
      fails("http", session:get(refused, { retry = { backoff = 5, on = { "GOT_NOTHING" } } }))
      assert.is_true(braid.now() - start < 4)
    end))
end)

describe("timeouts", function()
  test("are in one table", scripted.with(function() braid.sleep(5) end, function(base)
    local session <close> = session_of()
    fails("timeout", session:get(base, { timeouts = { total = 0.05 } }))
    fails("timeout", session:get(base, { timeouts = { connect = 1, read = 0.5, total = math.huge } }))
    misused("'timeout'", session.get, session, base, { timeouts = { total = 1 }, timeout = 1 })
    misused("connect_timeout", session.get, session, base, { timeouts = { connect = -1 } })
  end))
end)

describe("the way of a request", function()
  local function tells(request, stream)
    return answer(200, request.headers.host .. " " .. (request.headers.authorization or "nobody")), stream
  end

  test("is said by resolve, and forgotten after it", scripted.with(tells, function(base)
    local session <close> = session_of()
    local port = base:match("%d+$")
    local url = "http://service.invalid:" .. port .. "/"
    local response = assert(session:get(url, { resolve = { ["service.invalid:" .. port] = "127.0.0.1" } }))
    assert.equal("service.invalid:" .. port .. " nobody", response.body)
    assert.same({ address = "127.0.0.1", port = tonumber(port) }, response.remote)
    fails("http", session:get(url))
    misused("'resolve'", session.get, session, url, { resolve = { ["service.invalid"] = "127.0.0.1" } })
  end))

  test("begins at local_address", scripted.with(tells, function(base)
    local session <close> = session_of()
    assert(session:get(base, { local_address = "127.0.0.1" }))
    fails("http", session:get(base, { local_address = "192.0.2.1" }))
  end))

  test("has the user of a netrc file, for its host only", scripted.with(tells, function(base)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("machine 127.0.0.1 login ada password word\n")
    file:close()
    local session <close> = session_of { netrc = path }
    assert.is_truthy(assert(session:get(base)).body:find("Basic ", 1, true))
    assert.is_truthy(assert(session:get((base:gsub("127%.0%.0%.1", "localhost")))).body:find("nobody", 1, true))
    assert.is_truthy(assert(session:get(base, { netrc = false })).body:find("nobody", 1, true))
    os.remove(path)
  end))
end)

describe("the links of a response", function()
  test("have their URLs and parameters", scripted.with(function()
    return answer(200, "", {
      Link = [[</p?a=1,2>; rel="next"; title="a \"b\", c", <http://h/>;REL=last;x , </third>]],
    })
  end, function(base)
    local session <close> = session_of()
    assert.same({
      { url = "/p?a=1,2", rel = "next", title = 'a "b", c' }, { url = "http://h/", rel = "last", x = "" },
      { url = "/third" },
    }, assert(session:get(base)):links())
  end))
end)
