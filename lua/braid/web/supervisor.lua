-- SPDX-License-Identifier: MIT
-- Several processes behind the same addresses. Each place has its own listening socket for each TCP address, which the
-- supervisor keeps open. The system spreads connections over these sockets (SO_REUSEPORT). While nobody accepts at a
-- place, because its worker has died, starts, or hangs, the supervisor accepts there, and gives the connections to
-- workers of other places. Unix sockets, and sockets that the service manager has passed, are the same ones for all
-- workers. Each worker is a process pool of its own, with one job that serves: so shared objects are the supervisor's.
-- They get the application, or load its file.
local core = require "braid.core"
local errors = require "braid.errors"
local scope = require "braid.tasks.scope"
local sync = require "braid.sync.primitives"
local process_pool = require "braid.pools.process_pool"
local backoffs = require "braid.supervision.backoff"
local dicts = require "braid.sync.dict"
local listeners = require "braid.web.listeners"
local meter = require "braid.web.meter"
local worker_module = require "braid.web.worker"

local M = {}

local START_LIMIT = 30 -- seconds until a worker must serve
local SPARE = 2        -- seconds beyond grace, after which a worker that does not end is killed
local STEADY = 5       -- a worker that has run for more seconds than this is restarted after the first pause
local PAUSES = { first = 0.02, factor = 2, most = 5 }
local LINGER = 0.5     -- seconds that a replaced worker keeps idle connections
local SILENT = 2.5     -- seconds without a sign of life, after which others take a worker's connections
local LOOK = 0.2       -- seconds between two looks whether a place is attended

---@class braid.web.Supervisor
---@field host string? of the first TCP address
---@field port integer?
---@field url string of the first address
---@field urls string[] of all
local Supervisor = {}
Supervisor.__index = Supervisor
Supervisor.__name = "braid.supervisor"

local function say(format, ...) io.stderr:write(("braid: " .. format .. "\n"):format(...)) end

-- ---- a worker -------------------------------------------------------------------------------------------------------

local function send(control, text, descriptor)
  repeat
    local sent = control:send(text, descriptor)
    if sent ~= false then return sent end
  until not core.wait_fd(control:fd(), "w")
end

-- Waits for a message; nil if the other end has closed.
local function receive(control)
  repeat
    local text = control:receive()
    if text ~= false then return text end
  until not core.wait_fd(control:fd(), "r")
end

-- ---- metrics --------------------------------------------------------------------------------------------------------

local ASK_LIMIT = 1 -- seconds until a worker must have written its metrics; else its last ones count

-- Lets all workers write their metrics on the board.
local function gather_metrics(self)
  local waiting = {}
  for _, worker in pairs(self._workers) do
    if worker.is_ready and not worker.ended then
      worker.asked = sync.event()
      worker.control:send("A")
      waiting[#waiting + 1] = worker
    end
  end
  local deadline = core.now() + ASK_LIMIT
  for _, worker in ipairs(waiting) do worker.asked:wait(math.max(0, deadline - core.now())) end
end

-- A worker wants the metrics of all. Questions that come together are answered together.
local function tell_metrics(self, worker, number)
  self._asking:with(gather_metrics, self)
  worker.control:send("S" .. number)
end

-- What an ended worker has counted goes to those of all that have ended.
local function keep_counts(self, worker)
  local snapshot = self._board:get(worker.token)
  if not snapshot then return end
  self._ended[1] = meter.sum { meter.remains(snapshot), self._ended[1] }
  self._board:set("ended", self._ended[1])
  self._board:set(worker.token, nil)
end

-- ---- the life of a worker -------------------------------------------------------------------------------------------

-- Handles the worker's messages until it closes its end of the control socket.
local function listen_to(self, worker)
  for text in receive, worker.control do
    local letter = text:sub(1, 1)
    worker.heard = core.now()
    if letter == "R" then worker.is_ready = true worker.ready:set() end
    if letter == "D" then worker.drained:set() end
    if letter == "A" and worker.asked then worker.asked:set() end
    if letter == "S" then self._tasks:spawn(tell_metrics, self, worker, text:sub(2)):daemon() end
    if letter == "B" then
      worker.accepted, worker.connections, worker.requests, worker.websockets =
        text:match("B(%d+) (%d+) (%d+) (%d+)")
    end
  end
end

local function kill(worker)
  if worker.future:done() then return end
  if worker.pid then core.kill(worker.pid, core.signals.KILL) else worker.future:cancel() end
end

-- Kills a worker that gives no sign of life, or does not end in time.
local function guard(worker, limit)
  while true do
    core.sleep(0.5)
    local now = core.now()
    local silent = now - worker.heard > (worker.is_ready and limit or START_LIMIT)
    if silent then say("worker %s gives no sign of life, and is killed", worker.pid or "?") end
    if silent or worker.deadline and now > worker.deadline then return kill(worker) end
  end
end

-- Returns how the job of a worker ended, and why it could not serve.
local function how_it_ended(future)
  local err = future:error()
  if not err then return "ended" end
  if errors.is_error(err, "worker_died") and err.signal then return ("was ended by signal %d"):format(err.signal) end
  if errors.is_error(err, "worker_died") and err.status then return ("ended with status %d"):format(err.status) end
  return "failed", errors.told(err, future:traceback())
end

-- Accompanies a worker until its end.
local function attend(self, worker)
  scope.scope(function(tasks)
    tasks:spawn(guard, worker, self._hang_limit):daemon()
    worker.future:wait()
    worker.ended, worker.failure = how_it_ended(worker.future)
  end)
  self._workers[worker.token] = nil
  worker.ready:set()
  worker.drained:set()
  worker.gone:set()
  worker.pool:close()
  keep_counts(self, worker)
end

-- Begins a worker. It is not ready yet.
local function start_worker(self, place)
  self._begun = self._begun + 1
  local pool = process_pool.process_pool { workers = 1, name = "web worker" }
  local worker = {
    token = ("%d.%s"):format(self._begun, self._secret), place = place, pool = pool, ready = sync.event(),
    drained = sync.event(), gone = sync.event(), began = core.now(), heard = core.now(), accepted = 0, connections = 0,
    requests = 0, websockets = 0,
  }
  local ok, future = pcall(pool.submit, pool, worker_module.run, self._name, worker.token, self._plan)
  if not ok then
    pool:close()
    return nil, future
  end
  worker.future = future
  self._workers[worker.token] = worker
  self._tasks:spawn(attend, self, worker)
  return worker
end

local function tell(worker)
  local grace = math.max(0, worker.deadline - SPARE - core.now())
  worker.control:send(("Q%.17g %.17g"):format(math.min(grace, 1e9), worker.linger))
end

-- Sends the listeners, and the word to begin.
local function send_listeners(self, place, control)
  for _, list in ipairs { place.listeners, self._common } do
    for _, listener in ipairs(list) do
      if not send(control, "L", listener) then return false end
    end
  end
  return send(control, "G")
end

-- A worker has connected: it gets its listeners.
local function greet(self, control, pid)
  local text = receive(control)
  local worker = text and self._workers[text:match "^H(.*)$" or ""]
  if worker and not worker.control and worker.place.listeners then
    worker.control, worker.pid, worker.heard = control, pid, core.now()
    if send_listeners(self, worker.place, control) then
      if worker.deadline then tell(worker) end
      listen_to(self, worker)
    end
  end
  control:close()
end

local function greet_all(self)
  while core.wait_fd(self._control, "r") do
    local control, pid = core.control_accept(self._control)
    if control then self._tasks:spawn(greet, self, control, pid):daemon() end
  end
end

-- Waits until a worker serves; returns nil and the reason if it does not.
local function await_ready(worker)
  worker.ready:wait()
  if worker.is_ready then return true end
  return nil, worker.failure or ("a worker " .. (worker.ended or "ended"))
end

local function tell_to_stop(worker, grace, linger)
  if worker.deadline then return end
  worker.deadline, worker.linger = core.now() + grace + SPARE, linger
  if worker.control then tell(worker) end -- else it is told when it connects
end

-- ---- a place --------------------------------------------------------------------------------------------------------

-- Replaces the worker of a place when it dies, until the place is removed.
local function keep(self, place)
  local backoff = backoffs.new(PAUSES)
  while not place.over do
    local worker = place.worker
    worker.gone:wait()
    if place.over or self._stopping then return end
    if worker == place.worker then
      say("worker %s %s%s; it is replaced", worker.pid or "?", worker.ended,
        worker.failure and " (" .. worker.failure .. ")" or "")
      core.sleep(backoff:failed(core.now() - worker.began, STEADY))
      if self._stopping or place.over then return end
    end
    if worker == place.worker then -- a reload may have replaced it already
      local next_worker, problem = start_worker(self, place)
      if next_worker then
        place.worker = next_worker
        if await_ready(next_worker) then say("worker %d serves", next_worker.pid) end
      else
        say("a worker cannot be started: %s", errors.text(problem))
        core.sleep(1)
      end
    end
  end
end

-- ---- a place that nobody attends ------------------------------------------------------------------------------------

local function close_place(place)
  listeners.close(place.listeners or {})
  place.listeners = nil
end

local function is_attended(place)
  local worker = place.worker
  return worker.is_ready and not worker.ended and core.now() - worker.heard < SILENT
end

-- The worker of another place whose turn it is.
local function next_worker(self, place)
  for _ = 1, #self._places do
    self._turn = self._turn % #self._places + 1
    local other = self._places[self._turn]
    if other ~= place and other.worker and is_attended(other) then return other.worker end
  end
end

-- Gives a connection that waits at a place to another worker. False when none waits, or nobody can take it.
local function hand_over(self, place, listener)
  local worker = next_worker(self, place)
  local connection = worker and place.listeners and core.accept(listener)
  if not connection then return false end
  local sent = send(worker.control, "C", connection)
  core.close_fd(connection)
  return sent ~= nil
end

-- Accepts at a place as long as its worker does not.
local function stand_in(self, place, listener)
  while not place.over and place.listeners do
    if is_attended(place) or not next_worker(self, place) or not core.wait_fd(listener, "r", LOOK) then
      core.sleep(LOOK / 4)
    elseif not hand_over(self, place, listener) then
      core.sleep(LOOK / 4)
    end
  end
end

-- Closes a place when its worker has closed its own end, and nobody waits any more.
local function leave_place(self, place)
  place.worker.drained:wait(SILENT)
  for _, listener in ipairs(place.listeners or {}) do
    while hand_over(self, place, listener) do end
  end
  close_place(place)
end

-- ---- places ---------------------------------------------------------------------------------------------------------

local TCP, COMMON = { tcp = true }, { unix = true, passed = true }

local function add_place(self)
  local own, err = self._spare, "no listener"
  self._spare = nil
  if not own then own, err = listeners.open(self._addresses, true, TCP) end
  if not own then return nil, err end
  local place = { listeners = own }
  local worker, problem = start_worker(self, place)
  if not worker then
    close_place(place)
    return nil, problem
  end
  place.worker = worker
  self._places[#self._places + 1] = place
  return place
end

local function attend_place(self, place)
  self._tasks:spawn(keep, self, place)
  for _, listener in ipairs(place.listeners) do self._tasks:spawn(stand_in, self, place, listener):daemon() end
end

-- ---- starting and stopping ------------------------------------------------------------------------------------------

local function start_all(self, count)
  for _ = 1, count do
    local place, problem = add_place(self)
    if not place then error(errors.new("system", errors.text(problem)), 0) end
  end
  for _, place in ipairs(self._places) do
    local ready, problem = await_ready(place.worker)
    if not ready then error(errors.new("worker_died", "a worker cannot start: " .. problem), 0) end
  end
end

-- Called when the last worker has ended.
local function clean_up(self)
  for _, worker in pairs(self._workers) do kill(worker) end
  core.close_fd(self._control)
  for _, place in ipairs(self._places) do close_place(place) end
  listeners.close(self._spare or {})
  listeners.close(self._common)
  listeners.remove(self._addresses)
  self._over = true
end

local function supervise(self, count)
  local _ <close> = setmetatable({}, { __close = function()
    self._stopping = true
    clean_up(self)
  end })
  scope.scope(function(tasks)
    self._tasks = tasks
    tasks:spawn(greet_all, self):daemon()
    local ok, problem = pcall(start_all, self, count)
    if not ok then
      self._problem = problem
      self._started:set()
      self:stop(0)
      for _, worker in pairs(self._workers) do kill(worker) end
      return
    end
    for _, place in ipairs(self._places) do attend_place(self, place) end
    self._started:set()
    self._stop:wait()
    for _, place in ipairs(self._places) do close_place(place) end
    for _, worker in pairs(self._workers) do tell_to_stop(worker, self._deadline - core.now(), 0) end
  end)
end

-- A word that only workers of this server know.
local function secret()
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(12):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- Another server at an address is found only by a socket that does not want to share it.
local function probe(addresses)
  local found, err = listeners.open(addresses, false, TCP)
  listeners.close(found or {})
  return found ~= nil, err
end

-- The listeners of the first place, and those of all.
local function listen(addresses)
  local free, err = probe(addresses)
  if not free then return nil, err end
  local own, common
  own, err = listeners.open(addresses, true, TCP)
  if not own then return nil, err end
  common, err = listeners.open(addresses, false, COMMON)
  if common then return own, common end
  listeners.close(own)
  return nil, err
end

local function new_supervisor(plan, options, addresses, own, common)
  local self = {
    _plan = plan, _secret = secret(), _begun = 0, _workers = {}, _places = {}, _turn = 0, _spare = own,
    _common = common, _addresses = addresses, _grace = options.grace, _hang_limit = options.worker_timeout,
    _started = sync.event(), _stop = sync.event(), _board = plan.board, _ended = {}, _asking = sync.lock(),
  }
  for name, value in pairs(listeners.described(addresses, options.tls ~= nil)) do self[name] = value end
  return setmetatable(self, Supervisor)
end

---@param source {app: braid.web.App?, file: string?}
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Supervisor?
---@return any err if it cannot listen at the addresses
function M.start(source, options)
  local addresses, err = listeners.places(options)
  if not addresses then return nil, err end
  local own, common = listen(addresses)
  if not own then return nil, common end
  local plan = {
    app = source.app, file = source.file, options = options, addresses = listeners.lent(addresses),
    board = dicts.dict(),
  }
  local self = new_supervisor(plan, options, addresses, own, common)
  local encoded, problem = pcall(core.encode, plan)
  if encoded then
    self._control, self._name = core.control_listen()
    problem = not self._control and errors.new("system", "no workers can be started: " .. self._name)
  end
  if problem and not self._control then
    listeners.close(own)
    listeners.close(common)
    listeners.remove(addresses)
    error(problem, 0)
  end
  self._task = core.spawn(supervise, self, options.workers)
  self._task.name = "supervisor " .. self.url
  self._task:daemon()
  self._started:wait()
  if not self._problem then return self end
  self._task:wait()
  error(self._problem, 0)
end

--- Begins to stop: every worker finishes its requests within `grace` seconds. Does not suspend; wait() does.
---@param grace number? seconds; default: the option of serve
function Supervisor:stop(grace)
  if self._stopping then return end
  self._stopping = true
  self._deadline = core.now() + (grace or self._grace)
  self._stop:set()
end

-- Waits until it begins to stop, or has failed.
function Supervisor:_await_stop() self._stop:wait() end

--- Waits until the last worker has ended. Suspends.
---@param timeout number? seconds
---@return boolean stopped
function Supervisor:wait(timeout)
  if not self._task:wait(timeout) then return false end
  local err = self._task:error()
  if err and not errors.is_error(err, "cancelled") then error(err, 0) end
  return true
end

local function replace(self, place)
  local worker, problem = start_worker(self, place)
  if not worker then return nil, problem end
  local ready
  ready, problem = await_ready(worker)
  if self._stopping then return nil, "the server stops" end
  if not ready then return nil, problem end
  local before = place.worker -- the current one: the one at the beginning may have died
  place.worker = worker
  local stopped = place.over and worker or before
  tell_to_stop(stopped, self._grace, LINGER)
  stopped.drained:wait(SILENT) -- from now on only the new one accepts
  say("worker %d takes the place of %d", worker.pid, before.pid)
  return true
end

--- Replaces every worker, one after the other. The new one serves before the old one stops, so no request is lost.
--- Suspends. If a worker cannot start, the old one stays.
---@return boolean? replaced
---@return string? problem
function Supervisor:reload()
  if self._reloading then return nil, "they are being replaced already" end
  self._reloading = true
  local _ <close> = setmetatable({}, { __close = function() self._reloading = false end })
  for _, place in ipairs({ table.unpack(self._places) }) do
    local replaced, problem = replace(self, place)
    if not replaced then return nil, errors.text(problem) end
  end
  return true
end

--- Adds a worker. Suspends until it serves.
---@return boolean? added
---@return string? problem
function Supervisor:add()
  local place, problem = add_place(self)
  if not place then return nil, errors.text(problem) end
  local ready
  ready, problem = await_ready(place.worker)
  if not ready then
    place.over = true
    close_place(place)
    table.remove(self._places)
    return nil, problem
  end
  attend_place(self, place)
  say("worker %d serves", place.worker.pid)
  return true
end

--- Removes a worker, unless it is the last one.
---@return boolean removed
function Supervisor:remove()
  if #self._places <= 1 then return false end
  local place = table.remove(self._places)
  place.over = true
  tell_to_stop(place.worker, self._grace, LINGER)
  self._tasks:spawn(leave_place, self, place)
  say("worker %d stops", place.worker.pid)
  return true
end

--- The process ids of the workers.
---@return integer[]
function Supervisor:pids()
  local pids = {}
  for _, place in ipairs(self._places) do pids[#pids + 1] = place.worker.pid end
  return pids
end

--- The sum of the loads that the workers last reported.
---@return {workers: integer, accepted: integer, connections: integer, requests: integer, websockets: integer}
function Supervisor:stats()
  local stats = { workers = 0, accepted = 0, connections = 0, requests = 0, websockets = 0 }
  for _, worker in pairs(self._workers) do
    stats.workers = stats.workers + 1
    for _, name in ipairs { "accepted", "connections", "requests", "websockets" } do
      stats[name] = stats[name] + math.tointeger(tonumber(worker[name]))
    end
  end
  return stats
end

-- The end of a `<close>` variable. Running requests may end even if the caller is cancelled.
function Supervisor.__close(self)
  scope.shield(function()
    self:stop()
    self:wait()
  end)
end

return M
