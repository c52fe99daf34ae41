-- SPDX-License-Identifier: MIT
-- braid.redis with a real redis-server.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"
local braid = require "braid"
local redis = braid.redis
local run = helper.run

local there = redis_server.is_there()
local function test(name, fn, opts)
  if there then return helper.test(name, fn, opts) end
  pending(name .. " (no redis-server here)")
end
local with = redis_server.with

-- A test function: fn(client, options, server, path).
local function connected(fn, opts)
  return with(function(options, server, path)
    for name, value in pairs(opts or {}) do options[name] = value end
    local client <close> = assert(redis.connect(options))
    fn(client, options, server, path)
  end)
end

local function raises(kind, code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  if code then assert.equal(code, err.code) end
  return err
end

local soon = expect.eventually

describe("redis.connect", function()
  for _, protocol in ipairs { 2, 3 } do
    test("answers every kind of reply in RESP " .. protocol, connected(function(client)
      assert.equal("OK", client:set("key", "a\r\nb\0c"))
      assert.equal("a\r\nb\0c", client:get("key"))
      assert.is_nil(client:get("other"))
      assert.equal(1, client:incr("count"))
      assert.equal(2, client:rpush("list", "x", 2))
      assert.same({ "x", "2" }, client:lrange("list", 0, -1))
      assert.same({ "1", braid.null }, client:mget("count", "other"))
      client:hset("hash", "a", 1, "b", "")
      local hash = client:hgetall("hash")
      assert.equal(protocol == 3 and "1" or nil, hash.a)
      assert.equal(protocol == 2 and 4 or 0, #hash)
      assert.equal("3.5", client:call("incrbyfloat", "float", 3.5))
      assert.equal("PONG", client:ping())
      assert.equal(0, #client:lrange("nothing", 0, -1))
      client:zadd("z", 1.5, "m")
      assert.equal(protocol == 3 and 1.5 or "1.5", client:zscore("z", "m"))
      local large = ("x"):rep(5000000)
      client:set("large", large)
      assert.equal(large, client:get("large"))
    end, { protocol = protocol }))
  end

  test("raises what the server refuses", connected(function(client)
    client:set("key", "text")
    raises("redis", "WRONGTYPE", client.lpush, client, "key", 1)
    raises("redis", "ERR", client.nosuch, client)
    assert.equal("text", client:get("key"))
  end))

  test("refuses what is no word, and commands that change the connection", connected(function(client)
    assert.is_truthy(raises("misuse", nil, client.set, client, "key", nil).message:find("word 3", 1, true))
    raises("misuse", nil, client.set, client, "key", {})
    for _, word in ipairs { "SELECT", "MULTI", "subscribe", "quit", "HELLO", "monitor" } do
      raises("misuse", nil, client.call, client, word, 1)
    end
    raises("misuse", nil, client.client, client, "REPLY", "OFF")
    raises("misuse", nil, client.get, "not a client")
    raises("misuse", nil, client.call, client)
    assert.equal("PONG", client:ping())
  end))

  test("refuses options that it does not know", function()
    local err = raises("misuse", nil, redis.connect, { hots = "x" })
    assert.is_truthy(err.message:find("did you mean 'host'", 1, true))
    raises("misuse", nil, redis.connect, { protocol = 4 })
    raises("misuse", nil, redis.connect, { max = 4 })
    raises("misuse", nil, redis.connect, { unix = "/x", host = "y" })
    raises("misuse", nil, redis.connect, { username = "u" })
  end)

  test("returns nil and the error where nobody listens, or a password is wrong", with(function(options)
    local client, err = redis.connect { unix = options.unix .. ".none" }
    assert.is_nil(client)
    assert.equal("system", err.kind)
    client, err = redis.connect { unix = options.unix, password = "wrong", username = "nobody" }
    assert.is_nil(client)
    assert.equal("redis", err.kind)
    assert.equal("WRONGPASS", err.code)
  end))

  test("authenticates, selects and names", with(function(options)
    for _, protocol in ipairs { 2, 3 } do
      local client <close> = assert(redis.connect {
        unix = options.unix, password = "secret", database = 3, name = "mine", protocol = protocol,
      })
      local facts = client:client("INFO")
      assert.is_truthy(facts:find("name=mine", 1, true))
      assert.is_truthy(facts:find("db=3", 1, true))
    end
  end, { "--requirepass", "secret" }))

  test("works in a plain script, and in workers", with(function(options)
    local job = load [[
      local client <close> = require("braid").redis.connect(...)
      client:set("from", 1)
      return client:get("from")
    ]]
    for _, model in ipairs { "thread_pool", "process_pool" } do
      local pool <close> = braid[model](1)
      assert.equal("1", pool:submit(job, options):result())
    end
    local stdout, stderr = helper.lua_process([[
      local client <close> = assert(require("braid").redis.connect { unix = arg[1] })
      client:set("script", "yes")
      io.write(client:get("script"))
    ]], { args = { options.unix } })
    assert.equal("yes", stdout, stderr)
  end))
end)

describe("tasks that share a redis connection", function()
  test("are pipelined, and each gets its own replies", connected(function(client)
    local jobs = {}
    for i = 1, 64 do
      jobs[i] = function()
        for round = 1, 20 do
          client:set("k" .. i, i * round)
          assert.equal(tostring(i * round), client:get("k" .. i))
        end
      end
    end
    braid.gather(jobs)
    assert.equal(1, select(2, client:client("LIST"):gsub("\n", "")))
  end))

  test("keep their replies when others are cancelled", connected(function(client)
    client:set("n", 0)
    for round = 1, 50 do
      braid.scope(function(scope)
        local doomed = {}
        for i = 1, 10 do doomed[i] = scope:spawn(function() client:incr("n") end) end
        local good = scope:spawn(function() return client:echo("mine " .. round) end)
        if round % 2 == 0 then braid.checkpoint() end
        for _, task in ipairs(doomed) do task:cancel() end
        assert.equal("mine " .. round, good:result())
      end)
    end
    assert.equal("PONG", client:ping())
  end))

  test("end with kind closed when the server is killed; the next call connects again", connected(function(
    client, options, server, path)
    local waits = {}
    for i = 1, 5 do
      waits[i] = braid.spawn(function() return pcall(client.call, client, "DEBUG", "SLEEP", 10) end)
    end
    braid.sleep(0.05)
    server:kill("KILL")
    server:wait()
    for _, task in ipairs(waits) do
      local ok, err = task:result()
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "closed") or braid.is_error(err, "redis"), tostring(err))
    end
    raises("system", nil, client.ping, client)
    os.remove(path)
    local again <close> = redis_server.start(options.unix)
    assert.equal("PONG", client:ping())
    again:kill("KILL")
    again:wait()
    os.remove(path)
    local third <close> = redis_server.start(options.unix)
    assert.equal("PONG", client:ping()) -- without a failure: it sees that the idle connection was closed
    third:kill()
  end))

  test("wait no longer than they like for a server that is stopped", connected(function(client, _, server)
    server:kill("STOP")
    assert.is_false(braid.move_on_after(0.05, client.get, client, "k"))
    assert.is_false(braid.move_on_after(0.05, client.set, client, "k", ("x"):rep(5000000)))
    assert.is_false(braid.move_on_after(0.05, client.pipeline, client, function(p) p:get("k") end))
    server:kill("CONT")
    assert.equal("here", client:echo("here"))
    assert.equal(5000000, #client:get("k"))
  end))

  test("do not hide a deadlock", with(function(options)
    local _, stderr = helper.lua_process([[
      local braid = require "braid"
      local client = assert(braid.redis.connect { unix = arg[1] })
      client:ping()
      braid.event():wait()
    ]], { args = { options.unix }, timeout = 5 })
    assert.is_truthy(stderr:find("nothing is left that could wake", 1, true), stderr)
  end))

  test("find the client closed", connected(function(client)
    client:close()
    raises("closed", nil, client.ping, client)
    raises("closed", nil, client.blpop, client, "x", 0)
    raises("closed", nil, client.subscribe, client, "x")
  end))
end)

describe("redis over TLS", function()
  test("is the same, and checks the server's certificate", function()
    local pem = certificates.open()
    local port = redis_server.port()
    with(function()
      local place = { host = "localhost", port = port, tls = { ca_file = pem "ca.pem" } }
      local client <close> = assert(redis.connect(place))
      local large = ("x"):rep(300000)
      assert.equal("OK", client:set("large", large))
      local jobs = {}
      for i = 1, 20 do
        jobs[i] = function()
          for k = 1, 10 do assert.equal(tostring(i * k), client:echo(i * k)) end
          assert.equal(large, client:get("large"))
        end
      end
      braid.gather(jobs)
      assert.is_false(braid.move_on_after(0.05, client.blpop, client, "jobs", 0))
      local items <close> = client:subscribe("news")
      client:publish("news", "hello")
      assert.equal("hello", items().message)
      local refused, err = redis.connect { host = "localhost", port = port, tls = true }
      assert.is_nil(refused)
      assert.equal("tls", err.kind)
    end, {
      "--tls-port", port, "--tls-cert-file", pem "server.pem", "--tls-key-file", pem "server.key", "--tls-ca-cert-file",
      pem "ca.pem", "--tls-auth-clients", "no", "--bind", "127.0.0.1",
    })()
    certificates.close()
  end)
end)

describe("redis pools", function()
  test("open connections up to their maximum", with(function(options)
    local pool <close> = redis.pool { unix = options.unix, max = 3 }
    local jobs = {}
    for i = 1, 30 do jobs[i] = function() return pool:echo(i) end end
    for i, echo in ipairs(braid.gather(jobs)) do assert.equal(tostring(i), echo) end
    assert.is_true(select(2, pool:client("LIST"):gsub("\n", "")) <= 3)
    assert.same({ "OK", "1" }, pool:pipeline(function(p) p:set("a", 1):get("a") end))
  end))

  test("raise where nobody listens, once for all that wait", function()
    run(function()
      local pool <close> = redis.pool { unix = "/nowhere/at/all", max = 2 }
      local jobs = {}
      for i = 1, 8 do jobs[i] = function() raises("system", nil, pool.ping, pool) end end
      braid.gather(jobs)
    end)
  end)
end)

describe("blocking commands", function()
  test("do not hold up others", connected(function(client)
    local wait = braid.spawn(function() return client:blpop("jobs", 0) end)
    braid.sleep(0.02)
    assert.equal("PONG", client:ping())
    client:rpush("jobs", "first")
    assert.same({ "jobs", "first" }, wait:result())
    assert.is_nil(client:blpop("jobs", 0.01))
  end))

  test("that are cancelled lose no item and leave nobody waiting", connected(function(client)
    assert.is_false(braid.move_on_after(0.05, client.blpop, client, "jobs", 0))
    client:rpush("jobs", "kept")
    assert.equal("kept", client:lpop("jobs"))
    assert.is_nil(client:client("LIST"):find("flags=b", 1, true))
  end))

  test("lose no item when the cancel and the item meet", connected(function(client, options)
    local other <close> = assert(redis.connect(options))
    local sent, got = 200, 0
    for i = 1, sent do
      local waiter = braid.spawn(function()
        local item = client:blpop("race", 0)
        got = got + 1
        return item
      end)
      for _ = 1, i % 4 do braid.checkpoint() end
      if i % 3 == 0 then braid.sleep(0.0002) end
      local push = braid.spawn(function() other:rpush("race", i) end)
      if i % 2 == 0 then braid.checkpoint() end
      waiter:cancel()
      push:result()
      pcall(waiter.result, waiter)
    end
    assert.equal(sent, got + client:llen("race"))
    client:del("race")
  end))

  test("raise the cancel at the next wait when an item came", connected(function(client, options)
    local other <close> = assert(redis.connect(options))
    local seen, after = 0, 0
    for _ = 1, 50 do
      local waiter = braid.spawn(function()
        if client:blpop("race", 0) then seen = seen + 1 end
        braid.sleep(0)
        after = after + 1
      end)
      braid.sleep(0.001)
      other:rpush("race", 1)
      waiter:cancel()
      pcall(waiter.result, waiter)
    end
    assert.equal(50, seen + client:llen("race"))
    assert.is_true(after <= seen)
  end))
end)

describe("redis pipelines", function()
  test("return all replies, refusals as values", connected(function(client)
    local replies = client:pipeline(function(p)
      p:set("a", 1)
      p:get("none")
      p:lpush("a", 1)
      p:call("INCR", "a")
    end)
    assert.equal(4, #replies)
    assert.equal("OK", replies[1])
    assert.equal(braid.null, replies[2])
    assert.is_true(braid.is_error(replies[3], "redis"))
    assert.equal("WRONGTYPE", replies[3].code)
    assert.equal(2, replies[4])
    assert.same({}, client:pipeline(function() end))
  end))

  test("send nothing when their function fails, and refuse what may wait", connected(function(client)
    raises("misuse", nil, client.pipeline, client, function(p) p:blpop("x", 0) end)
    local ok, err = pcall(client.pipeline, client, function(p) p:set("a", 1) error("stop", 0) end)
    assert.is_false(ok)
    assert.equal("stop", err)
    assert.is_nil(client:get("a"))
  end))

  test("may be large", connected(function(client)
    local replies = client:pipeline(function(p)
      for i = 1, 100000 do p:set("k" .. i % 100, i) end
    end)
    assert.equal(100000, #replies)
    assert.equal("OK", replies[100000])
  end))
end)

describe("redis transactions", function()
  test("carry out all or nothing", connected(function(client)
    assert.same({ 1, 2 }, client:transaction(function(tx) tx:incr("a") tx:incr("a") end))
    raises("redis", "ERR", client.transaction, client, function(tx) tx:incr("a") tx:call("NOSUCH") end)
    assert.equal("2", client:get("a"))
    local ok = pcall(client.transaction, client, function(tx) tx:incr("a") error("no") end)
    assert.is_false(ok)
    assert.equal("2", client:get("a"))
  end))

  test("run again when a watched key has changed", connected(function(client)
    client:set("n", 0)
    local runs, jobs = 0, {}
    for i = 1, 4 do
      jobs[i] = function()
        return client:transaction(function(tx)
          runs = runs + 1
          local n = tx:get("n")
          tx:multi()
          tx:set("n", n + 1)
        end, { watch = { "n" } })
      end
    end
    braid.gather(jobs)
    assert.equal("4", client:get("n"))
    assert.is_true(runs >= 4)
    runs = 0
    raises("redis", "CONFLICT", client.transaction, client, function(tx)
      runs = runs + 1
      client:incr("n")
      tx:multi()
      tx:get("n")
    end, { watch = { "n" } })
    assert.equal(10, runs)
    assert.same({}, client:transaction(function(tx) tx:get("n") end, { watch = "n" }))
  end))

  test("leave a good connection when they are cancelled", connected(function(client)
    assert.is_false(braid.move_on_after(0.02, client.transaction, client, function(tx)
      tx:get("n")
      tx:multi()
      tx:set("n", "never")
      braid.sleep(5)
    end, { watch = { "n" } }))
    assert.is_nil(client:get("n"))
    assert.same({ "OK" }, client:transaction(function(tx) tx:set("n", 1) end))
  end))
end)

describe("redis scripts", function()
  test("are called with keys and arguments, also after the server forgot them", connected(function(client)
    local add = client:script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert.equal(5, add({ "n" }, { 5 }))
    client:call("SCRIPT", "FLUSH")
    assert.equal(7, add({ "n" }, { 2 }))
    local fails = client:script("return redis.error_reply('MINE it failed')")
    raises("redis", "MINE", fails)
    assert.same({ 1, braid.null }, client:script("return { 1, false, 3 }")() and
      { client:script("return { 1, false, 3 }")()[1], client:script("return { 1, false, 3 }")()[2] })
  end))
end)

describe("redis subscriptions", function()
  for _, protocol in ipairs { 2, 3 } do
    test("give the messages in order, in RESP " .. protocol, connected(function(client, options)
      local other <close> = assert(redis.connect { unix = options.unix })
      local both <close> = client:subscribe { "a", "b" }
      local pattern <close> = client:psubscribe("news.*")
      other:publish("a", "1")
      other:publish("b", "2")
      other:publish("news.x", "3")
      assert.same({ channel = "a", message = "1" }, both())
      assert.same({ channel = "b", message = "2" }, both())
      assert.same({ channel = "news.x", message = "3", pattern = "news.*" }, pattern())
      assert.is_false(braid.move_on_after(0.02, both))
      other:publish("a", "4")
      assert.equal("4", both().message)
      local reader = braid.spawn(function()
        local list = {}
        for item in both do list[#list + 1] = item.message end
        return list
      end)
      for i = 1, 100 do other:publish("b", i) end
      braid.sleep(0.05)
      both:close()
      assert.equal(100, #reader:result())
    end, { protocol = protocol }))
  end

  test("subscribe again when their connection was lost", connected(function(client, _, server, path)
    local items <close> = client:subscribe("a")
    local first = braid.spawn(items)
    braid.sleep(0.01)
    client:publish("a", "before")
    assert.equal("before", first:result().message)
    local second = braid.spawn(items)
    server:kill("KILL")
    server:wait()
    os.remove(path)
    local again <close> = redis_server.start(path)
    soon(function() return client:publish("a", "after") > 0 end)
    assert.equal("after", second:result().message)
    again:kill()
  end))

  test("refuse no channels", connected(function(client)
    raises("misuse", nil, client.subscribe, client, {})
    raises("misuse", nil, client.subscribe, client)
  end))
end)

describe("redis scan", function()
  test("goes over all keys", connected(function(client)
    client:pipeline(function(p) for i = 1, 2000 do p:set("key:" .. i, i) end p:set("other", 1) end)
    local seen, count = {}, 0
    for key in client:scan("key:*") do
      if not seen[key] then count = count + 1 end
      seen[key] = true
    end
    assert.equal(2000, count)
    count = 0
    for _ in client:scan() do count = count + 1 end
    assert.is_true(count >= 2001)
  end))
end)

-- ---- hostile servers ------------------------------------------------------------------------------------------------

describe("replies of a hostile server", function()
  -- A server that greets, and answers each further command with this.
  local function answering(answer, fn, opts)
    return function()
      run(function()
        local path = os.tmpname()
        os.remove(path)
        local listener <close> = assert(braid.net.listen { unix = path })
        local server = braid.spawn(function()
          for stream in listener do
            braid.spawn(function()
              local greeted
              while true do
                local data = stream:read_some()
                if not data then break end
                stream:write(greeted and answer or "%1\r\n$2\r\nid\r\n:1\r\n")
                greeted = true
              end
              stream:close()
            end)
          end
        end)
        local options = { unix = path }
        for name, value in pairs(opts or {}) do options[name] = value end
        local client <close> = assert(redis.connect(options))
        fn(client)
        client:close()
        listener:close()
        server:cancel()
      end)
    end
  end

  for name, bytes in pairs {
    ["an unknown type"] = "?1\r\n", ["a bad number"] = ":12x\r\n", ["a huge string"] = "$99999999999999\r\n",
    ["a huge list"] = "*2147483647000\r\n", ["a negative count"] = "*-5\r\n", ["no carriage return"] = "+OK\n",
    ["a string without an end"] = "$2\r\nabcd\r\n", ["an endless line"] = "+" .. ("x"):rep(70000),
    ["a reply too many"] = "+OK\r\n+OK\r\n", ["deep lists"] = ("*1\r\n"):rep(5000) .. ":1\r\n",
    ["a number that is too large"] = ":9223372036854775808\r\n", ["a bad boolean"] = "#x\r\n",
    ["a bad double"] = ",1x\r\n",
  } do
    helper.test("with " .. name .. " end the connection", answering(bytes, function(client)
      local ok, err = pcall(client.get, client, "k")
      if ok then ok, err = pcall(client.get, client, "k") end
      if name ~= "a reply too many" then
        assert.is_false(ok)
        assert.is_true(braid.is_error(err, "redis"), tostring(err))
        assert.equal("PROTOCOL", err.code)
      end
    end))
  end

  helper.test("that are larger than max_reply end the connection", answering("*3\r\n$400\r\n" .. ("x"):rep(400) ..
    "\r\n$400\r\n" .. ("x"):rep(400) .. "\r\n$400\r\n", function(client)
      raises("redis", "PROTOCOL", client.get, client, "k")
    end, { max_reply = 500 }))

  helper.test("of all types are understood", answering(
    "*9\r\n_\r\n#t\r\n#f\r\n,1.5\r\n,-inf\r\n(12345678901234567890\r\n=8\r\ntxt:text\r\n~1\r\n+x\r\n" ..
    "|1\r\n+a\r\n+b\r\n!5\r\nERR x\r\n", function(client)
      local list = client:get("k")
      assert.equal(braid.null, list[1])
      assert.is_true(list[2])
      assert.is_false(list[3])
      assert.equal(1.5, list[4])
      assert.equal(-math.huge, list[5])
      assert.equal("12345678901234567890", list[6])
      assert.equal("text", list[7])
      assert.same({ "x" }, list[8])
      assert.is_true(braid.is_error(list[9], "redis"))
    end))
end)

describe("redis streams", function()
  for _, protocol in ipairs { 2, 3 } do
    test("are read in order, from an id or from now, in RESP " .. protocol, connected(function(client)
      for i = 1, 250 do client:xadd("s", "*", "n", i, "x", "y" .. i) end
      local from <close> = client:stream("s", { from = "0" })
      for i = 1, 250 do
        local entry = from()
        assert.same({ tostring(i), "y" .. i, "s" }, { entry.fields.n, entry.fields.x, entry.stream })
        assert.same({ "n", tostring(i), "x", "y" .. i }, entry.list)
      end
      local new <close> = client:stream { "s", "other" }
      local got = {}
      local reader = braid.spawn(function() for _ = 1, 2 do got[#got + 1] = new().fields.n end end)
      client:xadd("other", "*", "n", 251)
      soon(function() return got[1] end)
      client:xadd("s", "*", "n", 252)
      reader:result()
      assert.same({ "251", "252" }, got)
    end, { protocol = protocol }))

    test("give a group's consumers what none has, and again what was not acknowledged, in RESP " .. protocol,
      connected(function(client)
        local opts = { group = "g", consumer = "a", create = true, ack = true, count = 2 }
        for i = 1, 5 do client:xadd("s", "*", "n", i) end
        local first <close> = client:stream("s", opts)
        assert.equal("1", first().fields.n)
        assert.equal("2", first().fields.n) -- acknowledges the first
        first:close()
        assert.is_nil(first())
        local again <close> = client:stream("s", opts)
        assert.equal("2", again().fields.n)
        assert.equal("3", again().fields.n)
        local other <close> = client:stream("s", { group = "g", consumer = "b" })
        local entry = other()
        assert.equal("5", entry.fields.n) -- `again` has read 3 and 4 ahead
        other:ack(entry)
        assert.equal("4", again().fields.n)
        again:ack(again._given)
        assert.equal(0, client:xpending("s", "g")[1])
      end, { protocol = protocol }))
  end

  test("lose nothing when the connection is lost, and end by a cancel", connected(function(client, _, server, path)
    client:xadd("s", "1-1", "n", 1)
    local items <close> = client:stream("s", { from = "0" })
    assert.equal("1-1", items().id)
    local got
    local reader = braid.spawn(function() got = items() end)
    braid.sleep(0.05)
    server:kill("KILL")
    server:wait()
    local anew <close> = redis_server.start(path)
    assert.is_truthy(anew)
    local other <close> = assert(redis.connect { unix = path })
    other:xadd("s", "1-2", "n", 2)
    reader:result()
    assert.equal("1-2", got.id)
    assert.is_false(braid.move_on_after(0.05, items))
    other:xadd("s", "1-3", "n", 3)
    assert.equal("1-3", items().id)
    client:close()
    raises("closed", nil, items)
  end))

  test("are refused with what was expected", connected(function(client)
    raises("misuse", nil, client.stream, client, {})
    raises("misuse", nil, client.stream, client, 5)
    assert.is_truthy(raises("misuse", nil, client.stream, client, "s", { ack = true }).message:find "'group'")
    raises("misuse", nil, client.stream, client, "s", { form = "0" })
    raises("redis", "NOGROUP", client:stream("s", { group = "none" }))
    raises("misuse", nil, function() client:stream("s"):ack({ id = "1-1", stream = "s" }) end)
  end))
end)
