#!/bin/sh
# SPDX-License-Identifier: MIT
# What braid needs from the system: looks for each thing, names what is missing, installs it where apt-get is there.
# usage: tools/packages.sh [build] [test] [valgrind]
set -eu

# A program, a C header, a Lua module: the question is whether the thing works, not who installed it.
program() { command -v "$1" >/dev/null 2>&1; }
header() {
  echo "#include <$1>" | ${CC:-cc} $(pkg-config --cflags "$2" 2>/dev/null) -E -x c - >/dev/null 2>&1
}
lua_redis_there() { [ -f /usr/share/lua/5.1/redis.lua ] || lua_module redis; }
nginx_there() { program nginx || [ -x /usr/sbin/nginx ]; }
nats_there() { program nats-server || [ -x /usr/sbin/nats-server ]; }
python_module() { ${PYTHON:-/usr/bin/python3} -c "import $1" >/dev/null 2>&1; }
node_module() { program node && [ -d "/usr/share/nodejs/$1" ]; }
postgres_there() { program initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
library() { ${PYTHON:-/usr/bin/python3} -c "import ctypes; ctypes.CDLL('$1')" >/dev/null 2>&1; }
lua_module() { ${LUA:-lua5.4} -e "require '$1'" >/dev/null 2>&1; }

debian= brew= rocks=
need() { # need DEBIAN_PACKAGE BREW_PACKAGE|rock:ROCK QUESTION...
  package=$1 other=$2
  shift 2
  if "$@"; then return; fi
  debian="$debian $package"
  case $other in
    rock:*) rocks="$rocks ${other#rock:}" other=luarocks ;;
  esac
  case "$brew " in
    *" $other "*) ;;
    *) brew="$brew $other" ;;
  esac
}

need_for_build() {
  need make make program make
  need gcc gcc program ${CC:-cc}
  need libc6-dev gcc header stdlib.h libc
  need pkg-config pkg-config program pkg-config
  need lua5.4 lua@5.4 program "${LUA:-lua5.4}"
  need liblua5.4-dev lua@5.4 header lua.h lua5.4
  need libcurl4-openssl-dev curl header curl/curl.h libcurl
  need libssl-dev openssl header openssl/ssl.h openssl
  need zlib1g-dev zlib header zlib.h zlib
  need libbrotli-dev brotli header brotli/decode.h libbrotlidec
  need libzstd-dev zstd header zstd.h libzstd
  need libwslay-dev wslay header wslay/wslay.h zlib
  need libnghttp2-dev libnghttp2 header nghttp2/nghttp2.h libnghttp2
  need libpq-dev libpq header libpq-fe.h libpq
  need libsqlite3-dev sqlite header sqlite3.h sqlite3
  need libnats-dev cnats header nats/nats.h libnats
}
need_for_test() {
  need lua-busted rock:busted lua_module busted.runner
  need lua-check rock:luacheck program luacheck
  need lua-cjson rock:lua-cjson lua_module cjson
  need lua-socket rock:luasocket lua_module socket.http
  need coreutils coreutils program timeout
  need openssl openssl program openssl
  need python3 python3 program python3
  need liblapack3 lapack library liblapack.so.3
  need redis-server redis program redis-server
  need postgresql postgresql postgres_there
  need lua-redis - lua_redis_there
  need nginx nginx nginx_there
  need python3-websockets - python_module websockets
  need node-ws - node_module ws
  need curl curl program curl
  need nghttp2-client nghttp2 program h2load
  need nats-server nats-server nats_there
}
need_for_valgrind() {
  need valgrind valgrind program valgrind
}

need_for_arm64() {
  need gcc-aarch64-linux-gnu - program aarch64-linux-gnu-gcc
  need qemu-user-static - program qemu-aarch64-static
}
need_for_musl() {
  need musl-tools - program musl-gcc
}

for purpose in "$@"; do "need_for_$purpose"; done
[ -n "$debian" ] || exit 0

if ! program apt-get; then
  echo "braid needs what is not here. Please install it, with Homebrew (not tried) by:"
  echo "  brew install$brew"
  for rock in $rocks; do echo "  luarocks --lua-version 5.4 install $rock"; done
  echo "(On Debian the packages are:$debian)"
  exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
  as_root=sudo
  if ! program sudo; then
    echo "braid needs what is not here. Please let root run: apt-get install$debian"
    exit 1
  fi
fi
echo "Missing here, so this installs with ${as_root:+$as_root }apt-get:$debian"
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $debian
