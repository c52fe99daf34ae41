-- SPDX-License-Identifier: MIT
-- What cannot pass under an emulator (`make arm64`) or with another C library (`make musl`), and why: whole specs by
-- their files, single tests by their names as they are reported. BRAID_ELSEWHERE says where the suite is run.
local NATIVE = "builds or runs what this machine's own interpreter loads"
local ZERO = "qemu-user ignores MADV_REMOVE, and says that it was done"
local VFORK = "under qemu-user a vfork is a fork: whoever starts a program learns too late that there is none"
local SLOW = "too slow for what is promised of times"
local CURL, OPENSSL = "there is no libcurl for musl", "there is no OpenSSL for musl"
local WSLAY, ZLIB = "there is no wslay for musl", "there are no zlib, brotli and zstd for musl"
local WORDS = "musl words errors differently"

local qemu, musl = {}, {}

local function leave_out(place, reason, names)
  for _, name in ipairs(names) do place[name] = reason end
end

leave_out(qemu, NATIVE, {
  "spec/regress/closed_state_spec.lua", "spec/regress/makefile_spec.lua",
  "busted runs jobs in every file",
})
leave_out(qemu, ZERO, {
  "array memory that comes back is zero again",
  "the memory of arrays is its holders' own, while all come, go and are killed",
  "the memory of arrays stays while any process holds it",
  "the memory of arrays goes when its worker was killed, but for what is held",
  "what crosses the memory of arrays goes when nobody has them any more",
  "the memory of arrays stays behind a slice that came home, when its worker has ended",
})
leave_out(qemu, VFORK, {
  "a worker that cannot be started breaks the pool",
  "process.run starts in another directory",
  "process.run uses a shell only when asked to",
  "process.run names the program that was not found",
})
leave_out(qemu, SLOW, {
  "when a script ends tasks that swallow their cancellation again and again do not keep it alive",
  "a job that computes for ever is cancelled within 20 ms in a loop that swallows every error",
  "clean-up after a wait is not cut short: sleep(0)",
  "clean-up after a wait is not cut short: sleep(60)",
  "map processes: runs slow items side by side",
  "code that computes in coroutines and swallows every error is stopped by a cancel: processes",
  "a worker process that is frozen holds nobody up who does not need it",
})
leave_out(qemu, "the emulator's own memory and descriptors count", {
  "arrays where descriptors are few too many on their way to workers that do not read delay the jobs",
})
leave_out(qemu, "qemu-user does not ignore SIGCHLD", {
  "a worker that dies where the system keeps no status of children: how is not known",
})

leave_out(musl, NATIVE, {
  "spec/regress/closed_state_spec.lua", "spec/regress/makefile_spec.lua",
  "busted runs jobs in every file",
})
leave_out(musl, OPENSSL, {
  "spec/tls_spec.lua", "spec/tls_peers_spec.lua", "spec/luasec_spec.lua", "spec/web_session_spec.lua",
  "spec/web_tls_spec.lua",
  "os.exit ends with its status while threads compute digests",
  "hash gives the digests that the standards give",
  "hash lets the loop go on and can be cancelled",
  "hash of strings and of files, in order, on any number of threads",
  "hash refuses what it cannot take",
  "hash says which file could not be read",
  "redis over TLS is the same, and checks the server's certificate",
})
leave_out(musl, CURL, {
  "spec/http_body_spec.lua", "spec/http_retry_spec.lua", "spec/http_session_spec.lua", "spec/http_spec.lua",
  "spec/http_way_spec.lua", "spec/nginx_spec.lua", "spec/serve_spec.lua", "spec/web_limits_spec.lua",
  "spec/web_stream_spec.lua", "spec/workers_spec.lua", "spec/http_attack_spec.lua", "spec/http_cache_spec.lua",
  "spec/http_events_spec.lua", "spec/http_faults_spec.lua", "spec/http_options_spec.lua",
  "spec/http_redirect_spec.lua", "spec/http_resume_spec.lua", "spec/http_tls_spec.lua", "spec/http_upload_spec.lua",
  "spec/crawler_spec.lua", "spec/telemetry_spec.lua", "spec/web_connection_spec.lua", "spec/web_corpus_spec.lua",
  "spec/web_nginx_spec.lua", "spec/regress/sandbox_spec.lua",
  "a method that is called with a dot of an application and of a session",
  "a file that cannot be written is an error of a download, which leaves nothing; and of a sink that says so",
  "os.exit ends with its status while threads open TLS connections",
  "json over HTTP is the same with client and server",
  "the script ends with an error, with threads in a transfer",
  "the script ends by os.exit(3), with threads in a transfer",
  "the script ends by os.exit(3, true), with threads in a transfer",
  "the script ends by SIGTERM, with threads in a transfer",
  "metrics count tasks, jobs and requests",
  "metrics know queues, the loop's lag, servers and the process",
  "metrics of a closed session still count",
  "a mistake that other ecosystems suggest is answered with what to write",
  "a streamed form saves its files while they come, by a real client",
  "a streamed form says when a file cannot be written, and goes on with the next one",
  "a streamed form that breaks off or is too large leaves nothing behind",
  "a request is on a socket as in the test client",
  "a request believes the proxies that the server names",
  "a mounted application starts and stops with the other one, and has its own limits of bodies",
  "a route's limit of time answers 504 and cancels the handler",
  "a route's limit of concurrency refuses what is too much, until an answer is sent",
  "a route's limit of time is instead of the server's",
  "a route's limit of concurrency ends with a client that leaves, and with a limit of time",
  "a route's limit of the body is its own",
  "worker processes have the same checks",
  "in another folder than at the start the rest of braid is found, and points at its callers",
  "in another folder than at the start workers find modules",
})
leave_out(musl, WORDS, {
  "arrays where addresses are few one that the worker cannot map fails its job, and is taken later",
  "arrays where addresses are few results that cannot be mapped here are an error",
  "arrays where descriptors are few a worker that has none left fails the job, and takes the array later",
  "arrays where descriptors are few so does a parent that has none left for results",
  "process.run says when descriptors have run out",
  "braid ps says that it has no descriptors to look with",
  "a worker that wants descriptors fails its jobs with the system's reason, and them alone: threads",
  "a worker that wants descriptors fails its jobs with the system's reason, and them alone: processes",
  "a worker fails a job that asks for too much memory with the system's reason: threads",
  "a worker fails a job that asks for too much memory with the system's reason: processes",
  "a UDP socket sends and receives datagrams",
})
leave_out(musl, WSLAY, {
  "spec/web_http2_spec.lua", "spec/web_websocket_spec.lua", "spec/websocket_codec_spec.lua",
  "spec/websocket_spec.lua", "spec/manual_spec.lua",
  "app:openapi knows later routes, groups and mounted applications, and no hidden ones",
  "the page of an application tries it out in a browser, on a desk and on a phone",
  "a WebSocket is for pages of its own host, and programs",
  "a WebSocket is for the pages that its spec names",
  "WebSockets count as connections, for the statistics and the limit",
  "a mounted application has WebSockets, as groups have",
  "url_for fills the path in, and puts the rest into the query",
})
leave_out(musl, ZLIB, {
  "spec/http_coding_spec.lua", "spec/web_coding_spec.lua",
  "a .npz archive is read when it is compressed",
  "a .npz archive is compressed if that is wanted, as numpy reads it",
})
leave_out(musl, "musl has no such locales", {
  "json numbers are the same in a locale with a comma",
})

return ({ qemu = qemu, musl = musl })[os.getenv "BRAID_ELSEWHERE"] or {}
