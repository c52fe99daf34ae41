-- SPDX-License-Identifier: MIT
-- Relative paths in LUA_PATH and LUA_CPATH, and a program that goes to another folder: what braid had not loaded yet
-- was not found any more, and workers found neither braid nor the program's modules.
local assert = require "luassert"
local helper = require "spec.helper"
local lfs = require "lfs"

local test, describe = helper.test, require("busted").describe

local function absolute(path) return path:find "^/" and path or lfs.currentdir() .. "/" .. path end

-- Runs a script in a new folder where `lua` and `build` are the tree's, and `parts/part.lua` is a module.
local function run(script)
  local folder = os.tmpname() .. ".d"
  finally(function() os.execute(("rm -rf '%s' '%s'"):format(folder, folder:sub(1, -3))) end)
  local core = absolute(package.searchpath("braid.core", package.cpath) or "/nowhere/braid/core.so")
  assert(os.execute(("mkdir -p '%s/parts' '%s/elsewhere' && ln -s '%s/lua' '%s/lua' && ln -s '%s' '%s/build'"):format(
    folder, folder, lfs.currentdir(), folder, core:match "^(.*)/braid/core.so$", folder)))
  for name, text in pairs { ["script.lua"] = script, ["parts/part.lua"] = "return { word = 'found' }" } do
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
  end
  local lua = helper.lua:find "/" and absolute(helper.lua) or helper.lua
  local output <close> = assert(io.popen(([[cd '%s' && LUA_PATH='lua/?.lua;./lua/?/init.lua;./parts/?.lua;;' \
    LUA_CPATH='./build/?.so;;' timeout %d '%s' script.lua 2>&1]]):format(folder, 10 * helper.slowness, lua)))
  return output:read("a")
end

describe("in another folder than at the start", function()
  test("the rest of braid is found, and points at its callers", function()
    local refusal = "script.lua:4: bad argument 'maxsize' to 'queue' (an integer from 0 expected, got a string)\n"
    assert.equal(refusal .. "404\n", run [[
      local braid = require "braid"
      require("lfs").chdir "elsewhere"
      print(select(2, pcall(function()
        braid.queue("many")
      end)))
      local server <close> = assert(braid.web.app():start { port = 0 })
      print(braid.http.get(server.url).status)
    ]])
  end)

  test("workers find modules", function()
    assert.equal(("found\n"):rep(4), run [[
      local braid = require "braid"
      local function word() return require("part").word end
      local function word_of_inner()
        local pool <close> = require("braid").process_pool(1)
        return pool:submit(word):result()
      end
      require("lfs").chdir "elsewhere"
      braid.run(function()
        local threads <close> = braid.thread_pool(1)
        local processes <close> = braid.process_pool(1)
        print(threads:submit(word):result())
        print(processes:submit(word):result())
        print(threads:submit(word_of_inner):result())
        local app = braid.web.app()
        app:get("/", function() return require("part").word end)
        local server <close> = assert(app:start { port = 0, workers = 1 })
        print(braid.http.get(server.url).body)
      end)
    ]])
  end)

  test("a path that was set later holds for workers, too", function()
    assert.equal("found\n", run [[
      local braid = require "braid"
      package.path = package.path:gsub("%./parts", "nowhere") .. ";elsewhere/../parts/?.lua"
      require("lfs").chdir "elsewhere"
      local pool <close> = braid.thread_pool(1)
      print(pool:submit(function() return require("part").word end):result())
    ]])
  end)
end)
