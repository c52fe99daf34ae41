-- SPDX-License-Identifier: MIT
-- The name that somebody most likely meant: by likeness, or because another ecosystem calls the thing so.

local M = {}

-- How many letters to add, take away, change, or swap with the next one: computed row by row.
local function distance(a, b)
  local before, row, next_row = {}, {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    next_row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local least = math.min(row[j] + 1, next_row[j - 1] + 1, row[j - 1] + (same and 0 or 1))
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      next_row[j] = swapped and math.min(least, before[j - 2] + 1) or least
    end
    before, row, next_row = row, next_row, before
  end
  return row[#b]
end

-- Whether a candidate is the better guess: it is nearer, or as near and as long as the name; else the alphabet decides.
local function is_better(name, candidate, d, best, least)
  if not best or d ~= least then return not best or d < least end
  local fits, fitted = #candidate == #name, #best == #name
  if fits ~= fitted then return fits end
  return candidate < best
end

-- Names of braid's own fields begin with "_".
local function is_public(name) return type(name) == "string" and name:byte() ~= 95 end

---The known name that is most similar to this one; nil if none is similar enough.
---@param name string
---@param known table<string, any>
---@return string?
function M.nearest(name, known)
  local best, least
  for candidate in pairs(known) do
    local d = is_public(candidate) and distance(name, candidate)
    if d and is_better(name, candidate, d, best, least) then
      best, least = candidate, d
    end
  end
  return least and least < #name and least <= math.max(2, #name // 3) and best or nil
end

-- Options as Python's, Go's and Node's libraries spell them -> our names for them; the first one that is known counts.
local OPTIONS = {
  max_workers = "workers limit", num_workers = "workers", n_workers = "workers", n_jobs = "workers",
  threads = "workers",
  processes = "workers", size = "workers", concurrency = "limit workers", max_concurrency = "limit",
  initializer = "init", initargs = "init_args", max_tasks_per_child = "max_jobs_per_worker",
  maxtasksperchild = "max_jobs_per_worker", chunksize = "chunk", chunk_size = "chunk",
  params = "query", qs = "query", querystring = "query", data = "body form", content = "body", files = "multipart",
  allow_redirects = "follow", follow_redirects = "follow", max_redirects = "follow", verify_ssl = "verify",
  cert = "tls", ssl = "tls",
  proxies = "proxy", stream = "sink", user_agent = "headers", bearer = "auth", token = "auth",
  return_exceptions = "return_errors", max_retries = "retry", deadline = "timeout", timeout_ms = "timeout",
  min_size = "min", max_size = "max", pool_size = "max", ttl = "idle_time", dsn = "conninfo", uri = "conninfo",
  passwd = "password", db = "database", dbname = "database", username = "user", hostname = "host", addr = "host",
  bind = "host", capture_output = "stdout", shell = "argv", certfile = "cert", keyfile = "key", backlog = "max",
}

---The option that somebody meant who wrote `name`.
---@param name string
---@param known table<string, any>
---@return string?
function M.option(name, known)
  for candidate in (OPTIONS[name] or ""):gmatch "%S+" do
    if known[candidate] then return candidate end
  end
  return M.nearest(name, known)
end

-- Functions, types and methods as others call them -> what braid has instead; the first one that is known counts.
local NAMES = {
  go = "spawn", create_task = "spawn", ensure_future = "spawn", start_soon = "spawn", Thread = "spawn",
  delay = "sleep", usleep = "sleep", wait_for = "timeout", fail_after = "timeout", with_timeout = "timeout",
  all = "gather", Promise = "gather", join = "gather result wait", parallel = "map", any = "race",
  TaskGroup = "scope", task_group = "scope", nursery = "scope", open_nursery = "scope", errgroup = "scope",
  channel = "queue", chan = "queue", Channel = "queue", mutex = "lock", Mutex = "lock", rlock = "lock",
  ThreadPoolExecutor = "thread_pool", threadpool = "thread_pool", ProcessPoolExecutor = "process_pool",
  multiprocessing = "process_pool", run_in_executor = "to_thread", yield = "checkpoint", tick = "every",
  requests = "http", fetch = "http", aiohttp = "http", socket = "net", tcp = "net", subprocess = "process",
  popen = "process", psycopg = "postgres", pg = "postgres", numpy = "kernels", fastapi = "web", server = "web",
  interval = "every", set_interval = "every", ticker = "every", rate_limit = "limiter", ws = "websocket",
  loads = "decode", parse = "decode", dumps = "encode", stringify = "encode", FastAPI = "app", Flask = "app",
  qsize = "size", len = "size", length = "size", get_nowait = "try_get", put_nowait = "try_put", empty = "is_empty",
  full = "is_full", push = "put", pop = "get try_get", send = "put write send_to", recv = "get read receive",
  receive = "get read", sendall = "write", readline = "read", readlines = "lines", makefile = "read",
  apply_async = "submit", apply = "submit", execute = "submit", imap_unordered = "imap", map_async = "map",
  starmap = "map", exception = "error", add_done_callback = "on_done", is_alive = "running", is_done = "done",
  value = "result", unlock = "release", lock = "acquire", notify_one = "notify", signal = "notify set",
  broadcast = "notify_all", inc = "add", incr = "add", increment = "add", start = "spawn serve",
  route = "get", run = "serve", listen = "serve", terminate = "kill close", stop = "shutdown close",
  communicate = "wait", poll = "wait", stdout = "read",
}

---The public name that somebody meant who wrote `name`.
---@param name string
---@param known table<string, any>
---@return string?
function M.name(name, known)
  for meant in (NAMES[name] or ""):gmatch "%S+" do
    if known[meant] then return meant end
  end
  for candidate in pairs(known) do
    if is_public(candidate) and candidate:lower() == name:lower() then return candidate end
  end
  return M.nearest(name, known)
end

return M
