-- SPDX-License-Identifier: MIT
-- `luarocks --lua-version 5.4 make` in the root of the tree finds this file. tools/rockspec.lua proves that it names
-- every file.
rockspec_format = "3.0"
package = "braid"
version = "scm-1"

source = { url = "file://." } -- it is built from the tree it stands in

description = {
  summary = "Concurrency and parallelism for Lua 5.4 behind one interface",
  detailed = [[
    Tasks, scopes, futures, queues and locks, an HTTP client and a web server. A function written once runs inline or
    as a task without being changed. JSON needs the module cjson (rock or package lua-cjson), which is loaded when it
    is first used.
  ]],
  license = "MIT",
}

dependencies = { "lua >= 5.4, < 5.5" }

external_dependencies = {
  CURL = { library = "curl" }, -- the header is where the compiler looks, which on Debian is not where luarocks does
  MICROHTTPD = { header = "microhttpd.h", library = "microhttpd" },
}

build = {
  type = "builtin",
  modules = {
    ["braid.core"] = {
      sources = { -- the poller first, because macOS replaces it below
        "csrc/core/poller_epoll.c", "csrc/core/status.c", "csrc/core/clock.c", "csrc/core/heap.c",
        "csrc/core/buffer.c", "csrc/core/thread.c", "csrc/core/waiter.c", "csrc/core/message.c",
        "csrc/core/doorbell.c", "csrc/core/loop.c", "csrc/core/queue.c", "csrc/core/gate.c", "csrc/core/counter.c",
        "csrc/core/dict.c", "csrc/core/segment.c", "csrc/core/slab.c", "csrc/core/array.c",
        "csrc/core/code.c", "csrc/core/permit.c", "csrc/core/job.c", "csrc/core/pool.c",
        "csrc/core/thread_pool.c", "csrc/core/parallel.c",
        "csrc/kernels/prime.c", "csrc/kernels/curve.c", "csrc/kernels/factor.c",
        "csrc/core/child.c", "csrc/core/broker.c", "csrc/core/link.c", "csrc/core/peer.c",
        "csrc/core/process_pool.c", "csrc/core/worker_process.c", "csrc/core/socket.c", "csrc/core/resolve.c",
        "csrc/core/curl.c", "csrc/core/request.c",
        "csrc/core/fetch.c", "csrc/lua/lsight.c", "csrc/lua/lerror.c",
        "csrc/lua/larg.c", "csrc/lua/ltree.c", "csrc/lua/linterrupt.c", "csrc/lua/lsched.c", "csrc/lua/llocals.c",
        "csrc/lua/lobject.c", "csrc/lua/lname.c", "csrc/lua/lcode.c", "csrc/lua/ldraft.c", "csrc/lua/lpath.c",
        "csrc/lua/lwriter.c", "csrc/lua/lencode.c", "csrc/lua/ldecode.c", "csrc/lua/lcodec.c",
        "csrc/lua/litem.c", "csrc/lua/ltask.c", "csrc/lua/ljob.c", "csrc/lua/lfuture.c",
        "csrc/lua/lwrap.c",
        "csrc/lua/ltrace.c", "csrc/lua/lroster.c", "csrc/lua/lwatchdog.c",
        "csrc/lua/lscope.c", "csrc/lua/lqueue.c", "csrc/lua/lgate.c", "csrc/lua/lcounter.c",
        "csrc/lua/ldict.c", "csrc/lua/larray.c",
        "csrc/lua/lselect.c",
        "csrc/lua/lcoroutine.c", "csrc/lua/lstdin.c", "csrc/lua/lstate.c", "csrc/lua/lworker.c", "csrc/lua/lpool.c",
        "csrc/lua/lpeer.c",
        "csrc/lua/lkernel.c", "csrc/lua/lnumbers.c",
        "csrc/lua/lfd.c", "csrc/lua/lnet.c", "csrc/lua/lprocess.c", "csrc/lua/lfetch.c", "csrc/lua/lmachine.c",
        "csrc/lua/lopen.c",
        "csrc/kernels/operation.c", "csrc/kernels/expression.c", "csrc/kernels/map.c", "csrc/lua/lmap.c",
        "csrc/kernels/row.c", "csrc/kernels/reduce.c", "csrc/kernels/scan.c", "csrc/kernels/sort.c",
        "csrc/kernels/unique.c", "csrc/kernels/histogram.c", "csrc/kernels/search.c", "csrc/lua/lrow.c",
        "csrc/lua/lvectors.c",
      },
      defines = { "_GNU_SOURCE" },
      libraries = { "pthread" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
    ["braid.serve_core"] = {
      sources = {
        "csrc/core/clock.c", "csrc/core/buffer.c", "csrc/core/signals.c", "csrc/core/channel.c",
        "csrc/core/asset.c", "csrc/core/listen.c", "csrc/core/screen.c", "csrc/core/exchange.c",
        "csrc/core/serve.c", "csrc/lua/lsupervise.c", "csrc/lua/lserve.c",
      },
      defines = { "_GNU_SOURCE" },
      libraries = { "microhttpd", "pthread" },
      incdirs = { "$(MICROHTTPD_INCDIR)" },
      libdirs = { "$(MICROHTTPD_LIBDIR)" },
    },
    ["braid.array"] = "lua/braid/array.lua",
    ["braid.command"] = "lua/braid/command/init.lua",
    ["braid.command.advise"] = "lua/braid/command/advise.lua",
    ["braid.command.options"] = "lua/braid/command/options.lua",
    ["braid.command.ps"] = "lua/braid/command/ps.lua",
    ["braid.command.run"] = "lua/braid/command/run.lua",
    ["braid.command.serve"] = "lua/braid/command/serve.lua",
    ["braid.command.tutorial"] = "lua/braid/command/tutorial.lua",
    ["braid.dict"] = "lua/braid/dict.lua",
    ["braid.descriptor"] = "lua/braid/descriptor.lua",
    ["braid.executor"] = "lua/braid/executor.lua",
    ["braid.inline"] = "lua/braid/inline.lua",
    ["braid.pool"] = "lua/braid/pool.lua",
    ["braid.task_pool"] = "lua/braid/task_pool.lua",
    ["braid.thread_pool"] = "lua/braid/thread_pool.lua",
    ["braid.process_pool"] = "lua/braid/process_pool.lua",
    ["braid.worker"] = "lua/braid/worker.lua",
    ["braid.units"] = "lua/braid/units.lua",
    ["braid.statistics"] = "lua/braid/statistics.lua",
    ["braid.machine"] = "lua/braid/machine.lua",
    ["braid.plot"] = "lua/braid/plot.lua",
    ["braid.report"] = "lua/braid/report.lua",
    ["braid.experiment"] = "lua/braid/experiment.lua",
    ["braid.progress"] = "lua/braid/progress.lua",
    ["braid.errors"] = "lua/braid/errors.lua",
    ["braid.future"] = "lua/braid/future.lua",
    ["braid.gather"] = "lua/braid/gather.lua",
    ["braid.http"] = "lua/braid/http/init.lua",
    ["braid.http.request"] = "lua/braid/http/request.lua",
    ["braid.http.response"] = "lua/braid/http/response.lua",
    ["braid.http.session"] = "lua/braid/http/session.lua",
    ["braid"] = "lua/braid/init.lua",
    ["braid.kernels.numbers"] = "lua/braid/kernels/numbers.lua",
    ["braid.kernels.vectors"] = "lua/braid/kernels/vectors.lua",
    ["braid.kernels"] = "lua/braid/kernels/init.lua",
    ["braid.net"] = "lua/braid/net.lua",
    ["braid.process"] = "lua/braid/process.lua",
    ["braid.trace"] = "lua/braid/trace.lua",
    ["braid.sight"] = "lua/braid/sight.lua",
    ["braid.queue"] = "lua/braid/queue.lua",
    ["braid.scope"] = "lua/braid/scope.lua",
    ["braid.stream"] = "lua/braid/stream.lua",
    ["braid.sync"] = "lua/braid/sync.lua",
    ["braid.task"] = "lua/braid/task.lua",
    ["braid.tutorial"] = "lua/braid/tutorial/init.lua",
    ["braid.tutorial.computing"] = "lua/braid/tutorial/computing.lua",
    ["braid.tutorial.concepts"] = "lua/braid/tutorial/concepts.lua",
    ["braid.tutorial.delay_server"] = "lua/braid/tutorial/delay_server.lua",
    ["braid.tutorial.fetching"] = "lua/braid/tutorial/fetching.lua",
    ["braid.tutorial.lab"] = "lua/braid/tutorial/lab.lua",
    ["braid.tutorial.pipeline"] = "lua/braid/tutorial/pipeline.lua",
    ["braid.tutorial.pitfalls"] = "lua/braid/tutorial/pitfalls.lua",
    ["braid.tutorial.primitives"] = "lua/braid/tutorial/primitives.lua",
    ["braid.tutorial.service"] = "lua/braid/tutorial/service.lua",
    ["braid.web.app"] = "lua/braid/web/app.lua",
    ["braid.web.headers"] = "lua/braid/web/headers.lua",
    ["braid.web"] = "lua/braid/web/init.lua",
    ["braid.json"] = "lua/braid/json.lua",
    ["braid.web.request"] = "lua/braid/web/request.lua",
    ["braid.web.response"] = "lua/braid/web/response.lua",
    ["braid.web.router"] = "lua/braid/web/router.lua",
    ["braid.web.access_log"] = "lua/braid/web/access_log.lua",
    ["braid.web.options"] = "lua/braid/web/options.lua",
    ["braid.web.serve"] = "lua/braid/web/serve.lua",
    ["braid.web.supervisor"] = "lua/braid/web/supervisor.lua",
    ["braid.web.worker"] = "lua/braid/web/worker.lua",
    ["braid.web.static"] = "lua/braid/web/static.lua",
    ["braid.web.server"] = "lua/braid/web/server.lua",
    ["braid.web.test_client"] = "lua/braid/web/test_client.lua",
  },
  install = { bin = { "bin/braid" } },
  platforms = {
    macosx = { modules = { ["braid.core"] = { sources = { "csrc/core/poller_kqueue.c" } } } },
  },
}
