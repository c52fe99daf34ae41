#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds with musl, of Debian's sources (see tools/debian.sh) in FOLDER/source: Lua, into FOLDER/bin, and the C modules
# that the tests need, into FOLDER. Two of those have no sources in every mirror; they are taken as they are from where
# Debian's package has put them, for what they use of glibc is in musl, too. libcurl's and the kernel's headers go into FOLDER/include.
# usage: tools/musl.sh FOLDER
set -eu
cd "$1"
[ ! -e .built ] || exit 0

modules=$(cc -print-multiarch)/lua/5.4
curl=$(echo '#include <curl/curl.h>' | cc $(pkg-config --cflags libcurl) -M -x c - | tr ' ' '\n' | grep -m 1 'curl/curl\.h$')
mkdir -p bin include socket mime
ln -sfn "${curl%/*}" include/curl # alone: beside it may be what is glibc's; so it is with the kernel's
ln -sfn /usr/include/linux /usr/include/asm-generic "/usr/include/$(cc -print-multiarch)/asm" include

lua=source/lua5.4/src
musl-gcc -O2 -w -DLUA_USE_LINUX -o bin/lua5.4 $(ls $lua/*.c | grep -v /luac.c) -Wl,-E -lm -ldl \
  -DLUA_PATH_DEFAULT='"/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;./?.lua;./?/init.lua"' \
  -DLUA_CPATH_DEFAULT="\"/usr/lib/$modules/?.so\""

module() { # module FILE SOURCE...
  file=$1
  shift
  musl-gcc -O1 -w -shared -fPIC -I$lua -o "$file" "$@"
}
socket=source/luasocket/src
module lfs.so source/lua-filesystem/src/lfs.c
cjson=source/lua-cjson
module cjson.so $cjson/lua_cjson.c $cjson/strbuf.c $cjson/fpconv.c
module mime/core.so $socket/mime.c $socket/compat.c
module socket/core.so $(for name in luasocket timeout buffer io auxiliar options inet usocket except select tcp udp compat; do
  echo $socket/$name.c
done)
touch .built
