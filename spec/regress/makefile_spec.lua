-- SPDX-License-Identifier: MIT
-- Paths in the Makefile: with blanks and other signs of the shell they mean one place, or are refused.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local lfs = require "lfs"

local test, describe = helper.test, require("busted").describe

-- Without what a make that runs this spec has set.
local function sh(script, ...)
  local clean = "unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL BUILD CFLAGS FLAVOUR; "
  return assert(braid.process.run { "sh", "-c", clean .. script, "sh", ... })
end

-- fn(folder): a new one.
local function in_folder(fn)
  local folder = sh("mktemp -d").stdout:gsub("\n", "")
  fn(folder)
  sh([[rm -rf "$1"]], folder)
end

local NAMES = { "u v", "u'v", 'u"v', "u;touch w", "u&v", "u#v", "u`v", "u\\v", "u(v", "u%v" }

describe("make", function()
  test("uninstall takes out what is its own and nothing beside it", function()
    for _, name in ipairs(NAMES) do
      in_folder(function(folder)
        local result = sh([[
          cd "$1" && mkdir -p u/share/lua/5.4/braid "$2/share/lua/5.4/braid" "$2/lib/lua/5.4/braid" "$2/bin" &&
          touch u/file "$2/file" "$2/share/lua/5.4/braid/init.lua" "$2/bin/braid" "$2/bin/other" && cd "$3" &&
          make -s uninstall PREFIX="$1/$2" && cd "$1" && export LC_ALL=C && find . -type f | sort && ls -A]],
          folder, name, lfs.currentdir())
        assert.equal(0, result.code, result.stderr)
        local left = { "./" .. name .. "/bin/other", "./" .. name .. "/file", "./u/file" }
        table.sort(left)
        assert.equal(table.concat(left, "\n") .. "\n" .. "u\n" .. name .. "\n", result.stdout)
      end)
    end
  end)

  test("refuses what it cannot quote, and does nothing", function()
    for name, value in pairs { PREFIX = "/nowhere/u\nv", DESTDIR = "/nowhere/u$x", BUILD = "u v" } do
      for _, target in ipairs { "uninstall", "env" } do
        local result = sh([[make -s "$1" "$2"]], target, name .. "=" .. value)
        assert.equal(2, result.code)
        assert.equal("", result.stdout)
        assert.matches(name .. " must not hold", result.stderr)
      end
    end
    assert.matches("must not begin with ~", sh([[make -s uninstall PREFIX='~/u']]).stderr)
    assert.matches("rm %-rf %-%- '/nowhere/u%$v/share", sh([[make -n uninstall PREFIX='/nowhere/u$$v']]).stdout)
  end)

  test("takes a place that begins with a dash for a place", function()
    local result = sh("make -n uninstall PREFIX=-u")
    assert.matches("rm %-rf %-%- '%-u/share", result.stdout)
    assert.matches("rm %-f %-%- '%-u/bin'/braid", result.stdout)
  end)

  test("install goes to the place that was named", function()
    if not lfs.attributes "build/braid/core.so" then return pending "the modules are built elsewhere" end
    in_folder(function(folder)
      local result = sh([[
        make -s -o all install PREFIX="$1/u v" DESTDIR= && cd "$1" && ls -A && cd / &&
        LUA_PATH="$1/u v/share/lua/5.4/?.lua;$1/u v/share/lua/5.4/?/init.lua;;" LUA_CPATH="$1/u v/lib/lua/5.4/?.so;;" \
          "$1/u v/bin/braid" --version]], folder)
      assert.equal(0, result.code, result.stderr)
      assert.equal("u v\n" .. braid._VERSION .. "\n", result.stdout)
    end)
  end)

  test("env is right in a folder with blanks and quotes in its path", function()
    in_folder(function(folder)
      local result = sh([[
        to="$1/a b'c\"d" && mkdir "$to" && cp Makefile "$to" && cd "$to" && eval "$(make -s env)" &&
        printf '%s\n' "$LUA_PATH" "${PATH%%:*}"]], folder)
      local place = folder .. [[/a b'c"d]]
      assert.equal(("%s/lua/?.lua;%s/lua/?/init.lua;;\n%s/bin\n"):format(place, place, place), result.stdout)
    end)
  end)
end)

describe("the rock", function()
  local function rockspec()
    local found = {}
    for name in lfs.dir "rockspec" do
      if name:find "%.rockspec$" then assert(loadfile("rockspec/" .. name, "t", found))() end
    end
    return found
  end

  -- How each file is compiled and each module linked, without where headers and libraries are looked for.
  local function commands(...)
    local result = sh([[make -n "$@"]], ...)
    assert.equal(0, result.code, result.stderr)
    local list = {}
    for line in result.stdout:gmatch "[^\n]+" do
      if line:find " %-o " then list[#list + 1] = line:gsub(" %-[IL]'?/[^ ]*", ""):gsub("%s+", " ") end
    end
    table.sort(list)
    return list
  end

  test("is compiled and linked as by make all", function()
    local build = rockspec().build
    local words = {}
    for name, value in pairs(build.variables) do
      words[#words + 1] = name .. "=" .. value:gsub("%$%(([%u_]+)%)", { LUADIR = "/rock/lua", LIBDIR = "/rock/lib",
        BINDIR = "/rock/bin", LUA_INCDIR = "/usr/include/lua5.4", CURL_INCDIR = "/usr/include" })
    end
    words[#words + 1] = "BUILD=build/none"
    local all, rock = commands("all", "BUILD=build/none"), commands(build.build_target, table.unpack(words))
    assert.is_true(#all > 100)
    for i, command in ipairs(all) do assert.equal(command, rock[i]) end
    assert.equal(#all, #rock)
  end)

  test("has the version that the module tells", function()
    assert.equal("braid " .. rockspec().version:gsub("%-%d+$", ""), braid._VERSION)
  end)
end)
