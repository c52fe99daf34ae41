-- SPDX-License-Identifier: MIT
-- LuaSocket's interface over braid: the same results as LuaSocket itself, and unchanged libraries that suspend.
local helper = require "spec.helper"
local braid = require "braid"
local luasocket = require "braid.luasocket"
local scripted_server = require "spec.scripted_server"

local test, run = helper.test, helper.run

-- Runs fn while the modules are installed.
local function installed(fn, ...)
  luasocket.install()
  local results = table.pack(pcall(fn, ...))
  luasocket.uninstall()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

-- Runs the function in 50 tasks at once and returns the seconds that all of them took.
local function fifty(fn)
  local tasks, before = {}, braid.now()
  for i = 1, 50 do tasks[i] = function() return fn(i) end end
  braid.gather(tasks)
  return braid.now() - before
end

-- Serves each connection of a listener by fn(stream) in a task of its own, while `body(port)` runs.
local function with_server(fn, body)
  run(function()
    local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
    braid.scope(function(scope)
      scope:spawn(function()
        for stream in listener do
          scope:spawn(function()
            local open <close> = stream
            fn(open)
          end)
        end
      end)
      body(listener.port)
      scope:cancel()
    end)
  end)
end

describe("braid.luasocket", function()
  test("gives what LuaSocket gives on the same calls", function()
    local function say(which)
      local ran = assert(braid.process.run({ helper.lua, "spec/luasocket_calls.lua", which }, { timeout = 20 }))
      assert.equal(0, ran.code, ran.stderr)
      return ran.stdout
    end
    assert.equal(say "luasocket", say "braid")
  end, { deadline = 30 })

  test("is undone by uninstall", function()
    local before = package.loaded["socket"]
    local own = require "socket"
    local replaced = luasocket.install()
    assert.equal(own, replaced.socket)
    assert.not_equal(own, require "socket")
    assert.equal(require "socket", require "socket.core")
    luasocket.install()
    luasocket.uninstall()
    assert.equal(own, require "socket")
    package.loaded["socket"] = before
  end)

  test("lets 50 tasks wait at the same time", function()
    with_server(function(stream)
      for line in stream:lines() do
        braid.sleep(0.1)
        assert(stream:write(line .. "\n"))
      end
    end, function(port)
      local socket = installed(require, "socket")
      local seconds = fifty(function(i)
        local client = assert(socket.connect("127.0.0.1", port))
        assert.equal(#"hello 10" - (i < 10 and 1 or 0) + 1.0, client:send(("hello %d\n"):format(i)))
        assert.equal("hello " .. i, client:receive())
        client:close()
      end)
      assert.is_true(seconds < 1 * helper.slowness, "it took " .. seconds)
    end)
  end)

  test("loses nothing when a receive is cancelled or times out", function()
    with_server(function(stream)
      assert(stream:write "first ha")
      stream:read "l"
      assert(stream:write "lf\nsecond\n")
      stream:read "l"
    end, function(port)
      local socket = installed(require, "socket")
      local client = assert(socket.connect("127.0.0.1", port))
      local task = braid.spawn(client.receive, client)
      braid.sleep(0.02)
      task:cancel()
      assert.is_true(task:wait(1))
      client:send "\n"
      assert.equal("first half", client:receive())
      client:settimeout(0.02)
      assert.equal("second", client:receive(6))
      assert.same({ nil, "timeout", "\n" }, { client:receive(2) })
      client:close()
      local waits = assert(socket.connect("127.0.0.1", port))
      waits:receive(8)
      local closing = braid.spawn(waits.receive, waits)
      braid.sleep(0.02)
      waits:close()
      assert.same({ nil, "closed", "" }, { closing:result(1) })
    end)
  end)

  test("selects while other tasks go on", function()
    with_server(function(stream)
      braid.sleep(tonumber(stream:read "l"))
      stream:write "now\n"
      stream:read "l"
    end, function(port)
      local socket = installed(require, "socket")
      local seconds = fifty(function(i)
        local slow, quick = assert(socket.connect("127.0.0.1", port)), assert(socket.connect("127.0.0.1", port))
        slow:send "5\n"
        quick:send(("%g\n"):format(0.05 + i / 1000))
        local readable = socket.select({ slow, quick }, nil, 4)
        assert.equal(quick, readable[1])
        assert.is_nil(readable[2])
        slow:close()
        quick:close()
      end)
      assert.is_true(seconds < 2 * helper.slowness, "it took " .. seconds)
      local client = assert(socket.connect("127.0.0.1", port))
      local task = braid.spawn(socket.select, { client }, nil)
      braid.sleep(0.01)
      task:cancel()
      assert.is_true(task:wait(1))
      client:close()
    end)
  end)

  test("works in workers, and cannot be sent to them", function()
    with_server(function(stream) stream:write((stream:read "l" or "") .. "\n") end, function(port)
      local pool <close> = braid.thread_pool(1)
      local function job(to)
        require("braid.luasocket").install()
        local client = require("socket").connect("127.0.0.1", to)
        client:send "from a thread\n"
        return client:receive()
      end
      assert.equal("from a thread", pool:submit(job, port):result(5))
      local client = installed(require, "socket").connect("127.0.0.1", port)
      assert.error_matches(function() pool:submit(print, client) end, "a socket cannot be sent")
      client:close()
    end)
  end)
end)

describe("unchanged libraries", function()
  test("socket.http", scripted_server.with(function(request)
    if request.target == "/moved" then
      return scripted_server.answer(302, "", { Location = "/slow" })
    end
    braid.sleep(0.1)
    return scripted_server.answer(200, request.method .. " " .. request.body .. (request.headers["x-mine"] or ""))
  end, function(base)
    local http, ltn12 = installed(function() return require "socket.http", require "ltn12" end)
    local seconds = fifty(function(i)
      local body, status = http.request(base .. "/slow")
      assert.same({ "GET ", 200 }, { body, status })
      local parts = {}
      local ok, code = http.request {
        url = base .. "/slow", method = "POST", sink = ltn12.sink.table(parts),
        source = ltn12.source.string("body " .. i),
        headers = { ["content-length"] = #("body " .. i), ["x-mine"] = "!" },
      }
      assert.same({ 1, 200, ("POST body %d!"):format(i) }, { ok, code, table.concat(parts) })
      assert.equal("GET ", (http.request(base .. "/moved")))
    end)
    assert.is_true(seconds < 3 * helper.slowness, "it took " .. seconds)
    assert.same({ nil, "connection refused" }, { http.request "http://127.0.0.1:1/" })
  end))

  -- Speaks SMTP, and keeps the mails.
  local function mail_server(mails)
    return function(stream)
      assert(stream:write "220 spec ESMTP\r\n")
      for line in stream:lines() do
        local word = line:upper():match "^%a+"
        if word == "DATA" then
          stream:write "354 go on\r\n"
          local mail = stream:read_until "\r\n.\r\n"
          mails[#mails + 1] = mail
          braid.sleep(0.05)
          stream:write "250 kept\r\n"
        elseif word == "QUIT" then
          stream:write "221 bye\r\n"
          return
        else
          stream:write(word == "EHLO" and "250-spec\r\n250 8BITMIME\r\n" or "250 fine\r\n")
        end
      end
    end
  end

  test("socket.smtp", function()
    local mails = {}
    with_server(mail_server(mails), function(port)
      local smtp = installed(require, "socket.smtp")
      local seconds = fifty(function(i)
        assert.equal(1, smtp.send {
          from = "<a@spec>", rcpt = { "<b@spec>", "<c@spec>" }, server = "127.0.0.1", port = port,
          source = smtp.message { headers = { subject = "mail " .. i }, body = "line one\r\n.\r\nline three" },
        })
      end)
      assert.is_true(seconds < 2 * helper.slowness, "it took " .. seconds)
    end)
    assert.equal(50, #mails)
    assert.matches("\nSubject: mail %d+\r\n", "\n" .. mails[1])
    assert.matches("\r\n\r\nline one\r\n%.%.\r\nline three\r\n%.\r\n$", mails[1])
  end)

  -- Speaks enough of FTP for passive transfers of files in a table.
  local function file_server(files)
    return function(stream)
      local data
      local function say(text) assert(stream:write(text .. "\r\n")) end
      say "220 spec"
      for line in stream:lines() do
        local word, rest = line:match "^(%a+) ?(.-)\r?$"
        word = word:upper()
        if word == "EPSV" then
          data = assert(braid.net.listen("127.0.0.1", 0))
          say(("229 passive (|||%d|)"):format(data.port))
        elseif word == "RETR" or word == "STOR" then
          say "150 here it comes"
          local transfer <close> = assert(data:accept(5))
          data:close()
          if word == "RETR" then transfer:write(files[rest]) else files[rest] = transfer:read "a" end
          transfer:close()
          say "226 done"
        elseif word == "QUIT" then
          return say "221 bye"
        else
          say(word == "USER" and "331 and now?" or word == "PASS" and "230 in" or "200 fine")
        end
      end
    end
  end

  test("socket.ftp", function()
    local files = { ["a.txt"] = ("content "):rep(10000) }
    with_server(file_server(files), function(port)
      local ftp = installed(require, "socket.ftp")
      fifty(function(i)
        local base = ("ftp://127.0.0.1:%d/"):format(port)
        assert.equal(files["a.txt"], ftp.get(base .. "a.txt;type=i"))
        assert(ftp.put(("%sb%d;type=i"):format(base, i), "put " .. i))
      end)
    end)
    assert.equal("put 7", files.b7)
  end)

  test("redis, over TCP and a Unix socket", function()
    local library = package.searchpath("redis", package.path) or "/usr/share/lua/5.1/redis.lua"
    local load_library = loadfile(library)
    if not load_library then return print "# no lua-redis here: not tested" end
    finally(luasocket.uninstall)
    luasocket.install() -- lua-redis requires the modules when it connects
    run(function()
      local port
      do
        local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
        port = listener.port
      end
      local path = os.tmpname() .. ".socket"
      local server <close> = braid.process.start({
        "redis-server", "--port", tostring(port), "--unixsocket", path, "--save", "", "--appendonly", "no",
        "--dir", "/tmp",
      }, { stdout = "null", stderr = "null", stdin = "null" })
      if not server then return print "# no redis-server here: not tested" end
      local redis = load_library()
      local client
      braid.timeout(8 * helper.slowness, function()
        while true do
          local ok, made = pcall(redis.connect, "127.0.0.1", port)
          if ok and pcall(made.ping, made) then client = made break end
          braid.sleep(0.02)
        end
      end)
      client:set("key", "value")
      assert.equal("value", client:get "key")
      local seconds = fifty(function(i)
        local own = redis.connect("127.0.0.1", port)
        local waits = braid.spawn(function() return own:blpop("list" .. i, 5) end)
        braid.sleep(0.1)
        local other = redis.connect("127.0.0.1", port)
        other:rpush("list" .. i, i)
        assert.same({ "list" .. i, tostring(i) }, waits:result(5))
        assert.equal(2, other:incr("count" .. i) + own:incr("count" .. i) - 1)
        own:quit()
        other:quit()
      end)
      assert.is_true(seconds < 3 * helper.slowness, "it took " .. seconds)
      local by_path = redis.connect { scheme = "unix", path = path }
      assert.equal("value", by_path:get "key")
      by_path:quit()
      client:quit()
      os.remove((path:gsub("%.socket$", "")))
    end)
  end)
end)
