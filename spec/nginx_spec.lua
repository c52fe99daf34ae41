-- SPDX-License-Identifier: MIT
-- The HTTP client with a server that others use: nginx. Without one these tests pass, and say so.
local helper = require "spec.helper"
local braid = require "braid"
local lfs = require "lfs"
local test, run = helper.test, helper.run

local CONFIGURATION = [[
daemon off; master_process off; pid %s/pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  access_log off; root %s; types { text/plain txt; } default_type application/octet-stream; client_max_body_size 100m;
  client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
  gzip on; gzip_types text/plain; gzip_min_length 100; keepalive_requests 100000;
  limit_req_zone $server_name zone=one:1m rate=5r/s;
  server {
    listen unix:%s/http2 http2;
    location / { return 200 "$request_method $server_protocol"; }
    location /take { client_body_in_single_buffer on; proxy_pass http://unix:%s/socket:/take; }
  }
  server {
    listen unix:%s/socket; listen 127.0.0.1:%d;
    location /connection { return 200 "$connection $connection_requests"; }
    location /limited { limit_req zone=one; limit_req_status 503; add_header Retry-After 1 always; return 200 "in"; }
    location /busy { add_header Retry-After 1 always; return 503 "busy"; }
    location /move { return 308 /small.txt; }
    location /slow { limit_rate 100k; alias %s; }
    location /put { proxy_pass http://unix:%s/socket:/take; }
    location /take { return 201 "$request_method $content_length"; }
  }
}
]]

local folder, port

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
end

local function remove(path)
  for name in lfs.dir(path) do
    local inner = path .. "/" .. name
    if lfs.attributes(inner, "mode") == "directory" then
      if not name:find("^%.%.?$") then remove(inner) end
    else
      os.remove(inner)
    end
  end
  lfs.rmdir(path)
end

local function free_port()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  return listener.port
end

-- A test function: fn(session) while an nginx of its own runs.
local function with_nginx(fn, opts)
  return function()
    run(function()
      folder, port = os.tmpname(), free_port()
      os.remove(folder)
      assert(lfs.mkdir(folder))
      local program = lfs.attributes("/usr/sbin/nginx") and "/usr/sbin/nginx" or "nginx"
      write("small.txt", ("compressible "):rep(100))
      write("large.bin", ("0123456789"):rep(2000000))
      write("conf", (CONFIGURATION:gsub("%%s", folder):gsub("%%d", port)))
      local server <close> = braid.process.start({ program, "-p", folder, "-c", folder .. "/conf", "-e", "stderr" },
        { stdin = "null", stdout = "null", stderr = "null" })
      if server then
        braid.timeout(8 * helper.slowness, function()
          local stream
          repeat
            braid.sleep(0.02)
            stream = braid.net.connect("127.0.0.1", port)
          until stream
          stream:close()
        end)
        local options = { base_url = "http://127.0.0.1:" .. port }
        for name, value in pairs(opts or {}) do options[name] = value end
        local session <close> = braid.http.session(options)
        fn(session)
      else
        print("# no nginx here: not tested")
      end
    end)
    remove(folder)
  end
end

describe("nginx", function()
  test("keeps our connections", with_nginx(function(session)
    local first = session:get("/connection").body:match("^%d+")
    for i = 2, 50 do assert.equal(first .. " " .. i, session:get("/connection").body) end
    local names = {}
    braid.map(function() names[session:get("/connection").body:match("^%d+")] = true end,
      (function()
        local list = {}
        for i = 1, 200 do list[i] = i end
        return list
      end)())
    local count = 0
    for _ in pairs(names) do count = count + 1 end
    assert.is_true(count <= 4, count)
  end, { max_per_host = 4 }))

  test("sends compressed, ranges, redirects, and not what we have", with_nginx(function(session)
    local response = assert(session:get("/small.txt"))
    assert.equal("gzip", response.headers["content-encoding"])
    assert.equal(("compressible "):rep(100), response.body)
    local part = assert(session:get("/large.bin", { headers = { Range = "bytes=5-14" } }))
    assert.equal(206, part.status)
    assert.equal("5678901234", part.body)
    assert.equal("bytes 5-14/20000000", part.headers["content-range"])
    assert.equal(("compressible "):rep(100), session:get("/move").body)
    local fresh = assert(session:get("/small.txt", { headers = { ["If-None-Match"] = response.headers.etag } }))
    assert.equal(304, fresh.status)
    assert.equal(404, session:get("/nothing").status)
    assert.equal(400, session:get("/x", { headers = { Host = "a b" } }).status)
    assert.equal("20000000", session:head("/large.bin").headers["content-length"])
  end))

  test("sends and takes large bodies", with_nginx(function(session)
    local path = folder .. "/copy"
    assert.equal(20000000, #assert(session:get("/large.bin")).body)
    assert(session:get("/large.bin", { file = path }))
    assert.equal(20000000, lfs.attributes(path, "size"))
    local response = assert(session:get("/large.bin", { stream = true }))
    local size = 0
    for chunk in response:chunks() do size = size + #chunk end
    assert.equal(20000000, size)
    assert.equal("PUT 20000000", assert(session:put("/put", { body = ("x"):rep(20000000) })).body)
    local posted = assert(session:post("/put", { multipart = { file = { path = path } } }))
    assert.equal(201, posted.status)
    assert.is_true(tonumber(posted.body:match("%d+")) > 20000000)
  end), { deadline = 30 })

  test("that is slow is downloaded or given up", with_nginx(function(session)
    local path, told = folder .. "/copy", 0
    local response, err = session:get("/slow/large.bin", {
      file = path, timeout = 0.5, progress = function() told = told + 1 end,
    })
    assert.is_nil(response)
    assert.is_true(braid.is_error(err, "timeout"), tostring(err))
    assert.is_true(told > 0)
    assert.is_nil(lfs.attributes(path))
    for name in lfs.dir(folder) do assert.is_nil(name:find(".part", 1, true)) end
  end))

  test("that is busy is asked again when it says", with_nginx(function(session)
    local started = braid.now()
    assert.equal(503, assert(session:get("/busy", { retries = 1 })).status)
    assert.is_true(braid.now() - started >= 1)
    local list = {}
    for i = 1, 4 do list[i] = "/limited" end
    local responses = braid.map(function(url) return assert(session:get(url, { retries = 9 })) end, list)
    for _, response in ipairs(responses) do assert.equal("in", response.body) end
  end), { deadline = 30 })

  test("speaks HTTP/2 without TLS", with_nginx(function()
    local session <close> = braid.http.session {
      base_url = "http://nginx", unix_socket = folder .. "/http2", http_version = "h2c",
    }
    local responses = braid.map(function() return session:get("/") end, { 1, 2, 3 })
    for _, response in ipairs(responses) do
      assert.equal("2", response.http_version)
      assert.equal("GET HTTP/2.0", response.body)
    end
    assert.equal("2", session:get("/").http_version)
    local n = 0
    local taken = assert(session:post("/take", { body = function()
      n = n + 1
      braid.sleep(0)
      return n <= 100 and ("x"):rep(10000) or nil
    end }))
    assert.equal("POST 1000000", taken.body)
  end))

  test("answers at its unix socket, too", with_nginx(function(session)
    local response = assert(session:get("http://any/small.txt", { unix_socket = folder .. "/socket" }))
    assert.equal(200, response.status)
  end))
end)
