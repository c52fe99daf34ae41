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

local NAMES = { "u v'\"w", "u;touch w&#`\\(%v" }

describe("make", function()
  local function is_built() return lfs.attributes "build/braid/core.so" ~= nil end

  -- What stands in a folder, folders with a slash at the end.
  local function listing(folder)
    return sh([[
      cd "$1" && export LC_ALL=C && find . -mindepth 1 \( -type d -printf '%p/\n' -o -printf '%p\n' \) | sort]],
      folder).stdout
  end

  test("uninstall takes out exactly what install brought", function()
    if not is_built() then return pending "the modules are built elsewhere" end
    for _, name in ipairs(NAMES) do
      in_folder(function(folder)
        sh([[cd "$1" && mkdir -p u "$2/bin" "$2/share/lua/5.4/braid" "$2/share/fish" && touch u/file "$2/bin/other" \
          "$2/share/lua/5.4/braid/mine.lua"]], folder, name)
        local before = listing(folder)
        local result = sh([[make -s -o all install PREFIX="$1/$2" DESTDIR=]], folder, name)
        assert.equal(0, result.code, result.stderr)
        assert.equal("", result.stderr)
        assert.is_true(#listing(folder) > #before + 5000)
        assert.equal(0, sh([[make -s -o all install PREFIX="$1/$2" DESTDIR=]], folder, name).code) -- once more
        result = sh([[make -s uninstall PREFIX="$1/$2"]], folder, name)
        assert.equal(0, result.code, result.stderr)
        assert.equal(before, listing(folder))
      end)
    end
  end, { deadline = 240 })

  test("uninstall says that nothing is installed, and does nothing", function()
    in_folder(function(folder)
      sh([[cd "$1" && mkdir -p u/share/lua/5.4/braid && touch u/share/lua/5.4/braid/init.lua]], folder)
      local before = listing(folder)
      local result = sh([[make -s uninstall PREFIX="$1/u"]], folder)
      assert.equal(2, result.code)
      assert.matches("braid is not installed in " .. folder:gsub("%p", "%%%0"), result.stderr)
      assert.equal(before, listing(folder))
    end)
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
    assert.matches("PREFIX='/nowhere/u%$v' ", sh([[make -n uninstall PREFIX='/nowhere/u$$v']]).stdout)
  end)

  test("takes a place that begins with a dash for a place", function()
    if not is_built() then return pending "the modules are built elsewhere" end
    in_folder(function(folder)
      local result = sh([[
        make -s -o all install DESTDIR="$1/" PREFIX=-u && make -s uninstall DESTDIR="$1/" PREFIX=-u]], folder)
      assert.equal(0, result.code, result.stderr)
      assert.equal("", listing(folder))
    end)
  end)

  test("what is installed works from any prefix, through a link, as another user", function()
    if not is_built() then return pending "the modules are built elsewhere" end
    in_folder(function(folder)
      local as = sh("id -u").stdout == "0\n" and "setpriv --reuid=65534 --clear-groups " or ""
      local result = sh(([[
        lua=$(realpath "$(command -v "$2")") &&
        make -s -o all install PREFIX="$1/u v" DESTDIR= && chmod 755 "$1" && cd / && ls -A "$1" &&
        ln -s "$1/u v/bin/braid" "$1/link" && unset LUA_PATH LUA_CPATH &&
        %s"$1/u v/bin/braid" --version && %s"$1/link" --version &&
        eval "$(%s"$1/link" env)" && "$lua" -e 'print(package.searchpath("braid", package.path))' &&
        PKG_CONFIG_PATH="$1/u v/lib/pkgconfig" pkg-config --modversion braid &&
        PKG_CONFIG_PATH="$1/u v/lib/pkgconfig" pkg-config --variable=luadir braid]]):format(as, as, as), folder,
        helper.lua)
      assert.equal(0, result.code, result.stderr)
      local version = braid._VERSION .. "\n"
      assert.equal("u v\n" .. version .. version .. folder .. "/u v/share/lua/5.4/braid/init.lua\n" ..
        version:match "[%d.]+" .. "\n", (result.stdout:gsub("[^\n]*\n$", "")))
      assert.matches("/u\\? v/share/lua/5.4\n$", result.stdout)
      local completion = sh([[
        bash -c '. "$1"; COMP_WORDS=(braid ser); COMP_CWORD=1; _braid; echo "${COMPREPLY[@]}"' - "$1"]],
        folder .. "/u v/share/bash-completion/completions/braid")
      assert.equal("serve\n", completion.stdout, completion.stderr)
      local page = sh([[MANWIDTH=80 man "$1" 2>&1 | head -30]], folder .. "/u v/share/man/man1/braid.1").stdout
      if page ~= "" and not page:find "not found" then assert.matches("serve, measure", page) end
    end)
  end, { deadline = 120 })

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
      words[#words + 1] = name .. "=" .. value:gsub("%$%(([%u_]+)%)", { PREFIX = "/rock", LUADIR = "/rock/lua",
        LIBDIR = "/rock/lib",
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
