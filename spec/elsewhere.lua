-- SPDX-License-Identifier: MIT
-- What cannot pass under an emulator (`make arm64`) or with another C library (`make musl`), and why: whole specs by
-- their files, single tests by their names as they are reported. BRAID_ELSEWHERE says where the suite is run.
local NATIVE = "builds or runs what this machine's own interpreter loads"
local ZERO = "qemu-user ignores MADV_REMOVE, and says that it was done"
local VFORK = "under qemu-user a vfork is a fork: whoever starts a program learns too late that there is none"
local SLOW = "too slow for what is promised of times"
local CURL, OPENSSL = "there is no libcurl for musl", "there is no OpenSSL for musl"
local WORDS = "musl words errors differently"

local places = {
  qemu = {
    ["spec/regress/closed_state_spec.lua"] = NATIVE,
    ["spec/regress/makefile_spec.lua"] = NATIVE,
    ["array memory that comes back is zero again"] = ZERO,
    ["the memory of arrays is its holders' own, while all come, go and are killed"] = ZERO,
    ["the memory of arrays stays while any process holds it"] = ZERO,
    ["the memory of arrays goes when its worker was killed, but for what is held"] = ZERO,
    ["arrays where descriptors are few too many on their way to workers that do not read delay the jobs"] =
      "the emulator's own memory and descriptors count",
    ["a worker that dies where the system keeps no status of children: how is not known"] =
      "qemu-user does not ignore SIGCHLD",
    ["a worker that cannot be started breaks the pool"] = VFORK,
    ["process.run starts in another directory"] = VFORK,
    ["process.run uses a shell only when asked to"] = VFORK,
    ["process.run names the program that was not found"] = VFORK,
    ["what crosses the memory of arrays goes when nobody has them any more"] = ZERO,
    ["when a script ends tasks that swallow their cancellation again and again do not keep it alive"] = SLOW,
    ["a job that computes for ever is cancelled within 20 ms in a loop that swallows every error"] = SLOW,
    ["the memory of arrays stays behind a slice that came home, when its worker has ended"] = ZERO,
    ["clean-up after a wait is not cut short: sleep(0)"] = SLOW,
    ["clean-up after a wait is not cut short: sleep(60)"] = SLOW,
    ["map processes: runs slow items side by side"] = SLOW,
    ["code that computes in coroutines and swallows every error is stopped by a cancel: processes"] = SLOW,
    ["a worker process that is frozen holds nobody up who does not need it"] = SLOW,
  },
  musl = {
    ["spec/regress/closed_state_spec.lua"] = NATIVE,
    ["spec/regress/makefile_spec.lua"] = NATIVE,
    ["spec/tls_spec.lua"] = OPENSSL,
    ["spec/tls_peers_spec.lua"] = OPENSSL,
    ["spec/luasec_spec.lua"] = OPENSSL,
    ["spec/http_body_spec.lua"] = CURL,
    ["spec/http_retry_spec.lua"] = CURL,
    ["spec/http_session_spec.lua"] = CURL,
    ["spec/http_spec.lua"] = CURL,
    ["spec/http_way_spec.lua"] = CURL,
    ["spec/nginx_spec.lua"] = CURL,
    ["a method that is called with a dot of an application and of a session"] = CURL,
    ["a file that cannot be written is an error of a download, which leaves nothing; and of a sink that says so"] =
      CURL,
    ["os.exit ends with its status while threads open TLS connections"] = CURL,
    ["spec/serve_spec.lua"] = CURL,
    ["spec/web_limits_spec.lua"] = CURL,
    ["spec/web_stream_spec.lua"] = CURL,
    ["spec/workers_spec.lua"] = CURL,
    ["json over HTTP is the same with client and server"] = CURL,
    ["os.exit ends with its status while threads compute digests"] = OPENSSL,
    ["hash gives the digests that the standards give"] = OPENSSL,
    ["hash lets the loop go on and can be cancelled"] = OPENSSL,
    ["hash of strings and of files, in order, on any number of threads"] = OPENSSL,
    ["hash refuses what it cannot take"] = OPENSSL,
    ["hash says which file could not be read"] = OPENSSL,
    ["json numbers are the same in a locale with a comma"] = "musl has no such locales",
    ["arrays where addresses are few one that the worker cannot map fails its job, and is taken later"] = WORDS,
    ["arrays where addresses are few results that cannot be mapped here are an error"] = WORDS,
    ["arrays where descriptors are few a worker that has none left fails the job, and takes the array later"] = WORDS,
    ["arrays where descriptors are few so does a parent that has none left for results"] = WORDS,
    ["process.run says when descriptors have run out"] = WORDS,
    ["braid ps says that it has no descriptors to look with"] = WORDS,
    ["a worker that wants descriptors fails its jobs with the system's reason, and them alone: threads"] = WORDS,
    ["a worker that wants descriptors fails its jobs with the system's reason, and them alone: processes"] = WORDS,
    ["a worker fails a job that asks for too much memory with the system's reason: threads"] = WORDS,
    ["a worker fails a job that asks for too much memory with the system's reason: processes"] = WORDS,
    ["the script ends with an error, with threads in a transfer"] = CURL,
    ["the script ends by os.exit(3), with threads in a transfer"] = CURL,
    ["the script ends by os.exit(3, true), with threads in a transfer"] = CURL,
    ["the script ends by SIGTERM, with threads in a transfer"] = CURL,
  },
}

return places[os.getenv "BRAID_ELSEWHERE"] or {}
