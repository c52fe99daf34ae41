-- SPDX-License-Identifier: MIT
-- `luarocks --lua-version 5.4 make` in the root of the tree finds this file. The Makefile builds, so the flags and the
-- files are those of `make all`.
rockspec_format = "3.0"
package = "braid"
version = "0.2.0-1"

source = { url = "file://." } -- it is built from the tree it stands in

description = {
  summary = "Concurrency and parallelism for Lua 5.4 behind one interface",
  detailed = [[
    Tasks on one event loop, pools of threads and of processes, queues and locks that are the same for all of them, an
    HTTP client, a web server, clients for databases, and parallel kernels. A function written once runs inline, as a
    task, in a thread or in a process.
  ]],
  license = "MIT",
  labels = { "concurrency", "parallelism", "async", "threads", "processes", "http", "websocket", "database" },
}

dependencies = { "lua >= 5.4, < 5.5" } -- 5.4.3 or later, but luarocks knows no releases: braid.core refuses older ones

external_dependencies = {
  CURL = { library = "curl" }, -- the header is where the compiler looks, which on Debian is not where luarocks does
}

build = {
  type = "make",
  build_target = "rock_modules",
  variables = { -- of building and of installing
    BUILD = "build/luarocks",
    LUA_CFLAGS = "-I'$(LUA_INCDIR)'",
    CURL_CFLAGS = "-I'$(CURL_INCDIR)'",
    DESTDIR = "",
    PREFIX = "$(PREFIX)", -- the rock's own folder: manual pages, completions, the editor's file
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    BINDIR = "$(BINDIR)",
  },
}
