#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the rock from a copy of the sources into a tree of its own, and uses it from an empty folder.
set -eu

lua=${LUA:-lua5.4}
root=$PWD/build/rock
rm -rf "$root"
mkdir -p "$root/source" "$root/empty"
cp -R csrc lua rockspec "$root/source"
cd "$root/source"
luarocks --lua-version 5.4 --tree "$root/tree" make >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }

cd "$root/empty"
export LUA_PATH="$root/tree/share/lua/5.4/?.lua;$root/tree/share/lua/5.4/?/init.lua;;"
export LUA_CPATH="$root/tree/lib/lua/5.4/?.so;;"
"$lua" - "$root/source/rockspec/braid-scm-1.rockspec" <<'END'
local rockspec = {}
assert(loadfile(arg[1], "t", rockspec))()
for module in pairs(rockspec.build.modules) do require(module) end
local braid = require "braid"
assert(braid.run(function() return braid.spawn(function() braid.sleep(0.01) return "done" end):result() end) == "done")
print("the rock works: every module loads, a task runs")
END
