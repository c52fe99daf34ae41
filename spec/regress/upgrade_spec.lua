-- SPDX-License-Identifier: MIT
-- An upgrade replaces or removes the interpreter while it runs. Worker processes could not be started any more.
local assert = require "luassert"
local busted = require "busted"
local helper = require "spec.helper"

local test, describe = helper.test, busted.describe

local SCRIPT = [[
  local braid = require "braid"
  local before <close> = braid.process_pool(1)
  if arg[1] == "replaced" then
    assert(os.rename(arg[-1] .. ".new", arg[-1]))
  else
    assert(os.remove(arg[-1]))
  end
  local app = braid.web.app()
  app:get("/", function() return "a server's worker" end)

  local function in_worker(name)
    local pool <close> = require("braid").process_pool(1)
    return pool:submit(function(of) return "a worker of " .. of end, name):result()
  end

  braid.run(function()
    print(before:submit(in_worker, "a worker"):result())
    print(in_worker "the script")
    local server <close> = assert(app:start { port = 0, workers = 1 })
    print(braid.http.get(server.url .. "/").body)
  end)
]]

describe("an interpreter", function()
  for _, fate in ipairs { "replaced", "removed" } do
    test(fate .. " while it runs starts workers", function()
      if os.getenv "BRAID_LUA" then return busted.pending "workers run another interpreter" end
      local folder = os.tmpname()
      local lua = folder .. ".d/lua5.4"
      finally(function() os.execute(("rm -rf '%s' '%s.d'"):format(folder, folder)) end)
      local script <close> = assert(io.open(folder, "w"))
      script:write(SCRIPT)
      script:flush()
      assert(os.execute(("mkdir '%s.d' && cp /proc/$PPID/exe '%s' && cp '%s' '%s.new'"):format(folder, lua, lua, lua)))
      local output <close> = assert(io.popen(("timeout 10 '%s' '%s' %s 2>&1"):format(lua, folder, fate)))
      assert.equal("a worker of a worker\na worker of the script\na server's worker\n", output:read("a"))
    end)
  end
end)
