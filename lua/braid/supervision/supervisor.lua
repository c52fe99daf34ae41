-- SPDX-License-Identifier: MIT
--- Supervisors: they keep tasks, threads and processes running.
---
--- One task of braid's own decides everything: what has happened comes to it through a queue. It belongs to no scope,
--- so it can stop the children in order also when the program is cancelled. A second task, in the scope of the program,
--- stands for the supervisor: it ends when the supervisor does.

local core = require "braid.core"
local errors = require "braid.errors"
local children = require "braid.supervision.child"
local daemon = require "braid.tasks.daemon"
local queues = require "braid.sync.queue"
local scope = require "braid.tasks.scope"
local task = require "braid.tasks.task"

local M = {}

---A supervisor, as `braid.supervisor` makes it. `<close>` stops it.
---@class braid.Supervisor
---@field private _options table
---@field private _children braid.supervision.Child[]
---@field private _news braid.Queue
---@field private _done braid.Event
---@field private _failures number[] times of the last ones
---@field private _failure any with which it has ended
---@field private _task braid.Task which stands for it
---@field private _stopping boolean?
local Supervisor = { __name = "braid.supervisor" }
Supervisor.__index = Supervisor

-- ---- what happens ---------------------------------------------------------------------------------------------------

local function tell(self, news) self._news:try_put(news) end

local function start(self, child)
  local ok, err = child:start(function(news) tell(self, news) end)
  if ok then return end
  if errors.is_error(err, "not_sendable") then self._failure = err end
  tell(self, { child = child, err = err })
end

local function stop_all(self, from)
  for i = #self._children, from or 1, -1 do
    local child = self._children[i]
    if child.state == "running" or child.state == "waiting" then child:stop() end
  end
end

-- The children that a failure of this one concerns, by the strategy.
local function concerned(self, child)
  local strategy, list, seen = self._options.strategy, {}, false
  for _, each in ipairs(self._children) do
    seen = seen or each == child
    local goes_along = strategy == "all_for_one" or strategy == "rest_for_one" and seen
    if each == child or goes_along and (each.state == "running" or each.state == "waiting") then
      list[#list + 1] = each
    end
  end
  return list
end

-- Starts the children after so many seconds; those that run are stopped at once, the last one first.
local function restart(list, seconds)
  for i = #list, 1, -1 do
    if list[i].state == "running" then list[i]:stop() end
  end
  for _, child in ipairs(list) do
    child:enter "waiting"
    child.due = core.now() + seconds
    child.restarts = child.restarts + 1
  end
end

-- Notes a failure. True: there were too many.
local function is_one_too_many(self)
  local times, now = self._failures, core.now()
  times[#times + 1] = now
  while times[1] < now - self._options.period do table.remove(times, 1) end
  return #times > self._options.max_restarts
end

local function give_up(self, child, err)
  local text = ("supervisor: child %q has failed, and this is failure number %d within %g s: %s"):format(
    child.spec.name, #self._failures, self._options.period, errors.text(err))
  self._failure = errors.new("restarts", text, { cause = err, child = child.spec.name })
end

local function on_failure(self, child, err, place)
  child.err = err
  if child.spec.restart == "never" then
    child:enter "ended"
  elseif is_one_too_many(self) then
    child:enter "ended"
    return give_up(self, child, err)
  else
    local pause = child.backoff:failed(core.now() - child.since, self._options.period)
    restart(concerned(self, child), pause)
  end
  child:tell(err, place)
end

local function on_end(child)
  if child.spec.restart == "always" then
    restart({ child }, child.spec.backoff.first)
  else
    child:enter "ended"
  end
end

-- A child has ended, has not even begun, or is not healthy.
local function on_child(self, news)
  local child = news.child
  if news.run and not child:is_at(news.run) then return end -- it has been stopped meanwhile
  if news.unhealthy then
    child:stop()
  else
    child:leave(true)
  end
  if news.err ~= nil then on_failure(self, child, news.err, news.at) else on_end(child) end
end

local function on_restart(self, news)
  local child = news.restart
  if child.state == "running" or child.state == "waiting" then child:stop() end
  child.restarts = child.restarts + 1
  child.backoff:reset()
  start(self, child)
  news.done:set()
end

local TRIFLE = 1e-6 -- seconds: a wait that is shorter may end before its time, by rounding

-- Starts what is due. Returns the seconds until the next one is; nil if none waits.
local function start_due(self)
  local least
  for _, child in ipairs(self._children) do
    local left = child.state == "waiting" and child.due - core.now()
    if left and left < TRIFLE then
      start(self, child)
    elseif left then
      least = math.min(least or left, left)
    end
  end
  return least
end

local function has_work(self)
  for _, child in ipairs(self._children) do
    if child.state == "running" or child.state == "waiting" then return true end
  end
  return self._news:size() > 0
end

local function supervise(self)
  for _, child in ipairs(self._children) do start(self, child) end
  while not self._failure do
    local left = start_due(self)
    if not has_work(self) then break end
    local news = self._news:get(left)
    if news and news.stop then break end
    if news and news.restart then on_restart(self, news) elseif news then on_child(self, news) end
  end
  stop_all(self)
end

local function close_news(self)
  self._news:close()
  for news in self._news:items() do
    if news.done then news.done:set() end
  end
end

-- The task that decides.
local function main(self)
  local ok, err = errors.try(scope.scope, function() supervise(self) end)
  if not ok then self._failure = self._failure or err end
  close_news(self)
  self._done:set()
end

-- The task that stands for the supervisor.
local function stand(self)
  local ok, err, place = errors.try(self._done.wait, self._done)
  if not ok then
    tell(self, { stop = true })
    scope.shield(self._done.wait, self._done)
    core.rethrow(err, place)
  end
  if self._failure ~= nil then core.rethrow(self._failure) end
  return true
end

-- ---- what a program calls -------------------------------------------------------------------------------------------

---Waits until the supervisor has ended: it was stopped, or no child is to be restarted. Raises kind "restarts" if there
---were too many failures; `err.cause` is the last one, `err.child` whose it was. Suspends.
---@param timeout number? seconds; then it raises kind "timeout"
---@return true ended
function Supervisor:wait(timeout) return self._task:result(timeout) end

---Stops the children, the last one first, and then the supervisor. Waits until all have stopped. Suspends.
---@return true stopped
function Supervisor:stop()
  tell(self, { stop = true })
  self._done:wait()
  return true
end

function Supervisor:__close() scope.shield(self.stop, self) end

---What the children do. `state` is "running", "waiting" (for its restart), "stopped" or "ended" (it is not restarted);
---`seconds`: for how long; `error`: its last failure. Does not suspend.
---@return {name: string, model: string, state: string, restarts: integer, seconds: number, error: any}[] children in
--- the order of their start
function Supervisor:children()
  local list = {}
  for i, child in ipairs(self._children) do list[i] = child:facts() end
  return list
end

---Stops a child, starts it again, and waits until it has been started. It does not count as a failure. Suspends.
---@param name string
---@return true? restarted
---@return braid.Error? err kind "closed": the supervisor has ended
function Supervisor:restart(name)
  local known = {}
  for _, child in ipairs(self._children) do known[child.spec.name] = child end
  local child = known[name]
  if not child then
    errors.misuse(1, "bad argument 'name' to 'restart' (the name of a child expected, got %s)",
      type(name) == "string" and ("%q"):format(name) or errors.described(name))
  end
  local done = core.event_new()
  if self._done:is_set() or not self._news:try_put { restart = child, done = done } then
    return nil, errors.new("closed", "supervisor:restart: it has ended")
  end
  done:wait()
  return true
end

function Supervisor:__braid_pack()
  core.rethrow(errors.new("not_sendable", ("a supervisor cannot be sent (%s)"):format(self._options.name)))
end

-- ---- options --------------------------------------------------------------------------------------------------------

local STRATEGIES = { one_for_one = true, all_for_one = true, rest_for_one = true }
local MODELS = { task = true, thread = true, process = true }
local RESTARTS = { always = true, on_error = true, never = true }

local OPTIONS = {
  strategy = "string", max_restarts = "integer", period = "number", children = "table", name = "string",
  on_failure = "function",
}
local CHILD_OPTIONS = {
  name = "string", run = "function", model = "string", restart = "string", backoff = "table", stop_timeout = "number",
  health = "function",
}
local BACKOFF = { first = "number", factor = "number", most = "number" }

local function choice(name, value, default, allowed)
  value = value or default
  if allowed[value] then return value end
  local words = {}
  for word in pairs(allowed) do words[#words + 1] = ("%q"):format(word) end
  table.sort(words)
  errors.misuse(2, "bad option '%s' of 'supervisor' (%s expected, got %q)", name, table.concat(words, ", "), value)
end

local function backoff_of(given)
  errors.check_options(2, "backoff", given, BACKOFF)
  given = given or {}
  local backoff = { first = given.first or 0.1, factor = given.factor or 2, most = given.most or 30 }
  for name, value in pairs(backoff) do
    if value < 0 or value ~= value then
      errors.misuse(2, "bad option 'backoff.%s' of 'supervisor' (a number, not negative, expected, got %s)", name,
        value)
    end
  end
  return backoff
end

local function to_stderr(err, name, traceback)
  io.stderr:write(("braid: the child %q of a supervisor has failed: %s\n"):format(name, errors.told(err, traceback)))
end

local function child_of(given, seen, report)
  errors.check_options(2, "supervisor's child", given, CHILD_OPTIONS)
  errors.check_seconds(2, "supervisor's child", given, "stop_timeout")
  for _, name in ipairs { "name", "run" } do
    if given[name] == nil then errors.misuse(2, "supervisor: a child lacks '%s'", name) end
  end
  if seen[given.name] then errors.misuse(2, "supervisor: two children have the name %q", given.name) end
  seen[given.name] = true
  return children.new {
    name = given.name, run = given.run, model = choice("model", given.model, "task", MODELS),
    restart = choice("restart", given.restart, "always", RESTARTS), backoff = backoff_of(given.backoff),
    stop_timeout = given.stop_timeout or 5, health = given.health, on_failure = report or to_stderr,
  }
end

local function children_of(list, report)
  if type(list) ~= "table" or #list == 0 then
    errors.misuse(2, "supervisor: children are missing: braid.supervisor{ children = { { name = ..., run = fn } } }")
  end
  local made, seen = {}, {}
  for i, given in ipairs(list) do
    if type(given) ~= "table" then
      errors.misuse(2, "bad option 'children[%d]' of 'supervisor' (a table expected, got %s)", i,
        errors.described(given))
    end
    made[i] = child_of(given, seen, report)
  end
  return made
end

---Starts children, in order, and keeps them running. A child is a function that runs as a task, or in a thread or
---process of its own. If it fails (an error, a process that dies, a health check that is not passed), it is started
---again after a pause, which grows from one failure to the next. By the strategy, others are restarted with it:
---"one_for_one" (default) none, "all_for_one" all, "rest_for_one" those that were started after it. More than
---`max_restarts` failures within `period` seconds end the supervisor. Does not suspend.
---
---The supervisor is part of the current scope, which waits for it; a cancel stops it, the last child first. Failures of
---children are reported on stderr, or to `on_failure(err, name, traceback)`, which must not wait.
---
---Of a child: `name`; `run`, the function; `model`: "task" (default), "thread" or "process"; `restart`: "always"
---(default), "on_error" or "never"; `backoff`: { first = 0.1, factor = 2, most = 30 }, in seconds; `stop_timeout`:
---seconds until a child that is stopped is left alone, default 5; `health`: called each second; it must return a true
---value within 5 s.
---@param opts {strategy: "one_for_one"|"all_for_one"|"rest_for_one"|nil, max_restarts: integer?, period: number?,
--- children: table[], name: string?, on_failure: fun(err: any, name: string, traceback: string?)?} max_restarts:
--- default 3; period: default 5 s; name: for `braid ps`
---@return braid.Supervisor
function M.supervisor(opts)
  errors.check_options(1, "supervisor", opts, OPTIONS)
  errors.check_ranges(1, "supervisor", opts, { max_restarts = { 0, math.maxinteger } })
  errors.check_seconds(1, "supervisor", opts, "period")
  opts = opts or {}
  local self = setmetatable({
    _options = {
      strategy = choice("strategy", opts.strategy, "one_for_one", STRATEGIES),
      max_restarts = opts.max_restarts or 3, period = opts.period or 5, name = opts.name or "supervisor",
    },
    _children = children_of(opts.children, opts.on_failure), _failures = {}, _news = queues.queue(),
    _done = core.event_new(),
  }, Supervisor)
  self._task = task.spawn(stand, self)
  self._task.name = self._options.name
  daemon.start(main, self).name = self._options.name .. " (children)"
  return self
end

errors.guard(Supervisor)

return M
