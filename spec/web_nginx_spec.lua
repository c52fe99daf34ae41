-- SPDX-License-Identifier: MIT
-- The web server behind nginx, with the configuration that docs/deployment.md has. Without nginx these tests pass, and
-- say so.
local braid = require "braid"
local helper = require "spec.helper"
local lfs = require "lfs"
local test, run = helper.test, helper.run

local SURROUNDINGS = [[
daemon off; master_process off; pid %s/pid; error_log /dev/null;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
]]

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read "a"
end

-- The block of the guide, with other places.
local function configuration(folder, port)
  local block = assert(read "docs/deployment.md":match "```nginx\n(.-)```")
  local replaced, count = block:gsub("unix:/run/app%.sock", "unix:" .. folder .. "/app.sock")
  assert.equal(1, count)
  replaced, count = replaced:gsub("listen 80;", ("listen 127.0.0.1:%d;"):format(port))
  assert.equal(1, count)
  return SURROUNDINGS:gsub("%%s", folder) .. replaced .. "}\n"
end

local function free_port()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  return listener.port
end

local function start_nginx(folder, port)
  local program = lfs.attributes("/usr/sbin/nginx") and "/usr/sbin/nginx" or "nginx"
  local handle <close> = assert(io.open(folder .. "/conf", "w"))
  handle:write(configuration(folder, port))
  handle:close()
  local nginx = braid.process.start({ program, "-p", folder, "-c", folder .. "/conf", "-e", "stderr" },
    { stdin = "null", stdout = "null", stderr = "null" })
  if not nginx then return nil end
  braid.timeout(8 * helper.slowness, function()
    local stream
    repeat
      braid.sleep(0.02)
      stream = braid.net.connect("127.0.0.1", port)
    until stream
    stream:close()
  end)
  return nginx
end

-- A test function: fn(session, server, port) with the application behind an nginx of its own.
local function behind_nginx(prepare, fn)
  return function()
    run(function()
      local folder = assert(braid.process.run { "mktemp", "-d" }).stdout:gsub("\n", "")
      local _ <close> = setmetatable({}, { __close = function() braid.process.run { "rm", "-rf", folder } end })
      local app = braid.web.app()
      prepare(app)
      local server <close> = assert(app:start { listen = "unix:" .. folder .. "/app.sock", proxies = "unix" })
      local port = free_port()
      local nginx <close> = start_nginx(folder, port)
      if not nginx then
        print "# no nginx here: not tested"
        return
      end
      local url = "http://127.0.0.1:" .. port
      local session <close> = braid.http.session { base_url = url, timeout = 8 * helper.slowness }
      fn(session, server, port)
    end)
  end
end

describe("behind nginx, the server", function()
  test("knows the client, the address and the id that nginx tells", behind_nginx(function(app)
    app:get("/who", function(request)
      return { request.ip, request.scheme, request.url, request.id, request.peer or "unix" }
    end)
  end, function(session, _, port)
    local seen = assert(session:get("/who?x=1")):json()
    assert.same({ "127.0.0.1", "http", ("http://127.0.0.1:%d/who?x=1"):format(port), "unix" },
      { seen[1], seen[2], seen[3], seen[5] })
    assert.matches("^%x+$", seen[4])
    assert.equal(32, #seen[4])
    -- a client that says so itself is not believed
    seen = assert(session:get("/who", { headers = { ["X-Forwarded-For"] = "6.6.6.6", Forwarded = "for=6.6.6.6",
      ["X-Forwarded-Proto"] = "https", ["X-Request-Id"] = "mine" } })):json()
    assert.same({ "127.0.0.1", "http" }, { seen[1], seen[2] })
    assert.are_not.equal("mine", seen[4])
  end))

  test("keeps its connections with it", behind_nginx(function(app)
    app:post("/size", function(request) return #request.body .. "" end)
  end, function(session, server)
    for _ = 1, 20 do assert.equal("100000", assert(session:post("/size", { body = ("x"):rep(100000) })).body) end
    assert.is_true(server:stats().accepted <= 3, server:stats().accepted)
    local all = braid.map(function() return session:post("/size", { body = "abc" }).body end,
      { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
    for i = 1, 10 do assert.equal("3", all[i]) end
    assert.equal(413, assert(session:post("/size", { body = ("x"):rep(2000000) })).status)
  end))

  test("speaks WebSocket through it, and checks the page's origin", behind_nginx(function(app)
    app:websocket("/chat", function(ws, request)
      for message in ws:messages() do ws:send(request.ip .. " " .. message) end
    end)
  end, function(_, _, port)
    local url = ("ws://127.0.0.1:%d/chat"):format(port)
    local ws <close> = assert(braid.websocket.connect(url, { headers = { Origin = "http://127.0.0.1:" .. port } }))
    ws:send "hello"
    assert.equal("127.0.0.1 hello", (ws:receive(5)))
    ws:close()
    local refused, err = braid.websocket.connect(url, { headers = { Origin = "http://evil.example" } })
    assert.is_nil(refused)
    assert.equal(403, err.status)
  end))

  test("streams through it, piece by piece", behind_nginx(function(app)
    app.go_on = braid.event()
    app:get("/pieces", function()
      return braid.web.response { stream = function(write)
        write "first"
        app.go_on:wait(5)
        write "second"
      end }
    end)
    app:post("/go", function()
      app.go_on:set()
      return "gone"
    end)
  end, function(session)
    local pieces = {}
    local answer = assert(session:get("/pieces", { sink = function(piece)
      pieces[#pieces + 1] = piece
      if piece == "first" then braid.spawn(function() session:post("/go") end) end
    end }))
    assert.equal(200, answer.status)
    assert.same({ "first", "second" }, pieces)
  end))
end)
