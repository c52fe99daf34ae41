-- SPDX-License-Identifier: MIT
-- The HTTP client where servers, names or files are not what one hopes for.
local helper = require "spec.helper"
local server = require "spec.http_server"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local test, fails, answer = helper.test, server.fails, scripted.answer

describe("a connection that ends before the answer", function()
  local function carried_out_and_lost(request)
    if request.target == "/lost" then return false end
    return answer(200, "ok")
  end

  for _, body in ipairs { "", "one piece" } do
    test("has sent a POST once, with a body of " .. #body, scripted.with(carried_out_and_lost, function(base, log)
      local session <close> = http.session { base_url = base }
      assert(session:get("/ok"))
      local err = fails("http", session:post("/lost", { body = body }))
      assert.equal("GOT_NOTHING", err.code)
      assert.is_truthy(err.message:find("whether the request was carried out is not known", 1, true))
      assert.equal(2, #log)
    end))
  end

  test("may have sent a GET twice", scripted.with(function(request, _, number)
    if number == 2 then return false end
    return answer(200, request.target)
  end, function(base, log)
    local session <close> = http.session { base_url = base }
    assert(session:get("/ok"))
    assert.equal("/again", assert(session:get("/again")).body)
    assert.equal(3, #log)
  end))

  test("does not stop a POST that a redirect sends on, or that is asked for a password",
    scripted.with(function(request, _, number)
      if number == 1 then return answer(307, "", { Location = "/next" }) end
      if number == 2 then
        return answer(401, "", { ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", qop="auth"' })
      end
      return answer(200, request.body)
    end, function(base, log)
      local session <close> = http.session {}
      local response = assert(session:post(base .. "/", { body = "text", auth = { digest = "user:word" } }))
      assert.equal("text", response.body)
      assert.is_true(#log >= 3)
    end))
end)

describe("a session's cookies", function()
  test("have their whole hosts, and say whether scripts may see them", scripted.with(function()
    return answer(200, "", { ["Set-Cookie"] = "a=1; HttpOnly" })
  end, function(base)
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      local session <close> = http.session {}
      assert(session:get((base:gsub("127%.0%.0%.1", host))))
      local cookie = session:cookies()[1]
      assert.equal(host, cookie.domain)
      assert.is_true(cookie.http_only)
    end
  end))
end)

describe("a part of a form", function()
  for what, path in pairs { folder = "/etc", device = "/dev/zero", ["missing file"] = "/nowhere/at/all" } do
    test("that is a " .. what .. " is refused", scripted.with(function()
      return answer(200, "ok")
    end, function(base, log)
      local session <close> = http.session {}
      assert(session:get(base))
      local err = fails("system", session:post(base, { multipart = { a = { path = path } } }))
      assert.is_truthy(err.message:find("cannot read " .. path, 1, true), err.message)
      assert.equal(1, #log)
    end))
  end

  test("that is a FIFO is refused, and holds nobody", scripted.with(function()
    return answer(200, "ok")
  end, function(base)
    local path = os.tmpname()
    os.execute("rm " .. path .. " && mkfifo " .. path)
    local session <close> = http.session {}
    fails("system", session:post(base, { multipart = { a = { path = path } } }))
    os.remove(path)
  end))
end)

describe("a request through a proxy", function()
  test("needs no address of its host: nobody's failed look-up is its own", scripted.with(function()
    return answer(200, "by proxy")
  end, function(base)
    local session <close> = http.session {}
    local results = braid.gather {
      function() return (session:get("http://service.invalid/")) or "failed" end,
      function() return assert(session:get("http://service.invalid/", { proxy = base })).body end,
    }
    assert.equal("failed", results[1])
    assert.equal("by proxy", results[2])
  end))
end)
