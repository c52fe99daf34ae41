#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the rock from a copy of the sources into a tree of its own, and uses it from an empty folder: every module, the
# command, and every example.
set -eu

lua=${LUA:-lua5.4}
root=$PWD/build/rock examples=$PWD/examples
rm -rf "$root"
mkdir -p "$root/source" "$root/empty"
cp -R Makefile bin completions csrc lua man rockspec tools types "$root/source"
cd "$root/source"
luarocks --lua-version 5.4 --tree "$root/tree" make >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }

cd "$root/empty"
export LUA_PATH="$root/tree/share/lua/5.4/?.lua;$root/tree/share/lua/5.4/?/init.lua;;"
export LUA_CPATH="$root/tree/lib/lua/5.4/?.so;;"
"$lua" - "$root/source/lua" <<'END'
for file in io.popen("cd '" .. arg[1] .. "' && find braid -name '*.lua'"):lines() do
  local module = file:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  require(module)
end
local braid = require "braid"
assert(braid.run(function() return braid.spawn(function() braid.sleep(0.01) return "done" end):result() end) == "done")
print("the rock works: every module loads, a task runs")
END
"$root/tree/bin/braid" --version
for example in "$examples"/*.lua; do
  case $example in
    */tour.lua | */delay_server.lua) continue ;;
  esac
  timeout 120 "$lua" "$example" >"$root/log" 2>&1 </dev/null || { echo "$example fails:"; cat "$root/log"; exit 1; }
done
echo "every example runs"
