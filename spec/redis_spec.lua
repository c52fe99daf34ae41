-- SPDX-License-Identifier: MIT
-- braid.net speaks Redis's protocol with a real redis-server. Without one these tests pass, and say so.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

-- ---- a client in thirty lines ---------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

function Client.__close(client) client.stream:close() end

local function connect(place) return setmetatable({ stream = assert(braid.net.connect(place)) }, Client) end

-- A reply: text, number, nil, or a list of replies; an error reply is raised.
function Client:reply()
  local line = assert(self.stream:read("l")):gsub("\r$", "")
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == "+" then return rest end
  if kind == "-" then error(rest, 0) end
  if kind == ":" then return math.tointeger(rest) end
  local size = math.tointeger(rest)
  if size < 0 then return nil end
  if kind == "$" then return assert(self.stream:read(size + 2)):sub(1, size) end
  local list = { n = size }
  for i = 1, size do list[i] = self:reply() end
  return list
end

function Client:send(...)
  local words = { "*" .. select("#", ...) }
  for _, word in ipairs { ... } do words[#words + 1] = ("$%d\r\n%s"):format(#tostring(word), word) end
  assert(self.stream:write(table.concat(words, "\r\n") .. "\r\n"))
end

function Client:call(...)
  self:send(...)
  return self:reply()
end

-- ---- the server -----------------------------------------------------------------------------------------------------

-- A test function: fn(place) while a server of its own listens at that unix socket.
local function with_redis(fn)
  return function()
    local path = os.tmpname()
    os.remove(path)
    run(function()
      local server <close> = braid.process.start({
        "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", "/tmp",
      }, { stdout = "null", stderr = "null", stdin = "null" })
      if not server then return print("# no redis-server here: not tested") end
      braid.timeout(8 * helper.slowness, function()
        local stream
        repeat
          braid.sleep(0.02)
          stream = braid.net.connect { unix = path }
        until stream
        stream:close()
      end)
      fn { unix = path }
    end)
    os.remove(path)
  end
end

describe("redis-server", function()
  test("answers every kind of reply", with_redis(function(place)
    local redis <close> = connect(place)
    assert.equal("PONG", redis:call("PING"))
    assert.equal("OK", redis:call("SET", "key", "a\r\nb\0c"))
    assert.equal("a\r\nb\0c", redis:call("GET", "key"))
    assert.is_nil(redis:call("GET", "other"))
    assert.equal(2, redis:call("RPUSH", "list", "x", "y"))
    assert.same({ "x", "y", n = 2 }, redis:call("LRANGE", "list", 0, -1))
    local ok, err = pcall(redis.call, redis, "NOSUCH")
    assert.is_false(ok)
    assert.is_truthy(err:find("ERR unknown command", 1, true))
    assert.equal("PONG", redis:call("PING"))
    local large = ("x"):rep(5000000)
    redis:call("SET", "large", large)
    assert.equal(large, redis:call("GET", "large"))
  end))

  test("answers what was sent in one go, and many at once", with_redis(function(place)
    local redis <close> = connect(place)
    for _ = 1, 1000 do redis:send("INCR", "count") end
    for i = 1, 1000 do assert.equal(i, redis:reply()) end
    local clients = {}
    for i = 1, 50 do
      clients[i] = function()
        local client <close> = connect(place)
        for _ = 1, 20 do client:call("INCR", "count") end
      end
    end
    braid.gather(clients)
    assert.equal("2000", redis:call("GET", "count"))
  end))

  test("keeps us waiting no longer than we like", with_redis(function(place)
    local redis <close> = connect(place)
    local other <close> = connect(place)
    assert.is_false(braid.move_on_after(0.05, redis.call, redis, "BLPOP", "jobs", 0))
    other:call("RPUSH", "jobs", "first")
    assert.same({ "jobs", "first", n = 2 }, redis:reply()) -- the answer to what was asked before
  end))
end)
