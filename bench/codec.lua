-- codec.lua [CASE]: what it costs to send values: encode, carry (a pointer), decode; the best of some rounds.
require "braid.errors"
local core = require "braid.core"

local function report(metric, value)
  local name, implementation = os.getenv "BENCH_NAME" or "codec", os.getenv "BENCH_IMPL" or "braid"
  print(("%s\t%s\t%s\t%.4g"):format(name, implementation, metric, value))
end

-- Seconds of encode and of decode, each the best of `rounds`, for `count` messages in a row.
local function measure(rounds, count, ...)
  local encode, decode, now = core.encode, core.decode, core.now
  local best_encode, best_decode = math.huge, math.huge
  for _ = 1, rounds do
    collectgarbage()
    local start = now()
    local parcel
    for _ = 1, count do parcel = encode(...) end
    local middle = now()
    for _ = 1, count do decode(parcel) end
    best_encode = math.min(best_encode, middle - start)
    best_decode = math.min(best_decode, now() - middle)
  end
  return best_encode / count, best_decode / count
end

local function in_ms(metric, value, rounds, count)
  local encode, decode = measure(rounds or 10, count or 1, value)
  report(metric .. "_encode_ms", encode * 1000)
  report(metric .. "_decode_ms", decode * 1000)
  report(metric .. "_ms", (encode + decode) * 1000)
end

local cases = {}

function cases.integers()
  local list = {}
  for i = 1, 1000000 do list[i] = i end
  in_ms("million_integers", list)
end

function cases.records()
  local list = {}
  for i = 1, 100000 do list[i] = { id = i, name = "user" .. i, score = i / 3 } end
  in_ms("hundred_thousand_records", list)
end

function cases.string() in_ms("mebibyte", ("x"):rep(1 << 20), 20, 10) end

-- A job as a thread pool sends it.
function cases.job()
  local function job(n) return n + 1 end
  local encode, decode = measure(10, 100000, job, 1)
  report("job_encode_ns", encode * 1e9)
  report("job_decode_ns", decode * 1e9)
end

-- A queue's items: a small table, 1 KiB.
function cases.items()
  for name, value in pairs { table = { id = 1, kind = "x", at = 1.5 }, kibibyte = ("x"):rep(1024) } do
    local encode, decode = measure(10, 100000, value)
    report(name .. "_encode_ns", encode * 1e9)
    report(name .. "_decode_ns", decode * 1e9)
  end
end

-- A function that is new each time, as in a loop that submits jobs.
function cases.closure()
  local n, start = 100000, core.now()
  for i = 1, n do core.encode(function() return i end) end
  report("new_closure_encode_ns", (core.now() - start) / n * 1e9)
  local parcel = core.encode(function() return n end)
  start = core.now()
  for _ = 1, n do core.decode(parcel) end
  report("closure_decode_ns", (core.now() - start) / n * 1e9)
end

local chosen = arg[1]
for _, name in ipairs { "integers", "records", "string", "job", "items", "closure" } do
  if not chosen or chosen == name then cases[name]() end
end
