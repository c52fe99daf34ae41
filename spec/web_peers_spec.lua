-- SPDX-License-Identifier: MIT
-- The messages of spec/web_corpus.lua beside Go's net/http and nginx: what one of them refuses as malformed, the server
-- does not accept; what both accept, it does not refuse. The corpus lists the exceptions, with reasons. Without Go and
-- nginx this passes, and says so.
local corpus = require "spec.web_corpus"
local helper = require "spec.helper"
local braid = require "braid"
local lfs = require "lfs"
local test, run = helper.test, helper.run

local NGINX = [[
daemon off; master_process off; pid %s/pid; error_log /dev/null; events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
  server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; } }
}
]]

local function has(program) return os.execute("command -v " .. program .. " >/dev/null 2>&1") end

local function free_port()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  return listener.port
end

local function wait_for(port)
  braid.timeout(8 * helper.slowness, function()
    local stream
    repeat
      braid.sleep(0.02)
      stream = braid.net.connect("127.0.0.1", port)
    until stream
    stream:close()
  end)
end

-- fn(port of Go, port of nginx)
local function with_peers(fn)
  local folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  finally(function() os.execute("rm -rf " .. folder) end)
  local program = folder .. "/peer"
  local built = braid.process.run({ "go", "build", "-o", program, "spec/web_peer.go" },
    { timeout = 100, env = { GOFLAGS = "-mod=mod", GO111MODULE = "off" } })
  if not built or built.code ~= 0 then return print("# Go does not build here: not tested") end
  local go <close> = assert(braid.process.start { program })
  local go_port, port = tonumber(go:read("l", 10)), free_port()
  local file = assert(io.open(folder .. "/conf", "w"))
  file:write((NGINX:gsub("%%s", folder):gsub("%%d", port, 1):gsub("%%d", go_port)))
  file:close()
  local path = lfs.attributes("/usr/sbin/nginx") and "/usr/sbin/nginx" or "nginx"
  local _ <close> = assert(braid.process.start({ path, "-p", folder, "-c", folder .. "/conf", "-e", "stderr" },
    { stdin = "null", stdout = "null", stderr = "null" }))
  wait_for(port)
  fn(go_port, port)
end

-- The status of the first answer; "none" if nothing came.
local function first_status(port, text)
  local stream <close> = assert(braid.net.connect("127.0.0.1", port))
  local got, limit = "", braid.now() + 1.5 * helper.slowness
  stream:write(text)
  while braid.now() < limit do
    local status = got:gsub("^HTTP/1%.1 100[^\r]*\r\n\r\n", ""):match("^HTTP/1%.[01] (%d%d%d)")
    if status and status ~= "100" then return status end
    local piece = stream:read_some(4096, limit - braid.now())
    if not piece then break end
    got = got .. piece
  end
  return "none"
end

local function accepts(status) return status:sub(1, 1) == "2" or status == "404" or status == "405" end

-- What nginx and Go say of a message, and whether that is a difference.
local function compare(message, go_port, nginx_port)
  local go, nginx = first_status(go_port, message.text), first_status(nginx_port, message.text)
  local ours = message.answers:match("^%d+")
  local malformed = go == "400" or nginx == "400"
  if accepts(ours) and malformed then return ("accepted here, Go %s, nginx %s"):format(go, nginx) end
  if not accepts(ours) and accepts(go) and accepts(nginx) then
    return ("%s here, Go %s, nginx %s"):format(ours, go, nginx)
  end
end

describe("the corpus beside Go and nginx", function()
  test("has no difference that it does not list", function()
    if not (has "go" and (has "nginx" or lfs.attributes "/usr/sbin/nginx")) then
      return print("# no Go or no nginx here: not tested")
    end
    run(function()
      with_peers(function(go_port, nginx_port)
        local unlisted = {}
        braid.gather((function()
          local list = {}
          for i, message in ipairs(corpus) do
            list[i] = function()
              if message.answers == "" then return end
              local difference = compare(message, go_port, nginx_port)
              if difference and not message.elsewhere then
                unlisted[#unlisted + 1] = message.name .. ": " .. difference
              end
            end
          end
          return list
        end)(), { limit = 16 })
        table.sort(unlisted)
        assert.equal("", table.concat(unlisted, "\n"))
      end)
    end)
  end, { deadline = 200 })
end)
