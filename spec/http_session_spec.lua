-- SPDX-License-Identifier: MIT
-- Many requests of the HTTP client: sessions, cancels, sinks, crowds, and the end of the script.
local helper = require "spec.helper"
local server = require "spec.http_server"
local braid = require "braid"
local http = braid.http
local test, with_session, wait_for_open = helper.test, server.with_session, server.wait_for_open
local fails, facts, repeated, echo = server.fails, server.facts, server.repeated, server.echo

local base

lazy_setup(function()
  server.start()
  base = server.base
end)
lazy_teardown(server.stop)

describe("a session", function()
  test("keeps its connections for the next requests", with_session(function(session)
    local before = facts(session).accepted
    repeated(5, function() assert(session:get("/delay?ms=50")) end)
    local after = facts(session).accepted
    assert.is_true(after - before <= 5, after - before)
    repeated(5, function() assert(session:get("/delay?ms=50")) end)
    for _ = 1, 20 do assert(session:get("/ok")) end
    assert.equal(after, facts(session).accepted)
  end))

  test("opens no more connections than it may", with_session(function(session)
    local before = facts(session).accepted
    repeated(12, function() assert(session:get("/delay?ms=10")) end)
    assert.is_true(facts(session).accepted - before <= 1)
  end, { max_per_host = 2 }))

  test("bounds the connections to all hosts too", with_session(function(session)
    local before = facts(session).accepted
    repeated(12, function() assert(session:get("/delay?ms=10")) end)
    assert.is_true(facts(session).accepted - before <= 2)
  end, { max_connections = 3 }))

  test("keeps cookies; requests without a session do not", with_session(function(session)
    assert(session:get("/cookie"))
    assert.is_truthy(select(2, echo(session, "GET")):find("Cookie: flavour=plain", 1, true))
    assert(http.get(base .. "/cookie"))
    assert.is_nil(http.get(base .. "/echo").body:find("Cookie:", 1, true))
    http.close()
    local other <close> = http.session { base_url = base }
    assert.is_nil(select(2, echo(other, "GET")):find("Cookie:", 1, true))
  end))

  test("does not hide a deadlock by the connections it keeps", function()
    local ok, err = pcall(with_session(function(session)
      assert(session:get("/ok"))
      braid.event():wait()
    end))
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "deadlock"), tostring(err))
  end)

  test("joins its base_url with what is asked for", with_session(function(session)
    local below <close> = http.session { base_url = base .. "/echo" }
    assert.equal("GET /echo/x HTTP/1.1", below:get("x").body:match("^[^\r]+"))
    assert.equal("GET /echo/x HTTP/1.1", below:get("/x").body:match("^[^\r]+"))
    assert.equal("ok", assert(below:get(base .. "/ok")).body)
    assert.equal("ok", assert(session:get("ok")).body)
  end))

  test("fails with kind closed once it is closed", function()
    local session = http.session { base_url = base }
    assert(session:get("/ok"))
    session:close()
    session:close()
    fails("closed", session:get("/ok"))
    fails("closed", session:get("/ok", { sink = print }))
  end)

  test("that is closed ends what is under way", with_session(function(session)
    local plain = braid.spawn(function() fails("closed", session:get("/never")) end)
    local pouring = braid.spawn(function() fails("closed", session:get("/never", { sink = print })) end)
    braid.sleep(0.05)
    session:close()
    plain:result()
    pouring:result()
  end))

  test("that nobody holds any more closes its connections", function()
    local keeper <close> = http.session { base_url = base }
    local before = facts(keeper).open
    do
      local session = http.session { base_url = base }
      assert(session:get("/ok"))
    end
    collectgarbage()
    collectgarbage()
    wait_for_open(keeper, before)
  end)
end)

describe("cancellation", function()
  test("closes the connection and leaves the session usable", with_session(function(session)
    local before = facts(session).open
    assert.is_false(braid.move_on_after(0.05, session.get, session, "/never"))
    wait_for_open(session, before)
    local done, response, err = braid.move_on_after(0.05, session.get, session, "/endless")
    assert.is_false(done, tostring(response or err))
    wait_for_open(session, before)
    assert.equal("ok", assert(session:get("/ok")).body)
  end))

  test("works while the name is being asked for, and for those who wait for the same", with_session(function(session)
    for _ = 1, 20 do
      braid.move_on_after(0, function()
        braid.scope(function(scope)
          for _ = 1, 5 do scope:spawn(session.get, session, "http://nowhere.invalid/") end
        end)
      end)
    end
    assert.equal("ok", assert(session:get("/ok")).body)
  end))

  test("of one who asks for a name leaves the others their answer", with_session(function(session)
    local first = braid.spawn(session.get, session, "http://nowhere.invalid/")
    local second = braid.spawn(function() fails("http", session:get("http://nowhere.invalid/")) end)
    braid.sleep(0)
    first:cancel()
    second:result()
    first:wait()
  end))

  test("happens on time though the servers never pause", with_session(function(session)
    local started = braid.now()
    assert.is_false(braid.move_on_after(0.1, repeated, 8, function() session:get("/endless") end))
    local took = braid.now() - started
    assert.is_true(took < 1 * helper.slowness, took)
  end))

  test("of many at once", with_session(function(session)
    local before = facts(session).open
    assert.is_false(braid.move_on_after(0.1, repeated, 100, function() session:get("/never") end))
    wait_for_open(session, before)
  end))
end)

describe("a sink", function()
  test("gets all of the body, piece by piece", with_session(function(session)
    local pieces, size = 0, 0
    local response = assert(session:get("/big?bytes=3000000", { sink = function(piece)
      pieces, size = pieces + 1, size + #piece
    end }))
    assert.equal(200, response.status)
    assert.equal("3000000", response.headers["content-length"])
    assert.is_nil(response.body)
    assert.equal(3000000, size)
    assert.is_true(pieces > 1)
  end))

  test("makes the server wait while it is busy", with_session(function(session)
    local other <close> = http.session { base_url = base }
    local before, during = facts(other).sent, nil
    local size = 0
    assert(session:get("/big?bytes=200000000", { sink = function(piece)
      size = size + #piece
      if during then return end
      braid.sleep(0.3)
      during = facts(other).sent - before
    end }))
    assert.equal(200000000, size)
    assert.is_true(during < 50000000, during)
  end), { deadline = 30 })

  test("is called as the pieces come", with_session(function(session)
    local pieces = {}
    assert(session:get("/drip?count=3&ms=60", { sink = function(piece) pieces[#pieces + 1] = piece end }))
    assert.same({ "drip1", "drip2", "drip3" }, pieces)
  end))

  test("that raises ends the transfer", with_session(function(session)
    local before = facts(session).open
    local ok, err = pcall(session.get, session, "/endless", { sink = function() error("full", 0) end })
    assert.is_false(ok)
    assert.equal("full", err)
    wait_for_open(session, before)
  end))

  test("is subject to timeout, limit and cancel", with_session(function(session)
    local function nothing() end
    fails("timeout", session:get("/drip?count=50&ms=50", { sink = nothing, timeout = 0.2 }))
    fails("timeout", session:get("/endless", { sink = nothing, timeout = 0.2 }))
    fails("timeout", session:get("/never", { sink = nothing, timeout = 0.2 }))
    fails("limit", session:get("/endless", { sink = nothing, max_body = 1000000 }))
    fails("http", session:get("/short", { sink = nothing }))
    assert.is_false(braid.move_on_after(0.1, session.get, session, "/never", { sink = nothing }))
    assert.is_false(braid.move_on_after(0.1, session.get, session, "/endless", { sink = nothing }))
    assert.equal("ok", assert(session:get("/ok")).body)
  end))
end)

describe("many requests at once", function()
  test("a thousand, all answered", with_session(function(session)
    local answered = 0
    repeated(1000, function()
      assert.equal("ok", assert(session:get("/delay?ms=100")).body)
      answered = answered + 1
    end)
    assert.equal(1000, answered)
  end), { deadline = 30 })

  test("more than descriptors: raises the soft limit, and names the hard one when that is reached", function()
    local code = ([[
      local braid = require "braid"
      local failed, text = 0, nil
      braid.run(function()
        local session <close> = braid.http.session()
        local list = {}
        for i = 1, 120 do
          list[i] = function()
            local response, err = session:get("%s/delay?ms=300")
            if not response then failed, text = failed + 1, tostring(err) end
          end
        end
        braid.gather(list)
      end)
      print(failed, text)
    ]]):format(base)
    local function under(limits)
      local name = os.tmpname()
      local file = assert(io.open(name, "w"))
      file:write(code)
      file:close()
      local output = assert(io.popen(("%s; %s %s 2>&1"):format(limits, helper.lua, name)))
      local text = output:read("a")
      output:close()
      os.remove(name)
      return text
    end
    assert.is_truthy(under("ulimit -S -n 60"):find("^0%s"))
    local text = under("ulimit -n 60")
    assert.is_truthy(text:find("no file descriptor is left", 1, true), text)
    assert.is_truthy(text:find(" 60 ", 1, true), text)
  end, { deadline = 20 })
end)

describe("the end of a script", function()
  local function ends(code, expected)
    local stdout, stderr, status = helper.lua_process(([[
      local braid = require "braid"
      local base = %q
    ]]):format(base) .. code)
    assert.equal("", stderr)
    assert.equal(expected, stdout)
    assert.equal(0, status)
  end

  test("with connections that are kept", function()
    ends([[print(braid.http.get(base .. "/ok").body)]], "ok\n")
    ends([[session = braid.http.session{base_url = base} print(session:get("/ok").body)]], "ok\n")
  end)

  test("with requests under way", function()
    ends([[
      for _ = 1, 3 do braid.spawn(braid.http.get, base .. "/never") end
      braid.spawn(braid.http.get, base .. "/endless", { sink = function() braid.sleep(1) end })
      braid.spawn(braid.http.get, "http://nowhere.invalid/")
      braid.sleep(0.1)
      print("end")
    ]], "end\n")
    ends([[
      local session = braid.http.session{base_url = base}
      braid.spawn(session.get, session, "/never")
      braid.sleep(0.05)
      io.write("exit\n")
      os.exit(0, true)
    ]], "exit\n")
    ends([[
      braid.spawn(braid.http.get, base .. "/never")
      braid.sleep(0.05)
      io.write("exit\n")
      io.stdout:flush()
      os.exit(0)
    ]], "exit\n")
  end)

  test("whose output nobody reads is what it always was", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(([[
      local braid = require "braid"
      braid.http.get("%s/ok")
      for _ = 1, 1e9 do io.write("more and more of it\n") end
    ]]):format(base))
    file:close()
    local started = os.time()
    os.execute(("timeout 8 %s %s | head -n 1 >/dev/null"):format(helper.lua, name))
    os.remove(name)
    assert.is_true(os.time() - started < 7)
  end)
end)
