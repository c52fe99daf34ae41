-- SPDX-License-Identifier: MIT
--- Several futures at once: gather, map, race, as_completed, wait. Each future puts itself into a queue when it ends;
--- so the queue has them in the order of their ends.

local core = require "braid.core"
local errors = require "braid.errors"
local items = require "braid.items"
local progress = require "braid.progress"
local scopes = require "braid.tasks.scope"
local Future = require "braid.tasks.future"

local M = {}

local function is_future(value)
  return getmetatable(value) == Future
end

-- Checks a list of futures, which may have names, and returns them in order, and their number.
local function check_futures(what, list)
  local row = items.row(what, "futures", list)
  for i = 1, row.n do
    if not is_future(row.items[i]) then
      errors.misuse(2, "bad argument 'futures' to '%s' (element %s: a future expected, got %s)", what,
        errors.text(items.key(row, i)), errors.described(row.items[i]))
    end
  end
  return row.items, row.n
end

-- Checks a list of functions and futures, which may have names. Returns them in order, and whether all are functions.
local function check_work(what, list)
  local row, functions = items.row(what, "list", list), true
  for i = 1, row.n do
    if is_future(row.items[i]) then
      functions = false
    elseif type(row.items[i]) ~= "function" then -- the name of its place takes longer than a task
      errors.check_function(2, what, items.place(row, "list", i), row.items[i])
    end
  end
  return row, functions
end

-- Returns a queue that gets each future when it has ended, and the number of futures.
local function arrivals(futures, n)
  local queue, seen, count = core.queue_new(0), {}, 0
  local function arrive(future) queue:try_put(future) end
  for i = 1, n do
    local future = futures[i]
    if not seen[future] then
      seen[future] = true
      count = count + 1
      future:on_done(arrive)
    end
  end
  return queue, count
end

-- ---- gather --------------------------------------------------------------------------------------------------------

---@class braid.Gathering
---@field n integer
---@field start fun(i: integer): braid.Future
---@field limit integer
---@field queue braid.Queue
---@field places table<braid.Future, integer[]> the indices of each future in the list
---@field next integer the next one to start
---@field running integer

local function start_some(g)
  while g.next <= g.n and g.running < g.limit do
    local i = g.next
    g.next = i + 1
    local future = g.start(i)
    local places = g.places[future]
    if places then
      places[#places + 1] = i
    else
      g.places[future] = { i }
      g.running = g.running + 1
      future:on_done(g.arrive)
    end
  end
end

-- Takes the futures as they end. Returns the first that failed, at once, unless all are wanted.
local function take_all(g, results, failures, all)
  start_some(g)
  while g.running > 0 do
    local future = g.queue:get()
    g.running = g.running - 1
    local ended_well, err = future:_state() == "done", future:error()
    for _, i in ipairs(g.places[future]) do
      if ended_well then results[i] = future:result() else failures[i] = err end
    end
    if not ended_well and not all then return future end
    if g.bar then g.bar:advance(#g.places[future]) end
    start_some(g)
  end
end

local function cancel_rest(g)
  g.next = g.n + 1
  for future in pairs(g.places) do future:cancel() end
end

local function await_rest(g)
  for future in pairs(g.places) do future:wait() end
end

local gather_options = {
  on_error = "string", return_errors = "boolean", limit = "integer", progress = "boolean|table",
}

-- The first failure cancels the others, and is raised after they have ended.
local function gather_closed(g, results, failures, all)
  local scope = core.scope_enter("nursery")
  local ok, failed, place = errors.try(take_all, g, results, failures, all)
  if not ok or failed then
    cancel_rest(g)
    scopes.shield(await_rest, g)
  end
  if failed and ok then
    scopes.abandon(scope)
    core.rethrow(failed:error(), failed:traceback())
  end
  scopes.conclude(scope, ok, failed, place)
end

-- For functions only, with the default options: a scope already cancels all tasks when one fails.
local function gather_linked(row, spawn)
  local n = row.n
  local scope, tasks = core.scope_enter("gather"), {}
  local ok, err, place = errors.try(function()
    for i = 1, n do tasks[i] = spawn(scope, i) end
  end)
  scopes.conclude(scope, ok, err, place, true)
  local results = {}
  for i = 1, n do results[i] = (tasks[i]:result()) end -- raises if the task was cancelled
  return items.results(row, results)
end

local function gather(what, row, start, opts)
  local n = row.n
  local on_error = opts.on_error or "cancel"
  if on_error ~= "cancel" and on_error ~= "continue" then
    errors.misuse(2, "bad option 'on_error' to '%s' (\"cancel\" or \"continue\" expected, got %q)", what, on_error)
  end
  if opts.limit and opts.limit < 1 then
    errors.misuse(2, "bad option 'limit' to '%s' (an integer from 1 expected, got %d)", what, opts.limit)
  end
  core.look()
  local results, failures = {}, {}
  local queue = core.queue_new(0)
  local bar, held <close> = progress.from_option(opts.progress, n)
  local g = {
    n = n, start = start, limit = opts.limit or math.huge, queue = queue, places = {}, next = 1, running = 0,
    arrive = function(future) queue:try_put(future) end, bar = bar,
  }
  if on_error == "continue" and not opts.return_errors then
    local failed = take_all(g, results, failures, false)
    if failed then core.rethrow(failed:error(), failed:traceback()) end
  else
    gather_closed(g, results, failures, opts.return_errors)
  end
  results = items.results(row, results)
  if opts.return_errors then return results, items.by_key(row, failures) end
  return results
end

---Runs all at once and waits for all. By default the first failure cancels the rest, waits for them and is raised.
---`on_error = "continue"` raises it at once and lets the rest go on. `return_errors = true` does not raise. Suspends.
---@param list (fun():any | braid.Future)[] may have names; the same task twice runs once and gives its result twice
---@param opts { on_error: "cancel"|"continue"?, return_errors: boolean?, limit: integer?,
--- progress: (boolean|table)? }? limit: so many at a time; progress: true, the options of a progress bar, or a bar
---@return table results the first value of each, in order, with `n`; results with names are under their names
---@return table? errors with return_errors: errors[i], or errors[name]
function M.gather(list, opts)
  local row, functions = check_work("gather", list)
  errors.check_options(1, "gather", opts, gather_options)
  if functions and not opts then
    return gather_linked(row, function(scope, i) return scope:spawn(row.items[i]) end)
  end
  return gather("gather", row, function(i)
    local item = row.items[i]
    return is_future(item) and item or core.spawn(item)
  end, opts or {})
end

---Like gather, for fn(item, index) or fn(item, name) of each item. Suspends.
---@param fn fun(item: any, index: any): any
---@param list any[] may have names
---@param opts table? gather's
---@return table results
---@return table? errors
function M.map(fn, list, opts)
  errors.check_function(1, "map", "fn", fn)
  local row = items.row("map", "list", list)
  errors.check_options(1, "map", opts, gather_options)
  local given, key = row.items, items.key
  if not opts then
    return gather_linked(row, function(scope, i) return scope:spawn(fn, given[i], key(row, i)) end)
  end
  return gather("map", row, function(i) return core.spawn(fn, given[i], key(row, i)) end, opts)
end

-- ---- race ----------------------------------------------------------------------------------------------------------

local function first_success(futures, n)
  local queue, count = arrivals(futures, n)
  local failures, place = { n = 0 }, nil
  for _ = 1, count do
    local future = queue:get()
    if future:_state() == "done" then return future end
    failures.n = failures.n + 1
    failures[failures.n] = future:error()
    place = place or future:traceback()
  end
  return nil, errors.group(failures), place
end

-- Cancels the other futures and waits for them. Failures from before belong to the race. Failures in their clean-up are
-- reported.
local function end_losers(futures)
  local left, seen = {}, {}
  for _, future in ipairs(futures) do
    if not future:done() and not seen[future] then left[#left + 1] = future end
    seen[future] = true
    future:error()
    future:cancel()
  end
  scopes.shield(function()
    for _, future in ipairs(left) do future:wait() end
  end)
  for _, future in ipairs(left) do
    if future:_state() == "failed" then errors.report(future:error(), future:traceback(), future.name) end
  end
end

---Runs all at once and returns the results of the first to succeed. Cancels the others and waits for them; their
---failures after the cancel are reported. If all fail: raises kind "group". Suspends.
---@param list (fun():... | braid.Future)[] names are ignored
---@return any ...
function M.race(list)
  local row = check_work("race", list)
  local given, n = row.items, row.n
  if n == 0 then errors.misuse(1, "race needs at least one function or future") end
  core.look()
  local scope = core.scope_enter("nursery")
  local futures = {}
  for i = 1, n do futures[i] = is_future(given[i]) and given[i] or core.spawn(given[i]) end
  local ok, winner, group, place = errors.try(first_success, futures, n)
  end_losers(futures)
  scopes.conclude(scope, ok, winner, not ok and group or nil)
  if not winner then core.rethrow(group, place) end
  return winner:result()
end

-- ---- as_completed and wait -----------------------------------------------------------------------------------------

---Iterates over futures as they end; those that have ended come first. Raises kind "timeout" if some have not ended in
---time. Each step suspends.
---@param futures braid.Future[] names are ignored
---@param timeout number? seconds for all of them together
---@return fun(): braid.Future?
function M.as_completed(futures, timeout)
  local given, n = check_futures("as_completed", futures)
  local deadline = errors.deadline(1, "as_completed", timeout)
  local queue, left = arrivals(given, n)
  local total = left
  return function()
    if left == 0 then return core.look() end
    local future, err = queue:get(deadline and math.max(0, deadline - core.now()))
    if not future then
      core.rethrow(errors.new("timeout", ("%d (of %d) futures unfinished"):format(left, total), { cause = err }))
    end
    left = left - 1
    return future
  end
end

local wait_options = { timeout = "number", return_when = "string" }
local enough = {
  all = function() return false end,
  first = function() return true end,
  first_error = function(future) return future:_state() == "failed" end,
}

---Waits for futures. Does not raise on timeout. Suspends.
---@param futures braid.Future[] names are ignored
---@param opts { timeout: number?, return_when: "all"|"first"|"first_error"? }? timeout: seconds; return_when: default
--- "all"
---@return braid.Future[] done
---@return braid.Future[] pending
function M.wait(futures, opts)
  local given, n = check_futures("wait", futures)
  errors.check_options(1, "wait", opts, wait_options)
  opts = opts or {}
  local stop = enough[opts.return_when or "all"]
  if not stop then
    errors.misuse(1, "bad option 'return_when' to 'wait' (\"all\", \"first\" or \"first_error\" expected, got %q)",
      opts.return_when)
  end
  core.look()
  local queue, left = arrivals(given, n)
  local deadline = errors.deadline(1, "wait", opts.timeout)
  while left > 0 do
    local future = queue:get(deadline and math.max(0, deadline - core.now()))
    if not future then break end
    left = left - 1
    if stop(future) then break end
  end
  local done, pending, seen = {}, {}, {}
  for i = 1, n do
    local future = given[i]
    if not seen[future] then
      seen[future] = true
      local list = future:done() and done or pending
      list[#list + 1] = future
    end
  end
  return done, pending
end

-- Whether the value is an object that lives in another process.
local function is_remote(value)
  local meta = getmetatable(value)
  return type(value) == "userdata" and type(meta) == "table" and rawget(meta, "_remote") == true
end

-- Tries one case. Returns whether it has happened or never can, and what select returns after the index.
local function try_case(case, index)
  local object, verb = case[1], case[2]
  if not is_remote(object) then
    local made, value, err = core.select({ case }, 0)
    return made ~= nil, value, err
  end
  local value, err
  if object.is_set then
    value = object:is_set() or nil
    return value ~= nil, value
  elseif verb == "get" then
    value, err = object:try_get()
  elseif verb == "put" then
    value, err = object:try_put(case[3])
  else
    errors.misuse(2, "select: case %d wants to \"get\" or to \"put\"", index)
  end
  return not (err and (err.kind == "empty" or err.kind == "full")), value, err
end

-- Some objects live in another process: there is no way to wait for several and claim only one. So the cases are polled
-- in turn.
local function select_far(cases, timeout)
  local deadline = errors.deadline(2, "select", timeout)
  local pause, first = 0.0002, 0
  while true do
    for n = 1, #cases do
      local i = (first + n) % #cases + 1
      local made, value, err = try_case(cases[i], i)
      if made then return i, value, err end
    end
    first = first + 1
    local left = deadline and deadline - core.now()
    if left and left <= 0 then return nil, errors.new("timeout", "select: timed out") end
    core.sleep(math.min(pause, left or pause))
    pause = math.min(pause * 1.5, 0.005)
  end
end

---Waits until one of the cases can happen, and lets only that one happen. Cases: `{ queue, "get" }`,
---`{ queue, "put", value }`, `{ event }`, `{ future }`. Suspends.
---@param cases table[]
---@param timeout number? seconds
---@return integer? index of the case
---@return any value the item, true, or the future's results; if there is no index: the error, kind "timeout"
---@return braid.Error? err kind "closed" if the case's queue is closed
function M.select(cases, timeout)
  if type(cases) == "table" then
    for i = 1, #cases do
      if type(cases[i]) == "table" and is_remote(cases[i][1]) then return select_far(cases, timeout) end
    end
  end
  return core.select(cases, timeout)
end

return M
