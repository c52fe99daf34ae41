---@meta braid
-- SPDX-License-Identifier: MIT
-- Written by `make generated` from the comments in lua/braid. .luarc.json tells the Lua language server of it.

---Tasks, threads, processes, shared objects, HTTP, web, databases and kernels behind one interface.
---@class braid
---@field _VERSION string
---@field null lightuserdata "nothing": equal to itself in every state and process, and to `cjson.null`
---@field array braid.array
---@field process braid.process
---@field net braid.net
---@field file braid.file
---@field http braid.http
---@field websocket braid.websocket
---@field web braid.web
---@field redis braid.redis
---@field postgres braid.postgres
---@field sqlite braid.sqlite
---@field json braid.json
---@field kernels braid.kernels
---@field testing braid.testing
local braid = {}

---@class braid.array
---Makes an array: `braid.array(type, source)`.
---@overload fun(type: string, source: integer|number[]|braid.Array|string|{ shape: integer[]?, values: table? }): braid.Array|braid.ArrayView
braid.array = {}

---@class braid.process
braid.process = {}

---@class braid.net
braid.net = {}

---@class braid.file
braid.file = {}

---@class braid.http
braid.http = {}

---@class braid.websocket
braid.websocket = {}

---@class braid.web
braid.web = {}

---@class braid.redis
braid.redis = {}

---@class braid.postgres
braid.postgres = {}

---@class braid.sqlite
braid.sqlite = {}

---@class braid.json
braid.json = {}

---@class braid.kernels
braid.kernels = {}

---@class braid.testing
braid.testing = {}

---A running function, and the future of its result.
---@class braid.Task: braid.Future
---@field name string? for reports
local Task = {}

---Makes the task a daemon: when its scope ends, it is cancelled instead of awaited.
---@return braid.Task self
function Task:daemon() end

---Starts a task in the current scope. Its failure cancels nobody and is kept for `result()`. If nobody has asked for it
---by the end of the scope, it is reported on stderr and the scope raises it. Outside `braid.run` the task runs whenever
---the script waits for something.
---@param fn fun(...): ...
---@param ... any its arguments
---@return braid.Task
function braid.spawn(fn, ...) end

---Waits. 0 lets other tasks run. Suspends.
---@param seconds number
function braid.sleep(seconds) end

---Lets other tasks run; raises if the task is cancelled. Suspends.
function braid.checkpoint() end

---Monotonic time in seconds.
---@return number
function braid.now() end

---The running task; nil outside of tasks.
---@return braid.Task?
function braid.current() end

---All tasks that have not ended.
---@return braid.Task[]
function braid.tasks() end

---The task's own table of values, copied from its parent's when it was spawned.
---@return table
function braid.locals() end

---Like coroutine.wrap, but fn may wait.
---@param fn fun(...): ...
---@return fun(...): ...
function braid.wrap(fn) end

---Runs main as a task. Ends when main and every task that it spawned have ended; if all went well, also the jobs of the
---pools that were made in it. Raises main's error. SIGINT cancels the main task (kind "interrupted"; a script then ends
---with status 130); a second SIGINT ends the process at once.
---@param main fun(...): ...
---@param ... any its arguments
---@return any ... what main returned
function braid.run(main, ...) end

---@class braid.Future
local Future = {}

---Waits for the results and returns them, or raises the error that the function raised. Suspends.
---@param timeout number? seconds; then it raises kind "timeout"
---@return any ...
function Future:result(timeout) end

---Waits for the end; returns whether it has come. Suspends.
---@param timeout number? seconds
---@return boolean
function Future:wait(timeout) end

---Whether it has ended.
---@return boolean
function Future:done() end

---Whether it has ended by a cancel.
---@return boolean
function Future:cancelled() end

---Whether it has begun and not ended.
---@return boolean
function Future:running() end

---The state. If it is "failed", the failure counts as seen: it is not reported any more.
---@return "pending"|"running"|"done"|"failed"|"cancelled"
function Future:state() end

---The error with which it ended, or nil. Does not raise or wait.
---@return any
function Future:error() end

---The traceback of its error.
---@return string?
function Future:traceback() end

---Cancels it. A job that has not begun never starts. In a running one the next wait, and every later one, raises kind
---"cancelled".
---@param reason any?
---@return boolean cancelled false if it had already ended
function Future:cancel(reason) end

---Calls fn with the future when it ends; at once if it has ended. Errors of fn are reported. fn must not wait.
---@param fn fun(future: braid.Future)
---@return braid.Future self
function Future:on_done(fn) end

---A task group. Made by `braid.scope`.
---@class braid.Scope
local Scope = {}

---Starts a task. Its failure cancels its siblings and the body.
---@param fn fun(...): ...
---@param ... any
---@return braid.Task
function Scope:spawn(fn, ...) end

---Cancels the scope: every wait inside raises kind "cancelled". The scope then ends without an error.
---@param reason any?
function Scope:cancel(reason) end

---Whether it was cancelled, by `cancel`, by a failure or by its deadline.
---@return boolean
function Scope:cancelled() end

---Whether its deadline has passed.
---@return boolean
function Scope:expired() end

---Whether it has ended, with all its children.
---@return boolean
function Scope:ended() end

---Runs fn with a new scope and ends when all its children have ended, also those of `braid.spawn`. A failure of fn or
---of a child cancels the others. One failure is raised as it is, several as kind "group". Without fn it returns the
---scope, for `local scope <close> = braid.scope()`. Suspends.
---@param fn (fun(scope: braid.Scope): ...)|nil
---@param opts { timeout: number? }? timeout: seconds; then the scope is cancelled and raises kind "timeout"
---@return any ... what fn returned
function braid.scope(fn, opts) end

---Runs fn. After s seconds cancels it and raises kind "timeout". Another error of fn is raised instead. nil: no limit.
---Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function braid.timeout(s, fn, ...) end

---Runs fn. After s seconds cancels it and returns false. nil: no limit. Suspends.
---@param s number? seconds
---@param fn fun(...): ...
---@param ... any
---@return boolean in_time false if it was cancelled
---@return any ... what fn returned
function braid.move_on_after(s, fn, ...) end

---Runs fn to its end, even if the caller is cancelled. The first wait after it raises the cancel. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function braid.shield(fn, ...) end

---Runs all at once and waits for all. By default the first failure cancels the rest, waits for them and is raised.
---`on_error = "continue"` raises it at once and lets the rest go on. `return_errors = true` does not raise. Suspends.
---@param list (fun():any | braid.Future)[] may have names; the same task twice runs once and gives its result twice
---@param opts { on_error: "cancel"|"continue"?, return_errors: boolean?, limit: integer?,
--- progress: (boolean|table)? }? limit: so many at a time; progress: true, the options of a progress bar, or a bar
---@return table results the first value of each, in order, with `n`; results with names are under their names
---@return table? errors with return_errors: errors[i], or errors[name]
function braid.gather(list, opts) end

---Like gather, for fn(item, index) or fn(item, name) of each item. Suspends.
---@param fn fun(item: any, index: any): any
---@param list any[] may have names
---@param opts table? gather's
---@return table results
---@return table? errors
function braid.map(fn, list, opts) end

---Runs all at once and returns the results of the first to succeed. Cancels the others and waits for them; their
---failures after the cancel are reported. If all fail: raises kind "group". Suspends.
---@param list (fun():... | braid.Future)[] names are ignored
---@return any ...
function braid.race(list) end

---Iterates over futures as they end; those that have ended come first. Raises kind "timeout" if some have not ended in
---time. Each step suspends.
---@param futures braid.Future[] names are ignored
---@param timeout number? seconds for all of them together
---@return fun(): braid.Future?
function braid.as_completed(futures, timeout) end

---Waits for futures. Does not raise on timeout. Suspends.
---@param futures braid.Future[] names are ignored
---@param opts { timeout: number?, return_when: "all"|"first"|"first_error"? }? timeout: seconds; return_when: default
--- "all"
---@return braid.Future[] done
---@return braid.Future[] pending
function braid.wait(futures, opts) end

---Waits until one of the cases can happen, and lets only that one happen. Cases: `{ queue, "get" }`,
---`{ queue, "put", value }`, `{ event }`, `{ future }`. Suspends.
---@param cases table[]
---@param timeout number? seconds
---@return integer? index of the case
---@return any value the item, true, or the future's results; if there is no index: the error, kind "timeout"
---@return braid.Error? err kind "closed" if the case's queue is closed
function braid.select(cases, timeout) end

---Iterates at fixed times; the first is after one period: `for count in braid.every(1) do ... end`. Each step suspends.
---@param seconds number the period
---@param opts { missed: "skip"|"catch_up"|nil, jitter: number? }? missed: if a step took longer than a period, "skip"
--- (the default) skips the times that have passed, but counts them; "catch_up" does all of them at once. jitter: each
--- time is delayed by a random part of the period, up to this share of it (0 to 1)
---@return fun(): integer count of periods since the start
function braid.every(seconds, opts) end

---@class braid.Queue
local Queue = {}

---Puts a value into the queue. Suspends while the queue is full.
---@param value any not nil; use braid.null instead
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
function Queue:put(value, timeout) end

---Removes and returns the next value. Suspends while the queue is empty.
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout" or "closed"
function Queue:get(timeout) end

---Like put, but does not wait: kind "full".
---@param value any
---@return boolean? ok
---@return braid.Error? err
function Queue:try_put(value) end

---Like get, but does not wait: kind "empty".
---@return any? value
---@return braid.Error? err
function Queue:try_get() end

---Iterates over the items until the queue is closed and empty. Each step suspends. Raises if a get fails otherwise:
---kind "worker_died" if the process of the queue has ended, kind "system" if an item could not be received.
---@return fun(): any
function Queue:items() end

---Says that an item from the queue has been processed. Raises kind "misuse" if it is called too often.
function Queue:task_done() end

---Waits until every item that was put has been processed (see task_done). Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Queue:join(timeout) end

---The number of items.
---@return integer
function Queue:size() end

---The maximal number of items; 0: no limit.
---@return integer
function Queue:maxsize() end

---Whether the queue has `maxsize` items.
---@return boolean
function Queue:is_full() end

---Whether the queue has no items.
---@return boolean
function Queue:is_empty() end

---Whether the queue is closed.
---@return boolean
function Queue:closed() end

---Puts the values of a list, in order. Suspends. If it ends early, the error has a field `count`: so many values, the
---first ones of the list, were put. That is also true for errors that it raises (a cancel, a value that cannot be
---sent).
---@param list any[]
---@param timeout number? seconds, for all values together
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
function Queue:put_many(list, timeout) end

---Gets up to `max` values: waits for the first one, and takes what else is there. Suspends.
---@param max integer
---@param timeout number? seconds
---@return any[]? values
---@return braid.Error? err kind "timeout" or "closed"; with values: kind "system", a further item could not be received
function Queue:get_many(max, timeout) end

---Closes the queue: puts fail from now on. Gets return the items that are left, and then fail with kind "closed".
---`immediate = true` drops the items, and ends all waiting gets, puts and joins.
---@param opts { immediate: boolean? }?
function Queue:close(opts) end

---Makes a queue.
---@param maxsize integer? 0 or nil: no limit
---@param opts { order: "fifo"|"lifo"|"priority"? }? default "fifo". priority: items are numbers, or lists that begin
--- with one; the smallest is got first, equal ones in the order of their puts
---@return braid.Queue
function braid.queue(maxsize, opts) end

---@class braid.Lock
local Lock = {}

---Takes the lock. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; "owner_died": its last owner ended while holding it, so take it again
function Lock:acquire(timeout) end

---Like acquire, but does not wait: kind "empty".
---@return boolean? ok
---@return braid.Error? err
function Lock:try_acquire() end

---Releases the lock. Raises kind "misuse" if the task is not its owner.
function Lock:release() end

---Whether the lock is held.
---@return boolean
function Lock:locked() end

---Takes the lock for a `<close>` variable: `local held <close> = lock:hold()`. Suspends.
---@param timeout number? seconds
---@return braid.Lock? held
---@return braid.Error? err as acquire's
function Lock:hold(timeout) end

---Calls fn with the lock held. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if the lock could not be taken
function Lock:with(fn, ...) end

---@class braid.Semaphore: braid.Lock
local Semaphore = {}

---Releases units. Raises kind "misuse" if more are released than were acquired, unless the semaphore is unbounded.
---@param count integer? default 1
function Semaphore:release(count) end

---The number of free units.
---@return integer
function Semaphore:value() end

---@class braid.Event
local Event = {}

---Waits until the event is set. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Event:wait(timeout) end

---Sets the event: all waiting tasks go on.
function Event:set() end

---Clears the event.
function Event:clear() end

---Whether the event is set.
---@return boolean
function Event:is_set() end

---A condition. It also has the methods of its lock.
---@class braid.Condition: braid.Lock
local Condition = {}

---Releases the lock, waits for a notification, and takes the lock again, even if the wait fails. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Condition:wait(timeout) end

---Wakes n waiting tasks.
---@param n integer? default 1
function Condition:notify(n) end

---Wakes all waiting tasks.
function Condition:notify_all() end

---Its lock.
---@return braid.Lock
function Condition:lock() end

---Waits until the predicate returns a true value, and returns that. After a timeout the predicate is called once more.
---Suspends.
---@param predicate fun(): any
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout"
function Condition:wait_for(predicate, timeout) end

---Takes the lock. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; "owner_died": its last owner ended while holding it, so take it again
function Condition:acquire(timeout) end

---Releases the lock. Raises kind "misuse" if the task is not its owner.
function Condition:release() end

---@class braid.Barrier
local Barrier = {}

---Waits until n tasks wait. A wait that times out or is cancelled breaks the barrier for the others. Suspends.
---@param timeout number? seconds
---@return integer? turn 1 for the first task, n for the last
---@return braid.Error? err kind "timeout" or "broken"
function Barrier:wait(timeout) end

---Breaks the barrier: tasks that wait, and tasks that come before it is reset, get kind "broken".
function Barrier:abort() end

---Makes the barrier new again: waiting tasks get kind "broken".
function Barrier:reset() end

---@class braid.Counter
local Counter = {}

---Adds n, atomically.
---@param n integer? default 1
---@return integer value after the addition
function Counter:add(n) end

---The value.
---@return integer
function Counter:get() end

---Sets the value.
---@param value integer
function Counter:set(value) end

---Makes a lock.
---@return braid.Lock
function braid.lock() end

---Makes a semaphore with n units.
---@param n integer
---@param opts { unbounded: boolean? }? unbounded: it may be released more often than acquired
---@return braid.Semaphore
function braid.semaphore(n, opts) end

---Makes an event that is not set.
---@return braid.Event
function braid.event() end

---Makes a condition with this lock, or with a new one.
---@param lock braid.Lock?
---@return braid.Condition
function braid.condition(lock) end

---Makes a barrier for n tasks.
---@param n integer
---@return braid.Barrier
function braid.barrier(n) end

---Makes a counter.
---@param start integer? default 0
---@return braid.Counter
function braid.counter(start) end

---Keys are strings, numbers (not NaN) and booleans.
---@class braid.Dict
local Dict = {}

---The value, or nil if there is none. Never waits for an update: meanwhile it returns the old value.
---@param key string|number|boolean
---@return any? value a copy
function Dict:get(key) end

---The keys, in no particular order.
---@return (string|number|boolean)[]
function Dict:keys() end

---The number of keys.
---@return integer
function Dict:size() end

---Sets a value; nil removes the key. Suspends while another task updates the dict. Inside an update's function it does
---not wait.
---@param key string|number|boolean
---@param value any
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Dict:set(key, value, timeout) end

---Sets the value to fn(old value), atomically: meanwhile all others that want to change the dict wait (those that only
---read do not). An error of fn is raised, and the value is not changed. It is not changed either if fn is cancelled, or
---its thread or process dies. fn may wait, and may get and set other keys of this dict. An update inside an update of
---the same dict is an error. Suspends.
---@param key string|number|boolean
---@param fn fun(value: any?): any? nil removes the key
---@param timeout number? seconds to wait for other updates
---@return any? value the new value
---@return braid.Error? err kind "timeout"
function Dict:update(key, fn, timeout) end

---Makes a dict.
---@return braid.Dict
function braid.dict() end

---`a[i]` reads and writes element i, from 1 to `#a`. Any other i raises kind "misuse", and so does a value that the
---type cannot hold: integer types take whole numbers in their range. f32 rounds. Elements of u64 from 2^63 on are
---negative integers in Lua, with the same bits; any integer can be written there, so values that were read can be used
---again, also by kernels. `for i, v in pairs(a)` works (ipairs does not: it reads one element too many).
---@class braid.Array
---@field [integer] number
---@operator len: integer
local Array = {}

---Sets all elements.
---@param value number
---@return braid.Array self
function Array:fill(value) end

---The elements from first to last (default: the end), in the same memory: writes to one are seen in the other.
---@param first integer
---@param last integer?
---@return braid.Array
function Array:slice(first, last) end

---A copy, with its own memory.
---@return braid.Array
function Array:copy() end

---Sets many elements: from a list, from an array (of any type), or from the bytes of a string, as `tostring` returns
---them.
---@param source number[]|braid.Array|string
---@param at integer? index of the first one; default 1
---@return braid.Array self
function Array:set(source, at) end

---The elements as a Lua list.
---@return number[]
function Array:totable() end

---The bytes of the elements, as they are in memory (for string.unpack, files, sockets; for u8 it is the text itself).
---The global function `tostring` gives a readable text instead.
---@return string
function Array:tostring() end

---The type of the elements.
---@return string type "f64"
function Array:type() end

---The same elements as rows and columns, in the same memory.
---@param rows integer -1: as many as fit
---@param columns integer? -1: as many as fit; nil: one dimension
---@return braid.Array|braid.ArrayView
function Array:reshape(rows, columns) end

---Writes the array as numpy's `.npy`. Suspends.
---@param path string
---@return boolean? ok
---@return braid.Error? err
function Array:save(path) end

---For an array of `array.mmap`: waits until what was written is on the disk. Suspends.
---@return boolean? ok
---@return braid.Error? err
function Array:sync() end

---A view. `a.shape` is { rows, columns }, or { n } for one dimension. `a[i]` is row i, or element i of one dimension.
---@class braid.ArrayView
---@field shape integer[]
---@field [integer] braid.Array|braid.ArrayView|number
---@operator len: integer
local ArrayView = {}

---The type of the elements.
---@return string
function ArrayView:type() end

---Whether the elements are neighbours in memory, row by row.
---@return boolean
function ArrayView:is_plain() end

---The elements as a flat array, row by row: the same memory where they are neighbours, else a copy.
---@return braid.Array
function ArrayView:flat() end

---A copy with its own memory, row by row.
---@return braid.ArrayView
function ArrayView:copy() end

---Sets all elements.
---@param value number
---@return braid.ArrayView self
function ArrayView:fill(value) end

---Sets all elements: from a flat list, a list of rows, an array with as many elements, or bytes.
---@param source table|braid.Array|braid.ArrayView|string
---@return braid.ArrayView self
function ArrayView:set(source) end

---The elements: a list of rows, each a list; or a list.
---@return table
function ArrayView:totable() end

---The bytes of the elements, row by row.
---@return string
function ArrayView:tostring() end

---Column j, in the same memory.
---@param j integer
---@return braid.Array|braid.ArrayView
function ArrayView:column(j) end

---Rows as columns, in the same memory.
---@return braid.ArrayView
function ArrayView:transpose() end

---Rows i1 to i2 and columns j1 to j2, in the same memory.
---@param i1 integer
---@param i2 integer
---@param j1 integer
---@param j2 integer
---@return braid.ArrayView
function ArrayView:block(i1, i2, j1, j2) end

---Rows first to last (elements, of one dimension), in the same memory.
---@param first integer
---@param last integer? default: the last one
---@return braid.ArrayView
function ArrayView:slice(first, last) end

---The same elements with other rows and columns; a view that is not contiguous is copied.
---@param rows integer -1: as many as fit
---@param columns integer? -1: as many as fit; nil: one dimension
---@return braid.Array|braid.ArrayView
function ArrayView:reshape(rows, columns) end

---Reads an array from a `.npy` file, or a table of arrays by name from a `.npz` archive. Suspends.
---@param path string
---@return braid.Array|braid.ArrayView|table|nil
---@return braid.Error? err kind "system": it cannot be read, or is not of numpy's format
function braid.array.load(path) end

---Writes an array as `.npy`, or a table of arrays by name as a `.npz` archive. The file is complete, or the old one.
---Suspends.
---@param path string
---@param what braid.Array|braid.ArrayView|table<string, braid.Array|braid.ArrayView>
---@param opts { compressed: boolean? }? compressed: of an archive, as numpy.savez_compressed does
---@return boolean? ok
---@return braid.Error? err
function braid.array.save(path, what, opts) end

---Maps a file as an array: numpy's `.npy`, or with `type` the plain elements of any file, from the byte `offset` on.
---It reads nothing at first, so a file may be larger than the memory. Without `writable` the array cannot be written.
---With it, what is written goes to the file, in the system's own time; `array:sync()` waits until it is on the disk.
---Sending the array to another process maps the file there. May block for the file.
---
---If another program truncates the file, elements behind its new end are lost: who uses the array then, or runs a
---kernel on it meanwhile, fails with kind "system". The program goes on.
---@param path string
---@param opts { type: string?, shape: integer[]?, offset: integer?, writable: boolean?, create: boolean? }? shape:
--- { n } or { rows, columns }; default: as many elements as fit. create: makes the file of zeroes, in the place of
--- an older one, with numpy's header if it is called *.npy; needs type and shape, and can be written
---@return braid.Array|braid.ArrayView|nil
---@return braid.Error? err kind "system": it cannot be mapped, or has fewer elements
function braid.array.mmap(path, opts) end

---@class braid.ResourcePool
local ResourcePool = {}

---Lends a resource: an idle one, or a new one, or, if all are lent, the next one that is returned. FIFO order.
---Suspends. Raises errors of `create` and `check`.
---@param timeout number? seconds, including the time to make a resource
---@return braid.Lease? lease
---@return any? err kind "timeout" or "closed"; or what `create` returned as its second value
function ResourcePool:acquire(timeout) end

---Calls fn with a resource. If fn raises or is cancelled, the resource is discarded. Suspends.
---@param fn fun(resource: any, ...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if there is no resource
function ResourcePool:with(fn, ...) end

---The numbers of resources that are open, idle and lent, of waiting tasks, and of resources made, destroyed and reused.
---@return { open: integer, idle: integer, leased: integer, waiting: integer, created: integer,
--- destroyed: integer, reused: integer }
function ResourcePool:stats() end

---Closes the pool: it lends nothing more (kind "closed") and destroys idle resources. Waits until the holders have
---returned theirs. Suspends.
---@param opts { wait: boolean? }? wait: for the holders; default true
function ResourcePool:close(opts) end

---A lent resource. Its holder returns it by `<close>`, or by calling a method.
---@class braid.Lease
---@field resource any nil after it was returned
local Lease = {}

---Returns the resource to the pool.
function Lease:release() end

---Returns the resource; the pool destroys it. May suspend, if `destroy` does.
function Lease:discard() end

---Says that the resource is good: it is not discarded even if the holder then fails or is cancelled.
function Lease:keep() end

---@class braid.ResourcePoolOptions
---@field create fun(): any makes a resource, or returns nil and an error. May suspend
---@field destroy fun(resource: any)? destroys one. May suspend. Its errors are reported
---@field check (fun(resource: any): boolean)? whether an idle resource is still good. May suspend
---@field max integer? most open resources; default 10
---@field min integer? resources that stay open when idle; default 0
---@field idle_time number? seconds after which an idle one is destroyed; default 60
---@field max_age number? seconds after which one is not lent again
---@field max_uses integer? how often one is lent
---@field name string? used in errors

---Makes a pool of resources.
---@param opts braid.ResourcePoolOptions
---@return braid.ResourcePool
function braid.resource_pool(opts) end

---@class braid.Limiter
local Limiter = {}

---Takes n units; waits until they are free. FIFO order: a small number does not overtake a larger one. Suspends.
---@param n integer? default 1; at most the burst
---@param timeout number? seconds. If the units would be free later, it returns at once
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Limiter:acquire(n, timeout) end

---Takes n units if they are free now.
---@param n integer? default 1
---@return boolean? ok
---@return braid.Error? err kind "empty"
function Limiter:try_acquire(n) end

---Takes a unit, and calls fn. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function Limiter:with(fn, ...) end

---Makes a limiter: `rate` units every `per` seconds, and after a pause at most `burst` at once.
---@param opts { rate: number, per: number?, burst: integer? } per: seconds, default 1; burst: default 1
---@return braid.Limiter
function braid.limiter(opts) end

---A pool: runs functions as jobs, in the calling task, as tasks, in threads or in processes. Close it, or hold it in a
---`<close>` variable.
---@class braid.Executor
---@field _slots integer the number of jobs that can run at once
---@field _ahead integer the number of unfinished jobs that map submits at most
---@field _measured boolean whether map puts several items into one job
local Executor = {}

---Calls fn(item) for each item of the list, as jobs of this pool. Raises the first failure, and then cancels the jobs
---that have not begun. Without `chunk` the pool measures how many items to put into one job. Suspends.
---@param fn fun(item: any): any
---@param list any[] may have named items
---@param opts { chunk: integer?, timeout: number?, return_errors: boolean?, progress: (boolean|table)? }? timeout:
--- seconds for all items; then raises kind "timeout" and cancels the rest; return_errors: errors of fn are returned,
--- not raised; progress: true, the options of a bar, or a bar
---@return table results in order, with `n`; results of named items under their names; only the first value of each call
---@return table? errors only with return_errors: errors[i], or errors[name]
function Executor:map(fn, list, opts) end

---Iterates over the results of fn(item) for the items of an iterator. It takes a new item only if there is room: at
---most `buffer` items are in work, or done and not yet fetched. A nil result comes as braid.null. The first failure is
---raised and ends the iteration. Leaving the loop cancels the jobs in work. Each step suspends; the iterator may
---suspend, too.
---@param fn fun(item: any): any
---@param iterator (fun(): any)|any[]|braid.Queue ends with its first nil, or with the queue's end
---@param opts { buffer: integer?, ordered: boolean?, progress: (boolean|table)? }? ordered = false: results in the
--- order in which they are ready; progress: true, the options of a bar, or a bar
---@return fun(): any
function Executor:imap(fn, iterator, opts) end

---Takes no more jobs. Submitted jobs still run; with `cancel_pending` those that have not begun are cancelled. With
---`wait` (the default) it returns when all jobs have ended. It can be called again. Suspends.
---@param opts { wait: boolean?, cancel_pending: boolean? }?
function Executor:shutdown(opts) end

---Takes no more jobs, and waits until all have ended. Suspends.
function Executor:close() end

---@class braid.PoolOptions
---@field workers integer? number of workers; default: the usable cores for threads and processes, 1000 for tasks
---@field init fun(...)? runs once in each worker; if it raises, the pool is broken
---@field init_args any[]? the arguments of init
---@field max_jobs_per_worker integer? after so many jobs the worker gets a new state or process. Not for tasks
---@field tasks_per_worker integer? jobs that a worker runs at once, as tasks of its loop; default 1
---@field backlog integer? submit suspends while so many jobs are unfinished
---@field time_limit number? seconds for a job; then it is stopped and fails with kind "limit". A job of an inline or
--- task pool is stopped at its next wait
---@field memory_limit number? bytes for a job; if it needs more it fails with kind "limit". Not for tasks
---@field name string? for reports

---The number of cores that this process may use. Respects the affinity and the quota of the control group.
---@return integer
function braid.cpu_count() end

---Makes a pool of this kind.
---@param kind "inline"|"tasks"|"threads"|"processes"
---@param opts integer|braid.PoolOptions|nil
---@return braid.Executor
function braid.pool(kind, opts) end

---@class braid.InlinePool: braid.Executor
---@field _live table<braid.Future, number|false> unfinished jobs -> their start time; false: not begun
---@field _running integer
---@field _tally userdata? counts jobs that are lost if the process ends now
---@field _counts table<string, integer> number of ended jobs by their state
local InlinePool = {}

---Runs fn(...) and returns when it has ended. An error is kept for the future's `result`. Suspends if fn does.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
function InlinePool:submit(fn, ...) end

---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } busy: seconds in which jobs have run
function InlinePool:stats() end

---Makes a pool that runs each job in the task that submits it.
---@param opts braid.PoolOptions? workers has no effect: it is 1
---@return braid.InlinePool
function braid.inline_pool(opts) end

---@class braid.TaskPool: braid.InlinePool
---@field _queue braid.Future[] jobs that wait until others end: from _first to _last
local TaskPool = {}

---Starts fn(...) as a task, or queues it while `workers` jobs run. A job that is submitted by a job of this pool is
---never queued, because that job may wait for it.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
function TaskPool:submit(fn, ...) end

---Makes a pool whose jobs are tasks.
---@param opts integer|braid.PoolOptions|nil workers: how many jobs run at once, default 1000
---@return braid.TaskPool
function braid.task_pool(opts) end

---@class braid.ThreadPool: braid.Executor
---@field _core userdata
---@field _made boolean? whether this state has made the pool
---@field _nested braid.InlinePool? in a worker of this same pool: runs jobs that would otherwise wait for a free worker
---@field _elsewhere boolean? in a worker process, whose parent has the pool: `_nested` runs all jobs
local ThreadPool = {}

---Sends fn(...) to a worker. Raises if something in it cannot be sent (kind "not_sendable", with its path), and if the
---pool is closed or broken.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
function ThreadPool:submit(fn, ...) end

---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } busy: seconds in which jobs have run
function ThreadPool:stats() end

---Makes a pool of threads. The threads start at once, and inherit package.path, package.cpath and the loaders in
---package.preload.
---@param opts integer|braid.PoolOptions|nil workers: the number of threads; default: the number of usable cores
---@return braid.ThreadPool
function braid.thread_pool(opts) end

---Says how the default pool, in which `to_thread` runs functions, is made: with the options of `thread_pool`. If the
---pool is there already, another one takes its place; what the old one has begun, or has in its queue, is still done.
---Does not suspend.
---@param opts integer|braid.PoolOptions workers: the number of threads
function braid.default_pool(opts) end

---Runs fn(...) in a thread of the default pool. The first call makes this pool. It has some more threads than cores,
---because functions for it mostly wait; `default_pool` sets how many. Suspends. If the caller is cancelled, the job is,
---too.
---@param fn fun(...): ...
---@param ... any the arguments
---@return any ... what fn returned
function braid.to_thread(fn, ...) end

---@class braid.ProcessPool: braid.ThreadPool
local ProcessPool = {}

---The process ids of the running workers.
---@return integer[]
function ProcessPool:pids() end

---Makes a pool of processes. Each worker is a new process of the same interpreter, which does not run the script: it
---runs the functions that it is sent. Workers inherit package.path, package.cpath and the loaders in package.preload.
---They have no standard input. They end with this process, however it ends. A job whose worker dies fails with kind
---"worker_died" and the fields `pid` and `signal` or `status`; the worker is replaced. If a cancelled job does not end,
---its worker is killed some seconds later.
---@param opts integer|braid.PoolOptions|nil workers: the number of processes; default: the number of usable cores
---@return braid.ProcessPool
function braid.process_pool(opts) end

---A supervisor, as `braid.supervisor` makes it. `<close>` stops it.
---@class braid.Supervisor
local Supervisor = {}

---Waits until the supervisor has ended: it was stopped, or no child is to be restarted. Raises kind "restarts" if there
---were too many failures; `err.cause` is the last one, `err.child` whose it was. Suspends.
---@param timeout number? seconds; then it raises kind "timeout"
---@return true ended
function Supervisor:wait(timeout) end

---Stops the children, the last one first, and then the supervisor. Waits until all have stopped. Suspends.
---@return true stopped
function Supervisor:stop() end

---What the children do. `state` is "running", "waiting" (for its restart), "stopped" or "ended" (it is not restarted);
---`seconds`: for how long; `error`: its last failure. Does not suspend.
---@return {name: string, model: string, state: string, restarts: integer, seconds: number, error: any}[] children in
--- the order of their start
function Supervisor:children() end

---Stops a child, starts it again, and waits until it has been started. It does not count as a failure. Suspends.
---@param name string
---@return true? restarted
---@return braid.Error? err kind "closed": the supervisor has ended
function Supervisor:restart(name) end

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
function braid.supervisor(opts) end

---@class braid.process.Result
---@field code integer? the exit code; nil if a signal ended the program
---@field signal integer? the number of the signal that ended it
---@field stdout string? its output, if that was piped (only from `run`)
---@field stderr string?

---A started program. A `<close>` variable ends it: by SIGTERM, after a second by SIGKILL. With `group = true` the rest
---of its process group is ended, too, unless the block has waited for the program and leaves without an error. If the
---object is collected while the program runs, the program goes on without its pipes.
---@class braid.Process
---@field pid integer
---@field stdin braid.Stream? if it is a pipe
---@field stdout braid.Stream? if it is a pipe
---@field stderr braid.Stream? if it is a pipe
local Process = {}

---Writes to its stdin; see Stream:write. Suspends.
---@param data string|number
---@param timeout? number seconds
---@return true? written
---@return braid.Error? err kinds: timeout, closed (the program reads no more), system
function Process:write(data, timeout) end

---Reads from its stdout; see Stream:read. Suspends.
---@param what? integer|"l"|"L"|"a"
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Process:read(what, timeout) end

---An iterator over the lines of its stdout. Each step suspends.
---@param what? "l"|"L"
---@return fun(): string?
function Process:lines(what) end

---Closes its stdin: the program reads the end of the file. At a terminal (`pty`) it is told so by Ctrl-D, which counts
---at the beginning of a line. Suspends at a terminal.
function Process:close_stdin() end

---Waits until the program has ended. Suspends. May be called again, and by several tasks.
---Read its output meanwhile: if a pipe is full, the program waits for ever.
---@param timeout? number seconds
---@return braid.process.Result? result code or signal
---@return braid.Error? err kinds: timeout, system
function Process:wait(timeout) end

---Sends it a signal. With `group = true` the signal goes to its process group, even after the program itself has ended.
---@param signal? integer|string a number, or a name such as "TERM" (the default) or "SIGKILL"
---@return boolean? sent false if it, and all of its group, have ended
---@return braid.Error? err kind system
function Process:kill(signal) end

---Starts a program. Does not wait for it.
---opts.stdin, .stdout, .stderr: "pipe" (default), "inherit" (ours), "null", or a file of the io library; for stderr
---also "stdout". opts.cwd: its working directory. opts.env: changes to the environment, name -> value, or false to
---remove a variable; the program is looked for in the PATH that it gets. opts.clear_env: it gets opts.env alone.
---opts.pass_fds: a list of descriptors, or streams, that it gets under the same numbers. opts.pty: true, or a table
---with `rows` and `columns`: the three are a terminal, to which `write` writes and from which `read` reads; it has a
---session and a process group of its own. opts.shell: argv is a command line for /bin/sh. opts.group: it gets its own
---process group, and signals go to the whole group; default: true with shell, unless it reads our stdin. opts.user: the
---name or the number of the user as whom it runs, with all groups of that user; only root may do this. The environment
---stays as it is.
---@param argv string[]|string the program, which is searched in PATH, and its arguments
---@param opts? table
---@return braid.Process? process
---@return braid.Error? err kind system; the message names the program
function braid.process.start(argv, opts) end

---Runs a program to its end and collects its output. Suspends. A cancel ends the program first. An exit code other than
---0 is not an error.
---opts: those of `start`, except: opts.stdin: text for the program (default: none), or a file of the io library
---(io.stdin: ours). opts.timeout: seconds until it is ended, by SIGTERM, and a second later by SIGKILL.
---opts.max_output: bytes of each output; beyond it the program is ended. opts.check: an exit code other than 0, or a
---signal, is an error.
---@param argv string[]|string the program, which is searched in PATH, and its arguments
---@param opts? table
---@return braid.process.Result? result
---@return braid.Error? err kinds: system (the message names the program; also if one of its pipes fails, which ends
--- it); timeout; limit (max_output); process (only with check; it has .code or .signal). If the program was started,
--- the error has .stdout and .stderr so far
function braid.process.run(argv, opts) end

---A connection: a braid.Stream (read, read_some, lines, write, close) with additional methods for sockets.
---@class braid.net.Stream: braid.Stream
local net_Stream = {}

---Ends writing: the peer reads the end of the stream. This side can still read. With TLS it waits for a write that is
---in progress, and suspends.
---@param timeout number? seconds
---@return true? done
---@return braid.Error? err kinds: closed, system; with TLS also timeout, tls
function net_Stream:shutdown(timeout) end

---The address of the peer, also after the end of the connection.
---@return string host or path; "" for an unnamed Unix socket
---@return integer? port nil for a unix socket
function net_Stream:peer() end

---What both sides have agreed on. On a stream that a listener has accepted, does the handshake first if it was not done
---yet. Suspends.
---@return {version: string, cipher: string, alpn: string?, server_name: string?, resumed: boolean,
--- peer: {subject: string, issuer: string, names: string[], not_before: integer, not_after: integer, sha256: string}?}?
--- facts nil: this stream has no TLS. Times are seconds since 1970
---@return braid.Error? err kinds: tls, closed, system
function net_Stream:tls() end

---Begins TLS on a stream that is open, as a client, or with `cert` as a server. All bytes of the peer must have been
---read: those that came before are an error. Nobody else may read or write meanwhile. If it fails, the stream is
---closed. Suspends.
---@param opts? {server: boolean?, timeout: number?} and options of `connect`'s or `listen`'s `tls`; server: as a server
--- (true) or a client (false), whatever `cert` says. The default of `server_name` is the host of `connect`
---@return true? done
---@return braid.Error? err kinds: tls (with `code`, `reason` and `peer`), timeout, closed, system
function net_Stream:start_tls(opts) end

---A socket that accepts connections. A `<close>` variable is closed at the end of its block.
---`for stream in listener do` accepts one connection after the other until the listener is closed; it raises other
---errors.
---@class braid.net.Listener
---@field host string? the address; nil for a unix socket
---@field port integer? the port, also if 0 was given
---@field path string? of a Unix socket; its file is removed when the listener is closed
---@field fd integer? the descriptor; nil after close
local net_Listener = {}

---Accepts the next connection. Where this process has no free descriptor, it waits until there is one, and says so once
---on stderr. Suspends.
---@param timeout number? seconds
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, closed, system
function net_Listener:accept(timeout) end

---Closes it at once, without waiting. Waiting accepts end with kind "closed". Accepted connections stay open. Does
---nothing if it is closed.
function net_Listener:close() end

---Asks for the addresses of a name. Suspends.
---@param name string
---@param opts? {family: "inet"|"inet6"?, timeout: number?}
---@return {address: string, family: "inet"|"inet6"}[]? list in the order in which to try them
---@return braid.Error? err kinds: timeout, system
function braid.net.resolve(name, opts) end

---Opens a UDP socket: `net.udp("127.0.0.1", 5353)`; `net.udp()` for one that takes a free port at all addresses of both
---families. opts.reuse_port: other sockets with this option may use the same port. opts.broadcast: it may send to
---broadcast addresses. Suspends while it looks up a host name.
---@param host string? its own address; nil or "*": all of this machine
---@param port integer? nil or 0: a free one
---@param opts {reuse_port: boolean?, broadcast: boolean?}?
---@return braid.net.Udp? udp
---@return braid.Error? err kind system (with `code`, the error number)
function braid.net.udp(host, port, opts) end

---Connects: `net.connect("example.org", 80)`, `net.connect{ unix = "/run/some.sock" }`. Tries all the addresses, a
---quarter of a second apart, IPv6 and IPv4 in turn; the first that answers wins. A path that begins with `@` is an
---abstract Unix socket. opts.timeout: seconds for everything; default: as long as the system tries. opts.max_line: the
---longest line that the stream reads, in bytes; default 1 MiB. opts.nodelay = false: small pieces wait for each other.
---opts.keepalive: true, or after how many seconds of silence the system asks whether the peer is there.
---opts.bind: the local address. opts.proxy: the URL of a proxy that connects for us: "http://host:port" (CONNECT),
---"socks5://host:port", or "socks5h://host:port" (it also looks up the name); `user:password@` may stand before the
---host. opts.tls: true, or a table of its options: `verify` (default true), `ca_file` and `ca_path` (whom to trust;
---default: as the system does), `server_name` (the name, or address, of the certificate; default: the host), `cert` and
---`key` (PEM files, or texts, of an own certificate), `alpn` (list of protocols), `min_version` ("1.2" or "1.3"),
---`ciphers`, `resume` (default true: sessions are resumed), `close_notify` ("required", the default: an end without it
---is an error; or "optional"). Suspends.
---@param host string|table a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {timeout: number?, max_line: integer?, nodelay: boolean?, keepalive: boolean|integer?, bind: string?,
--- proxy: string?, tls: boolean|table|nil}?
---@return braid.net.Stream? stream
---@return braid.Error? err kinds: timeout, system (with `code`, the error number), proxy (from an HTTP proxy with
--- `status`), closed and limit (by a proxy), tls (with `code`, `reason`, and the certificate of the `peer`)
function braid.net.connect(host, port, opts) end

---Listens: `net.listen("127.0.0.1", 0)`, `net.listen{ unix = "/run/some.sock" }`. Host nil or "*" means all addresses
---of this machine, IPv4 and IPv6, and "localhost" both loopback addresses; port 0 means a free one. A path that begins
---with `@` is an abstract Unix socket. A Unix socket's file at which nobody listens any more is replaced.
---opts.backlog: connections that may wait to be accepted, default 1024. opts.reuse_port: other sockets with this option
---may listen at the same port, and the system spreads the connections. opts.v6only: whether an IPv6 address takes no
---IPv4 connections. opts.max_line: of the accepted streams, as for `connect`. Suspends while it looks up a host name.
---@param host string|table|nil a name or an address; or a table with `host` and `port`, or `unix`, and the options
---@param port integer?
---@param opts {backlog: integer?, reuse_port: boolean?, v6only: boolean?, max_line: integer?, tls: table?}?
---@return braid.net.Listener? listener
---@return braid.Error? err kinds: system (with `code`, the error number), tls
function braid.net.listen(host, port, opts) end

---A UDP socket. It is closed by `<close>`, and when it is collected.
---@class braid.net.Udp
---@field fd integer? the descriptor; nil after close
local net_Udp = {}

---Sends one datagram. Suspends while there is no room for it, and while it looks up a host name.
---@param data string at most 65507 bytes
---@param host? string a name or an address; may be left out after `connect`
---@param port? integer
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout, closed, system
function net_Udp:send(data, host, port, timeout) end

---Receives the next datagram. Suspends.
---@param timeout? number seconds
---@return string? data may be empty
---@return string|braid.Error host of the sender; or the error, kinds: timeout, closed, system
---@return integer? port of the sender
function net_Udp:receive(timeout) end

---From now on, `send` without a place sends there, and `receive` receives only what comes from there. Suspends while it
---looks up a host name.
---@param host string a name or an address
---@param port integer
---@return true? connected
---@return braid.Error? err kinds: closed, system
function net_Udp:connect(host, port) end

---Joins a group (multicast): the socket also receives what is sent to the group. If an interface is named, the socket
---also sends from there what it sends to groups.
---@param group string the group's address
---@param interface? string its name; default: the system chooses
---@return true? joined
---@return braid.Error? err kinds: closed, system
function net_Udp:join(group, interface) end

---Leaves a group.
---@param group string
---@param interface? string as for `join`
---@return true? left
---@return braid.Error? err kinds: closed, system
function net_Udp:leave(group, interface) end

---The socket's own address.
---@return string? host
---@return integer|braid.Error port or the error, kind closed
function net_Udp:address() end

---Closes it at once. Waits for it end with kind "closed". Does nothing if it is closed.
function net_Udp:close() end

---One or both directions of a pipe or a socket. It is closed by `<close>`, and when it is collected.
---@class braid.Stream
---@field fd integer? the descriptor; nil after close
local Stream = {}

---Reads like Lua's `file:read`. Suspends. After a timeout or a cancel, the bytes read so far stay for the next read.
---@param what? integer|"l"|"L"|"a" a number of bytes (fewer only at the end); a line without ("l", the default) or with
--- ("L") its newline; everything up to the end ("a")
---@param timeout? number seconds
---@return string? data nil at the end; but "a" returns "" there
---@return braid.Error? err kinds: timeout, closed, system; limit: the line is longer than the stream's max_line
function Stream:read(what, timeout) end

---Reads what is there; waits only if there is nothing. Suspends.
---@param most? integer bytes; default: no limit
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Stream:read_some(most, timeout) end

---Reads up to a text, which is returned, too. At the end: the rest without it. What was read stays for the next read if
---this one fails. Suspends.
---@param text string the delimiter
---@param most? integer bytes before the delimiter; default: the stream's max_line
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: limit (the delimiter does not come in time), timeout, closed, system
function Stream:read_until(text, most, timeout) end

---Returns the next bytes, and leaves them to be read. Waits until there are that many. Suspends.
---@param count integer bytes; fewer only at the end
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Stream:peek(count, timeout) end

---An iterator over the lines up to the end. It raises the errors that `read` would return. Each step suspends.
---@param what? "l"|"L" without (default) or with their newlines
---@return fun(): string?
function Stream:lines(what) end

---Writes all of the data. Suspends while the other side is slow. Writes of several tasks are not mixed. After a write
---that a timeout or a cancel has ended in the middle of its data, all later ones fail with kind "closed".
---@param data string|number
---@param timeout? number seconds
---@return true? written
---@return braid.Error? err kinds: timeout, closed (also by the other side), system; `err.written`: bytes written before
function Stream:write(data, timeout) end

---Closes it at once, without waiting. Waits for it end with kind "closed". Does nothing if it is closed.
function Stream:close() end

---Waits until a descriptor is ready: of a database client, of LuaSocket (`socket:getfd()`), or of anything else that
---can be polled. Several tasks may wait for the same one. It must stay open: a wait for a descriptor that is closed may
---never end. A regular file is always ready. Suspends.
---@param fd integer
---@param mode "r"|"w"|"rw" ready for reading, for writing, or for either
---@param timeout? number seconds; 0 checks without waiting
---@return true|"r"|"w"|"rw"|nil ready true; for "rw" what it is ready for
---@return braid.Error? err kinds: timeout; system if it is not open
function braid.wait_fd(fd, mode, timeout) end

---Signals that this program waits for. `for name in signals do` iterates over them, until it is closed.
---@class braid.Signals
local Signals = {}

---Waits for the next signal. One that came several times since the last call is told once. Suspends.
---@param timeout number? seconds
---@return string? name as in "HUP"
---@return braid.Error? err kind "timeout" or "closed"
function Signals:get(timeout) end

---Gives the signals up: what they did before happens again. Who waits in `get` is told (kind "closed").
function Signals:close() end

---Waits for signals from now on, in place of what they do otherwise: `braid.signals("HUP", "TERM")`. Every object that
---names a signal is told. Programs that are started meanwhile have the usual dispositions.
---@param name string "HUP" or "SIGHUP"
---@param ... string further names
---@return braid.Signals
function braid.signals(name, ...) end

---A temporary folder. `<close>` removes it with all that is in it.
---@class braid.TemporaryFolder
---@field path string
local TemporaryFolder = {}

---Removes the folder with all that is in it, also where the task is cancelled. Suspends.
---@return true? removed
---@return braid.Error? err kind system
function TemporaryFolder:close() end

---Opens a file as `io.open` does. FIFOs and devices can be opened, too; they wait like streams. Suspends.
---@param path string
---@param mode "r"|"w"|"a"|"r+"|"w+"|"a+"|nil default "r"; a "b" may follow
---@return braid.File? file
---@return braid.Error? err kind system, with `code`, the error number
function braid.file.open(path, mode) end

---Returns all of a file. Suspends.
---@param path string
---@return string? data
---@return braid.Error? err kind system, with `code`
function braid.file.read(path) end

---Writes a file: makes it, or replaces what it contains. Suspends. With `atomic`, there is at any time a complete file:
---the old one or the new one, also after a crash of the machine; it keeps the permissions of the old one.
---A timeout or a cancel may end it in the middle. With `atomic` the old file is there then; else `err.written` tells
---how many bytes of the new one there are.
---@param path string
---@param data string|number
---@param opts {atomic: boolean?, sync: boolean?, mode: integer?}? sync = false: an atomic write does not wait for the
--- disk, and survives a crash of the program alone. mode: permissions of a new file that is written with `atomic`
---@return true? written
---@return braid.Error? err kind system, with `code`, and `written`
function braid.file.write(path, data, opts) end

---Adds to the end of a file; makes it if there is none. Suspends.
---@param path string
---@param data string|number
---@return true? written
---@return braid.Error? err kind system, with `code`, and `written`
function braid.file.append(path, data) end

---Copies a regular file with its permissions; replaces what the other contains. Suspends.
---@param path string
---@param to string
---@return true? copied
---@return braid.Error? err kind system, with `code`, and `written`: how many bytes of the copy there are
function braid.file.copy(path, to) end

---Renames a file or a folder; replaces a file that has the new name, in one step. Suspends.
---@param path string
---@param to string
---@return true? renamed
---@return braid.Error? err kind system, with `code`
function braid.file.rename(path, to) end

---Removes a file or an empty folder. Suspends.
---@param path string
---@param opts {recursive: boolean?}? recursive: also what is in the folder; links are removed, not followed
---@return true? removed
---@return braid.Error? err kind system, with `code`
function braid.file.remove(path, opts) end

---Makes a folder. Suspends.
---@param path string
---@param opts {parents: boolean?, mode: integer?}? parents: makes those that are missing, too, and it is no error if
--- the folder is there. mode: permissions, of which the system takes its umask away; default 777 in octal
---@return true? made
---@return braid.Error? err kind system, with `code`
function braid.file.mkdir(path, opts) end

---The names in a folder, sorted by their bytes, without "." and "..". Suspends.
---@param path string
---@return string[]? names
---@return braid.Error? err kind system, with `code`
function braid.file.list(path) end

---What the system knows of a file. Suspends.
---@param path string
---@param opts {follow: boolean?}? follow = false: of a symbolic link itself
---@return {size: integer, kind: string, mode: integer, mtime: number, atime: number, ctime: number, uid: integer,
--- gid: integer, inode: integer, links: integer}? facts kind: "file", "folder", "link", "fifo", "socket" or "device";
--- mode: the permissions; times: seconds since 1970
---@return braid.Error? err kind system, with `code`
function braid.file.stat(path, opts) end

---An iterator over everything below a folder: paths, which begin with `path`, and kinds as in `stat`. A folder comes
---before what is in it. Symbolic links are not followed. It raises errors. Each step may suspend.
---@param path string
---@return fun(): string?, string?
function braid.file.walk(path) end

---Makes a file with a name of its own, open for reading and writing, or a folder. Its `path` tells where. It is removed
---when it is closed. Only this user can read it. Suspends.
---@param opts {folder: boolean?, prefix: string?, parent: string?}? prefix: how its name begins; parent: the folder in
--- which it is made, default $TMPDIR or /tmp
---@return braid.File|braid.TemporaryFolder|nil made
---@return braid.Error? err kind system, with `code`
function braid.file.temporary(opts) end

---Watches a file, or what is in a folder: see `braid.file.Watch`. What happens after it has returned is told. Linux.
---Suspends.
---@param path string
---@param opts {recursive: boolean?}? recursive: also what is in the folders below, and in those that are made later
---@return braid.file.Watch? changes
---@return braid.Error? err kind system, with `code`
function braid.file.watch(path, opts) end

---An open file. It is read and written like a file of `io`, but waiting suspends the task. It is closed by `<close>`,
---and when it is collected.
---@class braid.File
---@field path string
local File = {}

---Reads like Lua's `file:read`: "n" a number, "l" (default) and "L" a line without or with its newline, "a" all that is
---left, or so many bytes. Suspends. A read that is cancelled has read nothing.
---@param ... "n"|"l"|"L"|"a"|integer
---@return any ... one value for each format; nil, and no more, where the file has ended
---@return braid.Error? err kinds: system, closed
function File:read(...) end

---An iterator that reads with these formats at each step, up to the end. It raises errors. Each step suspends.
---@param ... "n"|"l"|"L"|"a"|integer
---@return fun(): any...
function File:lines(...) end

---Writes all of it: when it returns, the system has the data, and everybody can read it. Suspends. A timeout or a
---cancel may end it in the middle; then `err.written` tells how many bytes were written, and the next write goes on
---there.
---@param ... string|number
---@return braid.File? file itself
---@return braid.Error? err kinds: system, closed
function File:write(...) end

---There is nothing to flush, because `write` keeps nothing back.
---@return braid.File file itself
function File:flush() end

---Brings what was written to the disk, so that a crash of the machine cannot lose it. Suspends.
---@return true? synced
---@return braid.Error? err kinds: system, closed
function File:sync() end

---Makes the file so long: cuts it, or adds zero bytes. Suspends.
---@param size integer? default: up to the place of the next read or write
---@return true? done
---@return braid.Error? err kinds: system, closed
function File:truncate(size) end

---Moves the place of the next read or write, and returns it. Suspends if it counts from the end.
---@param whence "set"|"cur"|"end"|nil from where; default "cur"
---@param offset integer? bytes; default 0
---@return integer? place bytes from the beginning
---@return braid.Error? err kinds: system, closed
function File:seek(whence, offset) end

---Locks the file for this handle, as flock(1) does: "shared" with others that only read it, or "exclusive". Whoever
---opened the file again has a lock of his own, also in this program. Closing unlocks. Suspends.
---@param kind "shared"|"exclusive"
---@param timeout number? seconds
---@return true? locked
---@return braid.Error? err kinds: timeout, system, closed
function File:lock(kind, timeout) end

---Gives the lock back. Suspends.
---@return true? unlocked
---@return braid.Error? err kinds: system, closed
function File:unlock() end

---Closes it, also where the task is cancelled. Does nothing if it is closed. Suspends.
---@return true? closed
---@return braid.Error? err kind system: what was written may be lost
function File:close() end

---Changes below a path: `for change in changes do` iterates over them, until it is closed or what it watches is gone.
---Each change is a table: `kind` is "created", "modified", "deleted", "moved" (then `from` is the old path) or
---"overflow" (the system has dropped changes), and `path` says where. Changes of the same kind of the same file that
---nobody has taken yet are told once.
---@class braid.file.Watch
local file_Watch = {}

---Waits for the next change. Suspends.
---@param timeout number? seconds
---@return {kind: string, path: string, from: string?}? change nil when what it watches is gone
---@return braid.Error? err kinds: timeout, closed, system
function file_Watch:get(timeout) end

---Ends it at once. Who waits in `get` is told (kind "closed"). Does nothing if it is closed.
function file_Watch:close() end

---GET. Suspends until the whole response is there. Keeps the connection for later requests.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response? response also for statuses like 404 (see Response:raise_for_status)
---@return braid.Error? err kinds: timeout, limit, closed and http, with `url` and `code` (libcurl's name of the error)
function braid.http.get(url, opts) end

---POST; the content is `opts.body`, `.json`, `.form` or `.multipart`. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.post(url, opts) end

---PUT. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.put(url, opts) end

---PATCH. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.patch(url, opts) end

---DELETE. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.delete(url, opts) end

---HEAD. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.head(url, opts) end

---A request with any method: `http.request{ method = "OPTIONS", url = url, ... }`. Suspends.
---@param opts braid.http.Options with `url`, and `method` (default "GET")
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function braid.http.request(opts) end

---The server-sent events of a URL: `for event in http.events(url) do print(event.event, event.data, event.id) end`.
---When the connection is lost, it connects again, and says by Last-Event-ID what it has got. It raises when it cannot
---connect for the first time, when the answer is no event stream, or an event is too large. Each step suspends.
---@param url string
---@param opts braid.http.EventOptions?
---@return braid.http.Events events
---@return nil, nil
---@return braid.http.Events closing what a `for` closes at its end
function braid.http.events(url, opts) end

---Closes the connections that the functions above have kept. Their running requests end with kind closed.
function braid.http.close() end

---How connections are secured.
---@class braid.http.Tls
---@field verify boolean? as the option `verify`, which it excludes
---@field ca_file string? as the option `ca_file`, which it excludes
---@field cert string? path of the client's certificate, which belongs to an origin as `auth` does
---@field key string? path of its key
---@field min_version "1.2"|"1.3"|nil
---@field pin string|string[]|nil base64 SHA-256 of the public keys that the server may have

---Timeouts in seconds, each of them more than 0. The time in which this program is slow counts only for `total`.
---@class braid.http.Timeouts
---@field connect number? until the connection is established; as connect_timeout
---@field pool number? until a connection is free, where the session limits them
---@field read number? without a byte from the server, after the request was sent
---@field write number? in which no byte of the request could be sent
---@field total number? as timeout

---Options of a request. Those up to `trace` may also be given to a session, for all its requests.
---@class braid.http.Options
---@field headers table<string, string|number|string[]>? a list sends the header several times
---@field auth string|table? for the origin (scheme, host, port) of the URL, or of a session's base_url, and for no
--- other that a redirect leads to: "user:password" or {user, password}: basic authentication; {bearer = token};
--- {digest = "user:password" or {user, password}}
---@field timeout number? seconds for everything, including the wait for a connection and retries; default 30;
--- math.huge: no limit
---@field connect_timeout number? seconds until the connection is established
---@field idle_timeout integer? seconds without any byte in either direction, after which the request fails with kind
--- timeout
---@field follow boolean|integer? number of redirects (301, 302, 303, 307, 308) to follow; default true, which is 10
---@field verify boolean? whether to verify the server's certificate; default true
---@field ca_file string? certificates to trust instead of the system's
---@field proxy string? URL of a proxy: http, https, socks4, socks4a, socks5 (this host looks up names) or socks5h (the
--- proxy does); "" for none. Default: from the environment (http_proxy, https_proxy, all_proxy)
---@field no_proxy string|string[]? hosts that need no proxy; "*": all. Default: from the environment
---@field unix_socket string? path of a Unix socket to connect to, in place of the URL's host
---@field http_version "1.0"|"1.1"|"2"|"h2c"? default: 2 if the server offers it by TLS; h2c: 2 without TLS, from the
--- first byte on
---@field max_body integer? bytes; a larger body fails with kind limit. Default: no limit
---@field decode boolean? whether compressed bodies are decompressed; default true. false: none are asked for, and the
--- body stays as it came
---@field retries integer|braid.http.Retries|boolean? most retries of an idempotent request; default 0; true: 3
---@field retry braid.http.Retry? the same as a table that says more; excludes `retries`
---@field timeouts braid.http.Timeouts? its total, connect and read exclude timeout, connect_timeout and idle_timeout
---@field tls braid.http.Tls?
---@field resolve table<string, string>? "host:port" -> address to connect to, for this request; the Host header and the
--- certificate are still the URL's
---@field local_address string? address of this host to connect from
---@field netrc boolean|string? takes user and password from ~/.netrc, or from this file, if it names the host and the
--- request has none
---@field on_request fun(request: braid.http.Outgoing)? is called before the request is sent; may change its `headers`,
--- `url` and `body`, and may wait. What it raises is raised by the request
---@field on_response fun(response: braid.http.Response)? is called with the response before it is returned; may change
--- it, and may wait. What it raises is raised by the request
---@field cache string|boolean|nil folder in which responses are kept and used again as RFC 9111 says; true: one of this
--- user ($XDG_CACHE_HOME/braid/http). Programs may share a folder, and remove files from it at any time
---@field trace fun(event: braid.http.Event)? called while the request goes on; see braid.http.Event
---@field sink fun(piece: string)? called with each piece of the body. It may wait; meanwhile the server has to wait,
--- too. If it returns nil and a reason (like file:write), the request fails with that
---@field file string? path where the body is saved if the status is 2xx. The file appears, or replaces an older one,
--- when the body is complete; symbolic links and permissions stay, and devices are written in place. The body of any
--- other status is in response.body
---@field resume boolean? with `file`: what has come of it stays in PATH.part if the download fails, and the next one
--- with this option asks for the rest only. If the server has another version meanwhile, it begins anew. The body is
--- saved as it comes, not decompressed
---@field progress boolean|table|fun(received: integer, total: integer?)? called with the bytes so far, and the total if
--- it is known; true, or options of braid.progress: shows a bar on stderr
---@field stream boolean? return when the headers are there; read the body by response:chunks(), :lines() or :read()
---@field cookies table<string, string>? name -> value, in addition to those of the session; for the URL's origin only
---@field query table<string, any>|string? added to the URL; a list as value repeats the name
---@field body string|function|file*|table|nil text; or a function or iterator that returns pieces and nil at the end
--- (nil and a reason: the request fails with that); or an open file or stream. They may suspend, and are called as fast
--- as the server takes what they give
---@field content_length integer? bytes of such a body. Default: for files what is left of them; for others none, and
--- the body is sent in chunks
---@field json any? the body, encoded as JSON
---@field form table<string, any>? the body, encoded like an HTML form
---@field multipart table? the body: a form with files; see braid.http.Part

---The headers of a response, by name: `headers["Content-Type"]`. Names are case-insensitive; `pairs` gives them in
---lower case. Several values of the same header are joined with ", " (see `Response:values`).
---@class braid.http.Headers
---@field [string] string

---Seconds since the beginning of the request; 0 for steps that were not needed.
---@class braid.http.Timing
---@field name_lookup number the host's address was known
---@field connect number the connection was established
---@field tls number the TLS handshake was done
---@field first_byte number the response began
---@field total number the response was complete

---@class braid.http.Response
---@field status integer
---@field body string? nil if it went to a sink or a file, or is read as a stream
---@field file string? path of the file to which it was saved
---@field url string after redirects
---@field http_version "1.0"|"1.1"|"2"|"3"
---@field headers braid.http.Headers
---@field timing braid.http.Timing
---@field history braid.http.Response[] the redirects that led to it, in their order
---@field cached "fresh"|"revalidated"|"stale"|nil the body was kept by the option `cache`; revalidated: the server has
--- said that it is still right; stale: the server has failed, and said before that it may be used then
---@field reason string what the server says beside the status; "" if nothing
---@field remote { address: string, port: integer } whom it came from: the server, or a proxy; "" and 0 by a Unix socket

---A request. Suspends until the whole response is there. Error kinds: timeout, limit, closed and http.
---@alias braid.http.Method
---| fun(self: braid.http.Session, url: string, opts: braid.http.Options?): braid.http.Response?, braid.Error?

---Requests that share connections, cookies and options. A `<close>` variable is closed at the end of its block.
---@class braid.http.Session
---@field get braid.http.Method `session:get(url, opts?)`: as braid.http.get. Suspends
---@field post braid.http.Method `session:post(url, opts?)`: as braid.http.post. Suspends
---@field put braid.http.Method `session:put(url, opts?)`: as braid.http.put. Suspends
---@field patch braid.http.Method `session:patch(url, opts?)`: as braid.http.patch. Suspends
---@field delete braid.http.Method `session:delete(url, opts?)`: as braid.http.delete. Suspends
---@field head braid.http.Method `session:head(url, opts?)`: as braid.http.head. Suspends
local http_Session = {}

---A request with any method: `session:request{ method = "OPTIONS", url = url, ... }`. Suspends.
---@param opts braid.http.Options with `url`, and `method` (default "GET")
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function http_Session:request(opts) end

---The server-sent events of a URL. See `braid.http.events`.
---@param url string
---@param opts braid.http.EventOptions?
---@return braid.http.Events events
---@return nil, nil
---@return braid.http.Events closing what a `for` closes at its end
function http_Session:events(url, opts) end

---The cookies of the session.
---@return braid.http.Cookie[]
function http_Session:cookies() end

---Deletes the cookies of the session.
function http_Session:clear_cookies() end

---The session's connections and requests, in numbers; all are 0 when it is closed.
---@return braid.http.Stats
function http_Session:stats() end

---Closes the session and its connections. Running and later requests end with kind closed.
function http_Session:close() end

---A cookie of a session.
---@class braid.http.Cookie
---@field name string
---@field value string
---@field domain string
---@field path string
---@field secure boolean
---@field http_only boolean
---@field expires integer? seconds since 1970; nil: when the session ends

---What the session does at the moment.
---@class braid.http.Stats
---@field open integer connections
---@field idle integer connections that no request uses
---@field waiting integer requests that have no connection yet
---@field requests integer requests so far, those of redirects and retries too
---@field reused integer requests that used the connection of an earlier one

---Options of a session, in addition to those of its requests.
---@class braid.http.SessionOptions: braid.http.Options
---@field base_url string? URLs without a scheme are relative to it
---@field max_per_host integer? most connections to one host; further requests wait for one. Default: no limit
---@field max_connections integer? most connections in total. Default: no limit
---@field cookies boolean|table<string, string>|nil whether cookies are kept and sent back; default true. A table: true,
--- and these cookies are sent with each request to the origin of base_url; without a base_url, with each

---Makes a session. It opens no connection yet.
---@param opts braid.http.SessionOptions?
---@return braid.http.Session
function braid.http.session(opts) end

---When a request is repeated. A number is the same as `count`.
---@class braid.http.Retries
---@field count integer? most retries; default 3
---@field backoff number? seconds before the first retry, default 0.2; doubled before each further one, and shortened by
--- a random part of up to a half, so that clients do not retry all at once
---@field max_delay number? most seconds between two attempts, default 60; a longer Retry-After ends the attempts
---@field statuses integer[]? statuses that are retried; default 429, 502, 503 and 504
---@field methods string[]? default: the idempotent ones GET, HEAD, PUT, DELETE, OPTIONS and TRACE

---When a request is repeated, as the option `retry` says it.
---@class braid.http.Retry
---@field tries integer? most attempts in all; default 4
---@field backoff number? as of braid.http.Retries
---@field max_delay number? as of braid.http.Retries
---@field on (integer|string)[]|(fun(response: braid.http.Response?, err: braid.Error?, try: integer): boolean?)|nil the
--- statuses and the codes of errors that are retried, or a function that decides after each try (1, 2, ...)
---@field methods string[]? as of braid.http.Retries

---What `trace` is called with.
---@class braid.http.Event
---@field event "request"|"response"|"failure"|"retry"
---@field method string
---@field url string
---@field attempt integer 1, 2, ...
---@field response braid.http.Response? of "response": its headers are there; the body of a streamed one is not
---@field status integer? of "response"
---@field timing braid.http.Timing? of "response"
---@field error braid.Error? of "failure"
---@field delay number? of "retry": seconds until the next attempt

---When an event stream that has ended is asked for again.
---@class braid.http.Reconnect
---@field delay number? seconds, unless the server says; default 3
---@field most number? most seconds: the delay doubles with each failure; default 60
---@field tries integer? failures in a row, after which the iterator raises the last one; default: no limit

---Options of `events`, in addition to those of a request. `timeout` is the time until the response begins;
---`timeouts.read` without a byte ends the connection, and the next one is made.
---@class braid.http.EventOptions: braid.http.Options
---@field method string? default "GET"; with any other the stream is read once, and its end is the end of the iterator
---@field last_event_id string? the id of the last event that is known already
---@field reconnect boolean|braid.http.Reconnect|nil false: the end of the stream is the end of the iterator
---@field max_event integer? bytes of one event, beyond which it raises kind limit; default 1 MiB

---An open stream of events. Called, it returns the next event. A `<close>` variable, and the end of a `for`, close it.
---@class braid.http.Events
---@field id string the id of the last event

---@class braid.telemetry.Options
---@field endpoint string URL of the collector; /v1/traces is appended
---@field service string the service's name
---@field sample number? the part of the traces that are sent, 0 to 1; default 1. What a caller's header says goes first
---@field headers table<string, string>? of the requests to the collector

---Runs fn as a span of the current trace, or as the first one of a new trace. What fn raises is noted in it, and
---raised.
---@param name string
---@param attributes table<string, string|number|boolean>?
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returns
function braid.span(name, attributes, fn, ...) end

---Sends spans to a collector, in the background: those of this state, and those of the workers to which it sends jobs.
---A batch goes every half second, or when there are 512 spans; one that fails in a way that may pass is tried again,
---five times at most. A collector that cannot be reached is reported once on stderr; it fails nobody and delays nobody.
---At most 4,096 spans wait; what has no room is dropped and counted. The end of a run, and of the script, sends what is
---left, for at most 5 s; `os.exit` does not.
---@param opts braid.telemetry.Options
---@return braid.telemetry.Exporter exporter its `<close>` sends what is left, and ends it
function braid.telemetry(opts) end

---What sends spans. `<close>` sends what is left, and ends it.
---@class braid.telemetry.Exporter: braid.telemetry.Sink
local telemetry_Exporter = {}

---Sends all that was not sent yet. Suspends.
---@param timeout number? seconds; default 10
---@return boolean sent
function telemetry_Exporter:flush(timeout) end

---Sends what is left, trying once, and ends it: later spans are not sent. Suspends for at most 5 s.
function telemetry_Exporter:close() end

---Spans that were lost: too many waited, or the collector could not be reached or refused them.
---@return integer
function telemetry_Exporter:lost() end

---@class braid.Metrics
---@field tasks { pending: integer, running: integer } of this state
---@field jobs { queued: integer, running: integer, done: integer, failed: integer, cancelled: integer } of all pools
---@field loop { idle: number, lag: number } seconds: that the loop has slept, in all; the longest time for which it was
--- held since the metrics were asked for before, so that nothing else could go on
---@field queues { open: integer, items: integer } queues of this state, and what is in them
---@field process { cpu: number, memory: integer, lua_memory: integer, descriptors: integer, seconds: number }
--- processor time of all its threads in seconds; resident bytes and open descriptors (0: the system does not say);
--- bytes of this Lua state; seconds since the start of the process
---@field pools { kind: string, name: string, workers: integer, queued: integer, running: integer, done: integer,
--- failed: integer, cancelled: integer }[] pools of one kind and name are one; name: "" if they have none
---@field http { sessions: integer, open: integer, idle: integer, waiting: integer, requests: integer, reused: integer }
--- of the sessions that are in use; `requests` and `reused` of closed ones, too; see braid.http.Stats
---@field web { servers: integer, accepted: integer, connections: integer, requests: integer } of all servers that run:
--- connections so far; open connections and unanswered requests now

---The numbers of this state at the moment. Does not suspend.
---@param form "prometheus"|"opentelemetry"|nil "prometheus": as text in Prometheus's format; "opentelemetry": as JSON
--- of OTLP. nil: as a table
---@return braid.Metrics|string
function braid.metrics(form) end

---Connects: `braid.websocket.connect("wss://example.org/chat")`. Suspends.
---
---opts.headers: name -> value or list, sent with the handshake. opts.protocols: subprotocols of which the server may
---choose one. opts.max_message: bytes of a message that arrives, default 16 MiB; a longer one closes the connection
---(1009). opts.ping_interval: seconds between pings; a peer that does not answer in that time is closed (1011).
---opts.idle_timeout: seconds without a message in either direction, after which it is closed (1001). opts.compress:
---whether compression is offered, default true. opts.tls: as for net.connect. opts.proxy: as for net.connect.
---opts.timeout: seconds for everything up to the end of the handshake.
---@param url string "ws://" or "wss://"; `user:password@` before the host logs in
---@param opts? {headers: table?, protocols: string[]?, max_message: integer?, ping_interval: number?,
--- idle_timeout: number?, compress: boolean?, tls: boolean|table|nil, proxy: string?, timeout: number?}
---@return braid.WebSocket? ws
---@return braid.Error? err kinds: http (the server refuses: `status`, `headers`), timeout, system, tls, proxy, closed
function braid.websocket.connect(url, opts) end

---A WebSocket. A `<close>` variable closes it at the end of its block.
---@class braid.WebSocket
---@field protocol string? the subprotocol that was agreed on
---@field headers braid.websocket.Headers those of the server's answer; on the server those of the request
local WebSocket = {}

---Sends a message of text. Messages of several tasks follow each other whole, in the order of the calls. Suspends while
---the peer is slow. A message that a timeout or a cancel cuts off ends the sending: later ones fail with kind "closed".
---@param text string UTF-8
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:send(text, timeout) end

---Sends a message of bytes. As `send` else. Suspends.
---@param bytes string
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:send_binary(bytes, timeout) end

---Waits for the next message. Only one task may receive at a time. Suspends.
---@param timeout? number seconds
---@return string? data
---@return "text"|"binary"|braid.Error kind or the error: timeout; closed, with `code` (1006: none came) and `reason`
function WebSocket:receive(timeout) end

---An iterator over the messages: `for data, kind in ws:messages() do`. It ends after a normal close (1000, 1001, or
---without a code) and raises any other error. Each step suspends.
---@return fun(): string?, "text"|"binary"|nil
function WebSocket:messages() end

---Sends a ping and waits for its answer. Messages that come before the answer wait for a receive. Suspends.
---@param payload? string up to 125 bytes; default: a new number
---@param timeout? number seconds
---@return number? seconds that the answer took
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:ping(payload, timeout) end

---Closes it: says so to the peer, waits for its answer, and then closes the connection in any case. Messages that come
---meanwhile are dropped if no task receives them. Does nothing if it is closed. Suspends.
---@param code? integer default 1000
---@param reason? string
---@param timeout? number seconds; default 5
---@return true? closed
---@return braid.Error? err kind timeout: the peer has not answered; closed: it has gone without an answer
function WebSocket:close(code, reason, timeout) end

---@class braid.web.App: braid.web.Routes
local web_App = {}

--- Describes the application to programs and people: a document of OpenAPI 3.1, and a page that shows it and tries it
--- out, without anything from elsewhere. They tell what the routes say of themselves (params, query, headers, body,
--- response, summary, tags ...), also of routes that are added later and of mounted applications.
---@param options {title: string?, version: string?, description: string?, servers: {url: string}[]?, path: string?,
--- page: string|false|nil, security: table<string, table>?}? path: default "/openapi.json"; page: default "/docs",
--- false: none; security: schemes of OpenAPI by the names that routes use in their `security`
---@return braid.web.App self
function web_App:openapi(options) end

--- Adds middleware: a function before everything that follows, also before missing routes. Its result is the answer.
--- next(request) calls the rest and returns its response, which may be changed. An error of the handler passes through
--- it.
---@param middleware fun(request: braid.web.Request, next: fun(request: braid.web.Request): braid.web.Response): any
---@return braid.web.App self
function web_App:use(middleware) end

--- Adds a function that is called before the first request. If it raises, the server does not start.
---@param fn fun()
---@return braid.web.App self
function web_App:on_start(fn) end

--- Adds a function that is called after the last request was answered.
---@param fn fun()
---@return braid.web.App self
function web_App:on_stop(fn) end

--- Sets a function that answers when a handler or a middleware has failed: it gets the error and the request, and
--- returns as a handler does; the status is 500 unless it says another. If it returns nothing, the answer is the usual
--- one, and the failure is reported. It is not called for braid.web.abort.
---@param fn fun(err: any, request: braid.web.Request): any
---@return braid.web.App self
function web_App:on_error(fn) end

--- Sets a function that answers requests for paths without a route; the status is 404 unless it says another. It is
--- also for applications that are mounted here and have none of their own. The middleware is around it.
---@param fn fun(request: braid.web.Request): any
---@return braid.web.App self
function web_App:not_found(fn) end

--- The path of the route that has this name in its spec, here or in an application that is mounted here. Parameters
--- that the path does not have become its query.
---@param name string
---@param params table<string, string|number>?
---@return string
function web_App:url_for(name, params) end

--- Counts requests, and serves the counts in Prometheus's text format, with those of the loop and of pools: see
--- `braid.metrics`. All workers of a server are in one answer.
---@param path string? default "/metrics"
---@return braid.web.App self
function web_App:metrics(path) end

--- Serves whether this program is well: 200 and `{"status": "ok"}`; or 503, when it stops, or when `check` raises or
--- returns false or nil and a reason. A table that it returns is added to the answer. The check may wait.
---@param path string? default "/health"
---@param check nil|fun(request: braid.web.Request): any
---@return braid.web.App self
function web_App:health(path, check) end

--- Starts a server in a task of the current scope; it ends with the scope. Calls the functions of on_start first, so it
--- may suspend. Raises for bad options, and errors of on_start functions.
---@param options braid.web.ServeOptions?
---@return braid.web.Server|braid.web.Supervisor|nil server with .port, .url, :stop(), :wait()
---@return any err if it cannot listen at the address
function web_App:start(options) end

--- Serves until it is stopped: after SIGTERM and SIGINT running requests may end within `grace`. Suspends. Prints its
--- address on stderr. With several `workers` this process supervises that many processes, which get the application
--- (its handlers with their upvalues; see the list of what can be sent). A worker that dies is replaced. SIGHUP
--- replaces all without losing a request; SIGTTIN and SIGTTOU add and remove one. Raises for bad options, if it cannot
--- listen, and if a worker cannot start.
---@param options braid.web.ServeOptions?
function web_App:serve(options) end

--- A client that calls the application without a socket.
---@return braid.web.TestClient
function web_App:test_client() end

--- Makes an application.
---@return braid.web.App
function braid.web.app() end

---What an application and its groups have in common. Each function returns the object itself, so calls can be chained.
---@class braid.web.Routes
---@field package _router braid.web.Router
---@field package _prefix string before the paths of all routes
---@field package _layers table[] lists of middleware around all routes, the outermost first
---@field package _layered braid.web.Route[] routes with middleware of their own, for changes of that
local web_Routes = {}

--- Answers GET (and HEAD) requests for a path. "/items/{id}" has a parameter: a whole, non-empty segment. "{id:int}" is
--- an integer, "{x:number}" a number; other segments give status 404. "{rest:path}" at the end is the rest of the path.
--- "{id:raw}" is a segment with its escapes, and the only one that may have an escape of '/' or NUL.
--- The handler gets the request and returns a table (JSON), a string (text), nil (status 204) or a braid.web.response.
--- It runs as a task and may wait. If the client leaves before the answer, the task is cancelled.
---@param path string
---@param spec braid.web.RouteSpec? may be left out, or stand behind the handler
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:get(path, spec, handler) end

--- Answers POST requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:post(path, spec, handler) end

--- Answers PUT requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:put(path, spec, handler) end

--- Answers PATCH requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:patch(path, spec, handler) end

--- Answers DELETE requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:delete(path, spec, handler) end

--- Answers OPTIONS requests, like get. Without such a route the answer is the path's list of methods.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:options(path, spec, handler) end

--- Answers requests with every method for which the path has no other route.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function web_Routes:any(path, spec, handler) end

--- Makes WebSockets of requests for a path. The handler runs as the request's task: `for message in ws:messages() do
--- ws:send(message) end`. Its return closes with 1000, its failure with 1011, the end of the server with 1001. If the
--- client leaves while the handler waits for something else, the task is cancelled. Middleware runs before it, and may
--- refuse; the answer of next() has status 101 if the handler will be called.
---@param path string as of get
---@param spec braid.web.WebSocketOptions? may be left out, or stand behind the handler
---@param handler fun(ws: braid.WebSocket, request: braid.web.Request)
---@return braid.web.Routes self
function web_Routes:websocket(path, spec, handler) end

--- Serves the files below a folder, with ETag, Last-Modified, ranges and content types. It looks for them at each
--- request. Names that begin with a dot (but ".well-known"), and links that leave the folder, give status 404. A folder
--- without its slash is redirected. Raises if there is no such folder.
---@param prefix string "/assets"
---@param folder string
---@param options {index: string?, max_age: integer?, precompressed: boolean?}? index: the file for the folder itself,
---  default "index.html"; max_age: seconds that clients may keep a file without asking again; precompressed: a file of
---  text is sent as NAME.br, NAME.zst or NAME.gz if that is there and the client takes it, default true
---@return braid.web.Routes self
function web_Routes:static(prefix, folder, options) end

--- Makes a group of routes below a prefix. Its middleware is inside of the application's, and around its routes only:
--- it does not see paths that no route has. An OPTIONS request for a path without such a route passes it, too.
---@param prefix string "/admin"; may have parameters
---@param fill (fun(group: braid.web.Group))|{use: braid.web.Middleware[]?}|nil a function that adds the routes, or
---  options
---@return braid.web.Group
function web_Routes:group(prefix, fill) end

--- Gives all requests below a prefix to another application: with its middleware, its hooks and its routes. It sees the
--- path below the prefix; `request.mount` is the prefix. Routes of this application for the same paths go first. Its
--- on_start and on_stop functions are called with those of this application.
---@param prefix string "/shop"; may have parameters
---@param app braid.web.App
---@return braid.web.Routes self
function web_Routes:mount(prefix, app) end

---What a route says of itself. All of it may be left out. A request that does not fit gets status 422 and
---`{ errors = { { at = "/query/limit", message = ... } } }`; `request.valid` has what was checked.
---@class braid.web.RouteSpec
---@field params table<string, string|braid.web.Schema>? of the path
---@field query table<string, string|braid.web.Schema>? an array takes all values of a repeated name
---@field headers table<string, string|braid.web.Schema>? a '_' in a name is a '-' of the header
---@field body string|braid.web.Schema|nil of JSON
---@field form table<string, string|braid.web.Schema>? of forms. Files (of format "binary") are for the documents only,
--- and with stream_body so are all its fields
---@field response table? of answers with a status of 2xx; or a table of schemas by their status
---@field status integer? of an answer without a status of its own
---@field strict boolean? refuses unknown names in the query, the body and the form
---@field summary string? for the documents, as the rest
---@field description string?
---@field tags string[]?
---@field security string[]? names of `app:openapi{ security = ... }`, of which one is enough; middleware checks it
---@field deprecated boolean?
---@field hidden boolean? leaves the route out of the documents
---@field name string? for `url_for`, and in the documents
---@field use braid.web.Middleware[]? middleware of this route alone, inside of the group's
---@field max_body integer? bytes, instead of the server's option
---@field timeout number? seconds after which the handler is cancelled, and the answer is 504; instead of the server's
---  request_timeout
---@field concurrency integer? requests at a time (in each process); further ones get 503
---@field stream_body boolean? the handler begins when the headers are there, and reads the body by request:chunks();
---  default: only for forms with files of more than 1 MiB, where neither `timeout` nor `concurrency` is set

---A part of an application's routes, with a common prefix and middleware of its own.
---@class braid.web.Group: braid.web.Routes
local web_Group = {}

--- Adds middleware around all routes of the group, also those that were added before.
---@param middleware braid.web.Middleware
---@return braid.web.Group self
function web_Group:use(middleware) end

---@class braid.web.Request
---@field method string "GET" and so on
---@field path string decoded, without the query
---@field query table<string, string> decoded; of a repeated name the first value
---@field params table<string, string|number> the values of the route's parameters
---@field valid {params: table?, query: table?, headers: table?, body: any, form: table?}? what the route has checked
---@field headers braid.web.Headers names are case-insensitive
---@field body string suspends if it is streamed
---@field cookies table<string, string>
---@field session table of this client, with the middleware braid.web.sessions; saved when it has changed
---@field peer string? the address of the other end; nil at a Unix socket
---@field ip string? the client's address: what the server's or the middleware's `proxies` say of it, else the peer
---@field scheme "http"|"https" that the client used
---@field host string to which the request was sent, with its port
---@field url string the whole address
---@field mount string? the path's beginning that this application does not see, because it is mounted there
---@field id string of this request, as in the access log; from a named proxy its X-Request-Id
local web_Request = {}

--- An iterator over the pieces of the body as they come. With `stream_body` in the route's options the handler begins
--- before the body has arrived; the client cannot send faster than this is called. A compressed body is decompressed
--- (gzip, deflate, br, zstd), with `max_body` as its limit. Each step suspends.
---@return fun(): string?
function web_Request:chunks() end

--- Gives the session a new id (with a store) or a new signature, as it should have after a login. Its data stays.
function web_Request:renew_session() end

--- Calls a function after the answer was sent. It runs in the request's task and may wait; the server's grace counts
--- it. A failure is reported.
---@param fn fun()
function web_Request:after(fn) end

--- The body, decoded from JSON. If the body is not JSON, ends the handler with status 400.
---@return any value null is braid.null
function web_Request:json() end

--- The fields of a form (application/x-www-form-urlencoded or multipart/form-data), decoded; a name that comes again
--- has a list of its values. Files are left out. With `stream_body` the files come first: `for file in
--- request:files()`, then this gives the fields; of a large form without the option, this first takes all of it into
--- memory. For a body of another type, ends the handler with status 415; for a
--- broken one 400.
---@return table<string, string|string[]>
function web_Request:form() end

--- An iterator over the files of a form (multipart/form-data). Each is read before the next one is asked for:
--- `file:read()`, `file:chunks()`, `file:save(path)`; otherwise it is dropped. With `stream_body`, or in a form of more
--- than 1 MiB, they are read while they come, once, so they may be larger than memory; `max_body` is the limit of all
--- together. Suspends. For a body of another type, ends the handler with status 415; for a broken one 400.
---@return fun(): braid.web.Part?
function web_Request:files() end

--- All values of a name in the query, in order.
---@param name string
---@return string[]
function web_Request:query_all(name) end

---@class braid.web.Response
---@field status integer
---@field headers braid.web.Headers
---@field body string|table|nil a table is sent as JSON
---@field stream function? produces the body piece by piece
---@field file braid.web.File? the body is this file
---@field upgrade {agreement: braid.websocket.Agreement, spec: table, fn: function}? the connection becomes a WebSocket
local web_Response = {}

--- Adds a cookie to the answer, in place of one with the same name, path and domain. Raises for a name, a value or an
--- option that a cookie cannot have: values are texts without blanks, quotes, ',', ';' and '\\'.
---@param name string
---@param value string|number|nil nil removes it; give the path and domain with which it was set
---@param opts braid.web.CookieOptions?
---@return braid.web.Response self
function web_Response:set_cookie(name, value, opts) end

--- Makes an answer with a status, headers and a body.
--- A stream is a function with a parameter, `write`, or an iterator that returns pieces until nil. Both may wait, and
--- they wait automatically while the client is slow. A stream runs in the request's task. If it raises, the connection
--- is closed, so the client knows that something is missing.
---@param options {status: integer?, headers: table<string, string|number|string[]>?, body: string|table|nil,
---  stream: function?}? status: default 200; headers: a list as value sends the header several times; body: a string
---  (text/plain, unless headers say otherwise) or a table, which becomes JSON; stream: instead of a body
---@return braid.web.Response
function braid.web.response(options) end

--- Makes an answer of server-sent events (text/event-stream). `fn` is called with a function that sends an event: a
--- string, or a table with data (a table is sent as JSON), event, id, retry. If the client leaves, the handler's task
--- is cancelled.
---@param fn fun(send: fun(event: string|table))
---@return braid.web.Response
function braid.web.events(fn) end

--- Ends the handler with a status: `{"error": message}`. Does not return: it raises the response.
---@param status integer
---@param message string? default: the usual name of the status
function braid.web.abort(status, message) end

---What a value must be. A program writes a word ("string", "integer", "number", "boolean", "object", "array", "any";
---with "?" at its end the value may be absent or null), a table that begins with the word, or a table of fields, which
---is short for `{ "object", fields = ... }`.
---@class braid.web.Schema
---@field [1] string the word
---@field min number? the least value; of strings (characters) and arrays (items) the least length
---@field max number? the greatest value or length
---@field default any taken when the value is absent, so it may be
---@field enum any[]? the values that are allowed
---@field pattern string? a Lua pattern that a part of the string must match
---@field format string? of strings: "date", "date-time", "time", "email", "uuid", "uri", "hostname", "ipv4", "ipv6",
--- "byte" (base64), "password" and "binary" (not checked); of numbers "int32", and "int64", "float", "double"
---@field items string|braid.web.Schema|nil what each item of an array is; of an object: each field not in `fields`
---@field fields table<string, string|braid.web.Schema>? of an object
---@field of (string|braid.web.Schema)[]? of "any": the alternatives; the first that the value fits is taken
---@field strict boolean? an object with other fields is refused; otherwise they are left out
---@field title string? the name of an object in the documents
---@field description string? for the documents
---@field example any for the documents

---A part of a form: a file that the client sends. It is read while it comes; what was not read when the next one is
---asked for is dropped.
---@class braid.web.Part
---@field name string of the field
---@field filename string as the client calls it, without folders
---@field type string its media type
---@field headers braid.web.Headers
local web_Part = {}

--- An iterator over the bytes as they come. Each step may suspend.
---@return fun(): string?
function web_Part:chunks() end

--- All of it. Suspends. Beyond the limit the handler ends with status 413.
---@param most integer? bytes; default: the limit of the request's body
---@return string
function web_Part:read(most) end

--- Writes it to a file, which is there under its name only when it is complete; the file that was there before stays
--- until then. Suspends.
---@param path string
---@return integer? size bytes
---@return braid.Error? err kind system
function web_Part:save(path) end

---@class braid.web.CookieOptions
---@field path string? default "/"
---@field domain string? default: the host of the request alone
---@field max_age integer? seconds; 0 or less removes it; default: until the browser ends
---@field expires integer? a time as of os.time; clients prefer max_age
---@field secure boolean? only by HTTPS
---@field http_only boolean? no script may read it
---@field same_site "lax"|"strict"|"none"|nil default "lax"

---@class braid.web.SessionOptions
---@field secret string|string[] signs the cookie, 32 random bytes or more. Of several the first signs, and all are
---  accepted: so secrets can be replaced
---@field store {get: function, set: function, remove: function}? keeps the data: get(id) gives a table or nil,
---  set(id, table, max_age), remove(id); functions or methods, which may wait. Default: the data is in the cookie,
---  where its owner can read it
---@field max_age integer? seconds until a session that is not used ends, default 14 days
---@field cookie string|braid.web.CookieOptions|nil its name, default "session"; or a table with `name` and options as
---  of set_cookie. `secure` is on when the request came by HTTPS; `http_only` always

--- Middleware that gives requests `request.session`: a table that is empty for a new client. It is saved when it has
--- changed, before the answer is sent; an empty one is removed. Needs OpenSSL 3.
---@param opts braid.web.SessionOptions
---@return braid.web.Middleware
function braid.web.sessions(opts) end

--- Middleware that compresses answers by zstd, br or gzip: what the client likes best. Bodies, streams and files of
--- text, JSON and the like. Each piece of a stream can be read when it was sent. An answer with a Content-Encoding, or
--- with Cache-Control: no-transform, stays as it is. (Secrets and what a client has sent should not be compressed
--- together.)
---@param options {codings: string[]?, level: integer?, min_size: integer?, types: string[]?}? codings: in the order of
--- preference, default { "zstd", "br", "gzip" }, of streams { "gzip", "br", "zstd" }, which needs less memory; level:
--- default 3, 4 or 6; min_size: bytes, default 1024; types: media types instead of the usual ones, "text/*" for all of
--- a kind
---@return fun(request: braid.web.Request, next: function): braid.web.Response middleware
function braid.web.compress(options) end

---@class braid.web.CorsOptions
---@field origins string|string[]|fun(origin: string): boolean "*" (all, the default), origins like
---  "https://app.example.com" (its first label may be "*"), or a function
---@field methods string[]? that preflights allow, default: GET, HEAD, POST, PUT, PATCH, DELETE
---@field headers string[]? of requests that preflights allow, default: those that are asked for
---@field credentials boolean? whether cookies may come along; not with origins = "*"
---@field max_age integer? seconds that a browser may keep the answer to a preflight, default 600
---@field expose string[]? headers of answers that pages may read

--- Middleware that tells browsers which other sites' pages may read the answers, and answers preflights. Answers of
--- failed handlers say it, too.
---@param opts braid.web.CorsOptions?
---@return braid.web.Middleware
function braid.web.cors(opts) end

---@class braid.web.LimiterOptions
---@field rate number requests
---@field per number? in so many seconds, default 1
---@field burst integer? at once, default `rate`
---@field key nil|fun(request: braid.web.Request): string? what is limited, default request.ip; nil: not this one

--- Middleware that answers 429 when a client sends more requests than `rate` in `per` seconds. With workers the limit
--- is for all of them together, if it was made before `serve`; `braid serve` loads the file in each worker, so there
--- each has its own.
---@param opts braid.web.LimiterOptions
---@return braid.web.Middleware
function braid.web.limiter(opts) end

--- Middleware that believes what these proxies say of the client, instead of those of the server's option `proxies`:
--- `request.ip`, `.scheme`, `.host`, `.url` and `.id`. X-Forwarded-For, -Proto, -Host and -Port are read, or Forwarded
--- if there is no X-Forwarded-For; `header = "Forwarded"` or `"X-Forwarded-For"` believes that one only, which is right
--- if the proxy does not remove the other.
---@param list string|string[] networks like "10.0.0.0/8", addresses, and "unix" for the clients of Unix sockets
---@return braid.web.Middleware
function braid.web.proxies(list) end

---@class braid.web.ServeOptions
---@field host string? name or address to listen on, default "127.0.0.1"
---@field port integer? default 8000; 0: any that is free
---@field listen string|string[]|nil where to listen, instead of host and port: "127.0.0.1:8000", "[::1]:8000",
---  "unix:/run/app.sock", "unix:@name" (an abstract socket)
---@field socket_activation boolean? listens at the sockets that the service manager has passed (systemd's LISTEN_FDS)
---@field user string? name or number: the user that serves; root alone can say so. The sockets, the certificate and its
---  key are opened before. With workers the supervisor stays what it was. Set `group`, too, unless it is the user's
---@field group string? name or number
---@field reload boolean|string[]|nil for development: serves with workers, and replaces them when a Lua file in the
---  folder of the application's file has changed, or any file in these further folders; only for `braid serve`
---@field workers integer? number of processes that serve, supervised by this one; default 1: this process serves itself
---@field worker_timeout number? seconds without a sign of life, after which a worker is replaced (a handler computes
---  without end); default 30
---@field max_body integer? bytes of a request's body, default 1 MiB; beyond: status 413
---@field max_header integer? bytes of a request's line and headers, default 8 KiB; beyond: status 431
---@field max_connections integer? beyond: status 503; default: as many as files may be open
---@field idle_timeout number? seconds without a request, after which a connection is closed, default 60; 0: never. A
--- body must come with at least 500 bytes per second
---@field request_timeout number? seconds after which a request without an answer gets status 504, and its handler is
---  cancelled; default 0: never
---@field grace number? seconds for running requests when the server is stopped; default 10
---@field access_log boolean|string|fun(line: string)|nil a line for each request: true: on stderr; a string: appended
--- to this file; a function: called with it; default false
---@field log boolean|string|fun(line: string)|nil the form of the lines: "text" or "json"; they go to stderr if
--- `access_log` does not say where. Or a function as for `access_log`
---@field tls {cert: string, key: string?, client_ca: string?, min_version: string?, ciphers: string?,
--- reload: boolean?}? as of braid.net.listen; cert and key may also be the PEM text itself: the server speaks HTTPS.
--- When the file of the certificate has changed, new connections have the new one a second later
---@field http2 boolean? whether clients may use HTTP/2: with TLS those that choose it, without TLS those that begin
---  with it; default: true if libnghttp2 is there
---@field proxies string|string[]|nil networks ("10.0.0.0/8"), addresses, or "unix" for clients of Unix sockets: what
---  they say of their clients is believed; see braid.web.proxies. Default: nobody is
---@field debug boolean? sends the traceback of a failing handler to the client; default false

---@class braid.web.Server
---@field host string? of the first TCP address
---@field port integer?
---@field url string "http://127.0.0.1:8000"; of the first address
---@field urls string[] of all; "unix:/path" of a Unix socket
local web_Server = {}

--- Begins to stop: the server takes no new connections, and running requests have `grace` seconds to end; then they are
--- cancelled. Tasks that handlers have left behind have the same time. Does not suspend; wait() does.
---@param grace number? seconds; default: the option of serve
---@param linger number? seconds that a connection must be idle before the server ends; default 0
function web_Server:stop(grace, linger) end

--- Waits until the server has stopped. Suspends. Raises errors of on_stop functions.
---@param timeout number? seconds
---@return boolean stopped
function web_Server:wait(timeout) end

--- The server's current load.
---@return {accepted: integer, connections: integer, requests: integer, websockets: integer} accepted: connections so
---  far; connections: now open, with WebSockets; requests: now arriving, or not answered completely
function web_Server:stats() end

---@class braid.web.Supervisor
---@field host string? of the first TCP address
---@field port integer?
---@field url string of the first address
---@field urls string[] of all
local web_Supervisor = {}

--- Begins to stop: every worker finishes its requests within `grace` seconds. Does not suspend; wait() does.
---@param grace number? seconds; default: the option of serve
function web_Supervisor:stop(grace) end

--- Waits until the last worker has ended. Suspends.
---@param timeout number? seconds
---@return boolean stopped
function web_Supervisor:wait(timeout) end

--- Replaces every worker, one after the other. The new one serves before the old one stops, so no request is lost.
--- Suspends. If a worker cannot start, the old one stays.
---@return boolean? replaced
---@return string? problem
function web_Supervisor:reload() end

--- Adds a worker. Suspends until it serves.
---@return boolean? added
---@return string? problem
function web_Supervisor:add() end

--- Removes a worker, unless it is the last one.
---@return boolean removed
function web_Supervisor:remove() end

--- The process ids of the workers.
---@return integer[]
function web_Supervisor:pids() end

--- The sum of the loads that the workers last reported.
---@return {workers: integer, accepted: integer, connections: integer, requests: integer, websockets: integer}
function web_Supervisor:stats() end

---@class braid.web.Headers
---@field [string] string|number|string[]

---How an application's WebSockets behave; see `braid.websocket.connect`.
---@class braid.web.WebSocketOptions
---@field protocols string[]? subprotocols; the first one of the client's that is among them is agreed on
---@field max_message integer? bytes of a message that arrives, default 16 MiB
---@field ping_interval number? seconds between pings; default: none
---@field idle_timeout number? seconds without a message; default: no limit
---@field compress boolean? whether compression is agreed on, default true
---@field origins string|string[]|function|nil from which pages browsers may connect: as of braid.web.cors; default:
---  those of the host itself. Clients that are no browsers send no origin
---@field name string? for url_for
---@field use braid.web.Middleware[]? of this route alone

---Calls the application without a socket. `client:get(path, options?)` is `client:request("GET", path, options)`; the
---others are likewise.
---@class braid.web.TestClient
---@field get fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field post fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field put fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field patch fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field delete fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field head fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
---@field options fun(self: braid.web.TestClient, path: string, options: table?): braid.web.TestResponse
local web_TestClient = {}

--- Sends a request. Suspends if the handler does. Cookies that an answer sets are sent with later requests.
---@param method string
---@param path string may contain a query
---@param options {headers: table<string, string>?, query: table<string, any>?, body: string?, json: any,
---  form: table<string, any>?, multipart: table?}? a list as a value of query and form repeats the name; multipart: as
--- of braid.http.request, of strings
---@return braid.web.TestResponse
function web_TestClient:request(method, path, options) end

--- Opens a WebSocket to a handler of `app:websocket`, which runs in a task of the current scope. Suspends.
---@param path string may contain a query
---@param options {headers: table?, query: table?, protocols: string[]?, max_message: integer?, compress: boolean?,
---  ping_interval: number?, idle_timeout: number?}? as of braid.websocket.connect
---@return braid.WebSocket? ws
---@return braid.Error? err kind http, with `status`: it was refused
function web_TestClient:websocket(path, options) end

---@class braid.web.TestResponse
---@field status integer
---@field headers braid.web.Headers names are case-insensitive
---@field body string
---@field chunks string[]? the pieces of a streamed body
---@field failed boolean? the stream failed before its end
local web_TestResponse = {}

--- The body, decoded from JSON.
---@return any value nil if it is not JSON
---@return any err
function web_TestResponse:json() end

--- All values of a header that was sent several times.
---@param name string
---@return string[]
function web_TestResponse:values(name) end

---@class braid.redis.Options
---@field host string? default "127.0.0.1"
---@field port integer? default 6379
---@field unix string? the path of a Unix socket, instead
---@field tls boolean|table|nil as for braid.net.connect
---@field username string? default: the server's default user
---@field password string?
---@field database integer? a number; default 0
---@field protocol 2|3|nil RESP; default 3, and 2 where the server does not know it
---@field name string? of the connection, as CLIENT LIST shows it
---@field timeout number? seconds to connect; default 10
---@field max_reply integer? bytes of the largest reply; default 1 GiB
---@field max integer? of a pool: connections; default 10

---Connects to a Redis server: `redis.connect{ host = "localhost" }`. Tasks share the connection. Suspends.
---@param opts braid.redis.Options?
---@return braid.redis.Client? client
---@return braid.Error? err kinds: system, timeout, closed, tls; redis: the server has refused, as a wrong password
function braid.redis.connect(opts) end

---Makes a pool: a client whose tasks share up to `max` connections. It opens them when they are needed.
---@param opts braid.redis.Options?
---@return braid.redis.Client
function braid.redis.pool(opts) end

---A client. Every command of Redis is a method in lower case: `client:set("key", 1)`; `call` takes its name. Tasks may
---share a client. It is closed by `<close>`.
---@class braid.redis.Client
local redis_Client = {}

---Carries out a command: `client:call("SET", "key", "value", "EX", 10)`. Raises kind "redis" with `code` for what the
---server refuses, and kind "closed" when the connection is lost before the reply; the next call connects again.
---Suspends.
---@param word string the command
---@param ... string|number its arguments
---@return any reply nil for nothing; braid.null inside lists
function redis_Client:call(word, ...) end

---Sends commands at once: `client:pipeline(function(p) p:incr("a"); p:get("b") end)`. Suspends.
---@param fn fun(pipeline: braid.redis.Pipeline) adds the commands
---@return any[] replies nothing is braid.null; what the server refuses is an error value
function redis_Client:pipeline(fn) end

---Carries out commands together: `client:transaction(function(tx) tx:incr("a"); tx:incr("b") end)`. With `watch`, fn
---may first read, then it calls `tx:multi()`; it is run again, at most 10 times, if one of the keys has changed.
---Suspends.
---@param fn fun(transaction: braid.redis.Transaction)
---@param opts { watch: string|string[]|nil }?
---@return any[] replies as of a pipeline
function redis_Client:transaction(fn, opts) end

---Makes a function of a Lua script for the server: `local add = client:script("return ARGV[1] + 1")`, then
---`add({ keys }, { arguments })`. The server gets the text once. Calls suspend.
---@param text string
---@return fun(keys: (string|number)[]?, arguments: (string|number)[]?): any
function redis_Client:script(text) end

---Subscribes to channels: `for item in client:subscribe("news") do print(item.message) end`. Returns when the server
---has confirmed it. Connects and subscribes again when the connection is lost. Suspends, as each step does.
---@param channels string|string[]
---@return braid.redis.Subscription
function redis_Client:subscribe(channels) end

---The same for patterns of channels; the items have the field `pattern`.
---@param patterns string|string[]
---@return braid.redis.Subscription
function redis_Client:psubscribe(patterns) end

---Reads streams: `for entry in client:stream("events", { from = "0" }) do print(entry.id, entry.fields.name) end`. It
---waits for new entries, without end. When the connection is lost it connects again and loses none. Suspends, as each
---step does.
---@param keys string|string[]
---@param opts { from: string?, group: string?, consumer: string?, create: boolean?, ack: boolean?, count: integer? }?
--- from: the id behind which reading begins; "$": new entries only (the default without a group). group: reads as a
--- consumer of this group (default "braid"), first what it has not acknowledged, then what no other consumer has got.
--- create: makes the group, which begins with the stream. ack: an entry is acknowledged when the next one is asked for,
--- so a consumer that dies gets it again. count: entries that are read ahead, default 100
---@return braid.redis.StreamReader
function redis_Client:stream(keys, opts) end

---An iterator over the keys, or those that match a pattern. A key may come twice. Each step may suspend.
---@param pattern? string
---@return fun(): string?
function redis_Client:scan(pattern) end

---Closes it, without waiting. Calls that wait for a reply, and later ones, end with kind "closed"; subscriptions end.
function redis_Client:close() end

---Collects commands. Every command is a method, as of the client; it returns the pipeline.
---@class braid.redis.Pipeline
local redis_Pipeline = {}

---Adds a command.
---@param word string
---@param ... string|number
---@return braid.redis.Pipeline self
function redis_Pipeline:call(word, ...) end

---A transaction. Every command is a method, as of the client. Before `multi` commands are carried out at once and
---return their replies; after it they are collected and return the transaction.
---@class braid.redis.Transaction
local redis_Transaction = {}

---Calls or adds a command.
---@param word string
---@param ... string|number
---@return any
function redis_Transaction:call(word, ...) end

---From here on commands are collected. The server carries them out together when the function returns, if no watched
---key has changed.
function redis_Transaction:multi() end

---Watches further keys. Only before `multi`. Suspends.
---@param ... string keys
function redis_Transaction:watch(...) end

---Messages of channels: an iterator of `{ channel, message, pattern }`. It is closed by `<close>`.
---`for item in subscription do`. When the connection is lost it connects and subscribes again; messages that were sent
---meanwhile are lost.
---@class braid.redis.Subscription
local redis_Subscription = {}

---Ends it. A task that waits for a message gets nil.
function redis_Subscription:close() end

---@class braid.redis.Entry
---@field stream string
---@field id string
---@field fields table<string, string>
---@field list string[] the fields as they were added: name, value, name, value ...

---Entries of streams: an iterator. It is closed by `<close>`. `for entry in reader do`.
---@class braid.redis.StreamReader
local redis_StreamReader = {}

---Tells the group that an entry is done. Suspends.
---@param entry braid.redis.Entry
function redis_StreamReader:ack(entry) end

---Ends it. What was given last is not acknowledged. A task that waits for an entry gets it, or nil within 5 s.
function redis_StreamReader:close() end

---Connects: `postgres.connect("host=localhost dbname=shop")`, or with libpq's keywords as a table. Own options:
---`statement_timeout` in seconds; `types = { numeric = "float", timestamptz = fn }`, in which form values of these
---types come, and not as texts ("string", "float", "integer", "number", "boolean", "json", or a function of the text).
---Suspends.
---@param opts string|table|nil a conninfo or URI; or a table with `conninfo`, or libpq's keywords (`host`, `port`,
--- `dbname`, `user`, `password`, `sslmode`, ...); what is not given is taken from the environment, as by psql
---@return braid.postgres.Connection?
---@return braid.Error? err kinds: system, timeout; postgres: the server has refused
function braid.postgres.connect(opts) end

---Makes a pool: `postgres.pool{ conninfo = "...", max = 10 }`. It opens connections when they are needed.
---@param opts string|table as of `connect`; and `max` (default 10) and `min` connections, `idle_time`, `max_age`,
--- `max_uses`, `name` as of braid.resource_pool; `timeout`: how long a call waits for a connection, in seconds
---@return braid.postgres.Pool
function braid.postgres.pool(opts) end

---A connection, a pool, or an open transaction. Statements take parameters as $1, $2, ...; a nil or braid.null is NULL.
---What the server refuses is raised, kind "postgres" with `sqlstate`, `severity`, `detail`, `hint`, `constraint`,
---`table`, `column` and `position`. If a caller is cancelled, its statement is cancelled on the server.
---@class braid.postgres.Session
---@field package _use fun(self, fn: fun(link: braid.postgres.Link, ...): ...): ...
---@field package _lend fun(self): braid.postgres.Link, fun()
local postgres_Session = {}

---Carries out a statement: `db:query("select * from t where id = $1", 7)`. Suspends.
---@param sql string|table a statement; or `{ sql, params = {...}, nulls = true, as = "lists", types = {...} }`: nulls:
--- NULL is braid.null in rows, and not left out; as lists, rows have columns of one name
---@param ... any its parameters
---@return table result a list of rows, which are tables by the names of the columns; `result.columns` is a list of
--- names, `.affected` the number of rows, `.command` as "SELECT"
function postgres_Session:query(sql, ...) end

---The first row, or nil. Suspends.
---@param sql string|table as for query
---@param ... any
---@return table?
function postgres_Session:row(sql, ...) end

---The first value of the first row; nil for NULL, and if there is no row. Suspends.
---@param sql string|table as for query
---@param ... any
---@return any
function postgres_Session:value(sql, ...) end

---Goes over rows while they come: `for row in db:rows("select ...") do`. Memory stays small. A loop that is left early
---cancels the statement on the server. Until its end the iterator has a connection for itself. Suspends.
---@param sql string|table as for query
---@param ... any
---@return braid.postgres.Rows
function postgres_Session:rows(sql, ...) end

---Carries out a script: several statements with semicolons between them, without parameters. Suspends.
---@param script string
---@return table result of its last statement
function postgres_Session:execute(script) end

---Copies rows to the server: `db:copy_in("copy t from stdin", next_line)`. If the source fails nothing is copied.
---Suspends.
---@param sql string
---@param source string|fun(): string|any[]|nil all bytes, or an iterator of pieces; a list is a row of the text format
---@return integer rows
function postgres_Session:copy_in(sql, source) end

---Copies rows from the server: `for line in db:copy_out("copy t to stdout") do`. Until its end the iterator has a
---connection for itself. Suspends.
---@param sql string
---@return braid.postgres.CopyOut
function postgres_Session:copy_out(sql) end

---Sends statements without waiting for each result: `db:pipeline(function(p) p:query(...); p:query(...) end)`. Each is
---a transaction of its own, unless it is inside one. Suspends.
---@param fn fun(pipeline: braid.postgres.Pipeline)
---@return any[] results a row or value that is not there is braid.null
function postgres_Session:pipeline(fn) end

---Sends a notification to all who listen. Suspends.
---@param channel string
---@param payload? string
function postgres_Session:notify(channel, payload) end

---Statements that are sent one after the other, without waiting for their results. Made by `pipeline`.
---@class braid.postgres.Pipeline
local postgres_Pipeline = {}

---Sends a statement. Suspends only when it is not yet prepared.
---@param sql string|table
---@param ... any
---@return braid.Future result
function postgres_Pipeline:query(sql, ...) end

---@param sql string|table
---@param ... any
---@return braid.Future row
function postgres_Pipeline:row(sql, ...) end

---@param sql string|table
---@param ... any
---@return braid.Future value
function postgres_Pipeline:value(sql, ...) end

---A connection. Tasks that share it wait for each other, first come, first served. It is closed by `<close>`.
---@class braid.postgres.Connection: braid.postgres.Session
local postgres_Connection = {}

---Runs fn as a transaction: commits when it returns, rolls back when it raises or one of its statements has failed,
---caught or not. Queries of other tasks on this connection wait meanwhile. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts { isolation: string?, retry: integer?, read_only: boolean?, deferrable: boolean? }? retry: how often it
--- is run again after a serialization failure or a deadlock
---@return any ... what fn returned
function postgres_Connection:transaction(fn, opts) end

---Listens to a channel, on a connection of its own: `for item in db:listen("news") do print(item.payload) end`. It is
---registered when this returns. Suspends.
---@param channel string
---@return braid.postgres.Listener
function postgres_Connection:listen(channel) end

---Closes it at once. Calls that wait end with kind "closed"; the server is told to stop what it does for them.
function postgres_Connection:close() end

---An open transaction. It has the methods of a connection; `transaction` inside it makes a savepoint.
---@class braid.postgres.Transaction: braid.postgres.Session
local postgres_Transaction = {}

---Runs fn with a savepoint: if it fails, what was done since is undone. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts? table none are known for savepoints
---@return any ... what fn returned
function postgres_Transaction:transaction(fn, opts) end

---A pool. It is closed by `<close>`.
---@class braid.postgres.Pool: braid.postgres.Session
local postgres_Pool = {}

---Runs fn as a transaction, on a connection of its own: as of a connection. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts { isolation: string?, retry: integer?, read_only: boolean?, deferrable: boolean? }?
---@return any ... what fn returned
function postgres_Pool:transaction(fn, opts) end

---Listens to a channel, on a further connection: as of a connection. Suspends.
---@param channel string
---@return braid.postgres.Listener
function postgres_Pool:listen(channel) end

---The numbers of connections that are open, idle and lent, and of waiting tasks.
---@return { open: integer, idle: integer, leased: integer, waiting: integer }
function postgres_Pool:stats() end

---Closes it: later calls raise kind "closed". Waits until those that run have ended. Suspends.
---@param opts { wait: boolean? }? wait: default true
function postgres_Pool:close(opts) end

---An iterator over the rows of a statement. It holds its connection until its end, or `close`.
---@class braid.postgres.Rows
---@field columns string[]?
local postgres_Rows = {}

---Ends it. The server is told to stop if there are more rows. Suspends.
function postgres_Rows:close() end

---Rows of a copy: an iterator of texts, each with its newline. It holds its connection until its end, or `close`.
---@class braid.postgres.CopyOut
local postgres_CopyOut = {}

---Ends it. The server is told to stop if there is more. Suspends.
function postgres_CopyOut:close() end

---Notifications of a channel: an iterator of `{ channel, payload, pid }`. It raises kind "closed" when its connection
---is lost. It is closed by `<close>`.
---@class braid.postgres.Listener
local postgres_Listener = {}

---Ends it. A task that waits for a notification gets nil.
function postgres_Listener:close() end

---@class braid.sqlite.Options
---@field busy_timeout number? seconds to wait for the lock of another connection or program; default 5
---@field readers integer? further connections, for statements that only read; default 0
---@field wal boolean? write-ahead log: readers and the writer do not wait for each other. Default: true for files
---@field read_only boolean? nothing is made or changed; default false
---@field foreign_keys boolean? whether foreign keys are enforced; default true

---Opens a database, and makes it if it is not there: `sqlite.open("shop.db")`. Suspends.
---@param path? string a file, or ":memory:", the default
---@param opts? braid.sqlite.Options
---@return braid.sqlite.Database? database
---@return braid.Error? err kind sqlite, with `code`; system
function braid.sqlite.open(path, opts) end

---Marks bytes as a blob, for a parameter. (Blobs in rows are strings.)
---@param bytes string
---@return table blob
function braid.sqlite.blob(bytes) end

---A database. Tasks may share it: they wait for each other, first come, first served. It is closed by `<close>`.
---@class braid.sqlite.Database
---@field path string
local sqlite_Database = {}

---Carries out a statement: `db:query("select * from t where id = ?", 7)`, or with named parameters
---`db:query("... where id = :id", { id = 7 })`. NULL is nil in rows, that is, absent. Raises kind "sqlite" with `code`
---("SQLITE_CONSTRAINT_UNIQUE") and `position`. Suspends.
---@param sql string|table a statement; or `{ sql, params = {...}, nulls = true, as = "lists" }`: nulls: NULL is
--- braid.null in rows; as lists, rows have columns of one name
---@param ... any its parameters; a blob is `sqlite.blob(bytes)`, NULL is nil or braid.null
---@return table result a list of rows, tables by the names of the columns; `result.columns`, `.affected`, `.last_id`
function sqlite_Database:query(sql, ...) end

---The first row, or nil. Suspends.
---@param sql string|table as for query
---@param ... any
---@return table?
function sqlite_Database:row(sql, ...) end

---The first value of the first row; nil for NULL, and if there is no row. Suspends.
---@param sql string|table as for query
---@param ... any
---@return any
function sqlite_Database:value(sql, ...) end

---Carries out a script: statements with semicolons between them. With parameters: one statement, as `query`. Suspends.
---@param script string
---@param ... any
---@return table result `.affected` and `.last_id`
function sqlite_Database:execute(script, ...) end

---Carries out a statement once for each list of parameters:
---`db:execute_many("insert into t values (?, ?)", { { 1, "a" }, { 2, "b" } })`. All or none are done: outside of a
---transaction it is one. This is much faster than a call for each, because the connection's thread is asked once for
---1,000 of them. Rows that the statement gives are dropped. An error's `list` is the number of the list that failed.
---Suspends.
---@param sql string one statement
---@param lists any[][] each is a list (`n` may be its length), or a table by names
---@return table result `.affected` and `.last_id`
function sqlite_Database:execute_many(sql, lists) end

---Goes over rows: `for row in db:rows("select ...") do`. Memory stays small. Until its end it has a connection for this
---task, which may use the database meanwhile. Suspends.
---@param sql string|table as for query
---@param ... any
---@return braid.sqlite.Rows
function sqlite_Database:rows(sql, ...) end

---Runs fn as a transaction: commits when it returns, rolls back when it raises or one of its statements has failed,
---caught or not. Other tasks' calls wait meanwhile, unless readers can serve them. Inside a transaction: a savepoint.
---Suspends.
---@param fn fun(db: braid.sqlite.Database): ... gets this object; its own task is inside the transaction
---@param mode? "deferred"|"immediate"|"exclusive" default "deferred"
---@return any ... what fn returned
function sqlite_Database:transaction(fn, mode) end

---Prepares a statement. Raises what is wrong with it. Suspends.
---@param sql string
---@return braid.sqlite.Statement
function sqlite_Database:prepare(sql) end

---Copies the whole database into a file while it is used. Suspends.
---@param path string
---@param opts { pages: integer?, progress: fun(left: integer, all: integer)? }? pages: of one step, default 256
function sqlite_Database:backup(path, opts) end

---Ends the statements that run now: they fail with code "SQLITE_INTERRUPT".
function sqlite_Database:interrupt() end

---Closes it: later calls raise kind "closed". Waits until the statements that run have ended. Suspends.
function sqlite_Database:close() end

---A statement. It is prepared once, as all are that were used lately.
---@class braid.sqlite.Statement
---@field sql string
local sqlite_Statement = {}

---As `db:query`, with these parameters. Suspends.
---@param ... any
---@return table
function sqlite_Statement:query(...) end

---As `db:rows`. Suspends.
---@param ... any
---@return braid.sqlite.Rows
function sqlite_Statement:rows(...) end

---As `db:row`. Suspends.
---@param ... any
---@return table?
function sqlite_Statement:row(...) end

---As `db:value`. Suspends.
---@param ... any
---@return any
function sqlite_Statement:value(...) end

---As `db:query`. Suspends.
---@param ... any
---@return table
function sqlite_Statement:execute(...) end

---As `db:execute_many`. Suspends.
---@param lists any[][]
---@return table
function sqlite_Statement:execute_many(lists) end

---Forgets it.
function sqlite_Statement:close() end

---An iterator over rows. It holds its connection until its end, or `close`.
---@class braid.sqlite.Rows
---@field columns string[]
local sqlite_Rows = {}

---Ends it.
function sqlite_Rows:close() end

---A cluster, as one state uses it. Close it, or hold it in a `<close>` variable.
---@class braid.cluster.Cluster
---@field name string
---@field link braid.cluster.Link
---@field wire braid.cluster.Wire
---@field streams braid.cluster.Streams
---@field cargo braid.cluster.Cargo
---@field pieces braid.cluster.Pieces
---@field home braid.cluster.Home
local cluster_Cluster = {}

---The part of a subject for jobs with these requirements, and a text that tells them.
---@param requires table<string, string>
---@return string class
---@return string text
function cluster_Cluster.class_of(requires) end

---Makes the stream and the consumer for jobs with these requirements. Suspends.
---@param stream string
---@param requires table<string, string>
function cluster_Cluster:prepare_jobs(stream, requires) end

---Tells the workers that there may be jobs of another kind. Does not suspend.
function cluster_Cluster:announce_jobs() end

---An id for a new job; of a detached one it tells how long its result stays.
---@param ttl integer seconds; 0: it is not detached
---@return string
function cluster_Cluster:next_id(ttl) end

---A pool whose jobs run on the workers of the cluster. Suspends.
---@param opts { max_tries: integer?, time_limit: number?, memory_limit: number?, backlog: integer?, detached: boolean?,
--- result_ttl: number?, chunk: integer?, name: string?, storage: ("memory"|"file")?, requires: table? }? max_tries:
--- how often a job may run when workers are lost, default 3; detached: jobs go on without their submitter, and their
--- results stay for `result_ttl` seconds (default 3600); requires: only workers with these tags
---@return braid.ClusterPool
function cluster_Cluster:pool(opts) end

---The future of a detached job, from any process. Suspends.
---@param id string `future.id`
---@return braid.Future? future
---@return braid.Error? err kind "unknown"
function cluster_Cluster:future(id) end

---A queue: each item is given to one get, of any machine. Suspends.
---@param name string
---@param opts { maxsize: integer?, durable: boolean? }? durable: in files of the servers
---@return braid.cluster.Queue
function cluster_Cluster:queue(name, opts) end

---A dict. Suspends.
---@param name string
---@return braid.cluster.Dict
function cluster_Cluster:dict(name) end

---A counter. Suspends.
---@param name string
---@return braid.cluster.Counter
function cluster_Cluster:counter(name) end

---An event. Suspends.
---@param name string
---@return braid.cluster.Event
function cluster_Cluster:event(name) end

---A lock. Suspends.
---@param name string
---@param opts { lease: number? }? lease: seconds after which the lock of a lost owner is free, default 10
---@return braid.cluster.Lock
function cluster_Cluster:lock(name, opts) end

---A semaphore with n units. Suspends.
---@param name string
---@param n integer
---@param opts { lease: number? }?
---@return braid.cluster.Semaphore
function cluster_Cluster:semaphore(name, n, opts) end

---A limiter. The clocks of the machines must agree. Suspends.
---@param name string
---@param opts { rate: number, per: number?, burst: integer? }
---@return braid.Limiter
function cluster_Cluster:limiter(name, opts) end

---The workers that are there: a list of { id, host, pid, pool, slots, running, fetched, done, failed, tags, since }.
---Suspends.
---@return table[]
function cluster_Cluster:workers() end

---Numbers of the whole cluster; `queued`: no worker has fetched them. Suspends.
---@return { workers: integer, slots: integer, queued: integer, running: integer, fetched: integer }
function cluster_Cluster:stats() end

---The jobs that have not ended, the oldest first: a list of { id, pool, storage, since, detached, tries, worker,
---running }. Suspends.
---@return table[]
function cluster_Cluster:jobs() end

---Takes away the jobs that no worker has; they end as cancelled. Suspends.
---@return integer count
function cluster_Cluster:purge() end

---Ends the connection. Jobs that have not ended fail with kind "closed". Suspends.
function cluster_Cluster:close() end

---Connects to the servers of a cluster. Raises kind "disconnected" when none answers within `patience`. Suspends.
---@param opts { servers: (string|string[])?, name: string?, secret: string?, insecure: boolean?,
--- credentials: (string|table)?, tls: (boolean|table)?, replicas: integer?, patience: number? }? servers: default
--- "nats://127.0.0.1:4222"; secret: workers run only what is signed with it; insecure: without a secret, for servers on
--- this machine; credentials: a file of NATS, or { user, password }, { token }, or { nkey, file } with the file of its
--- seed; tls: true, or { ca_file, cert, key, server_name, verify }; replicas: servers that have each message, default
--- 1; patience: seconds without a server until waits fail, default 30
---@return braid.cluster.Cluster
function braid.cluster(opts) end

---A pool of a cluster.
---@class braid.ClusterPool: braid.Executor
local ClusterPool = {}

---Sends fn(...) to a worker of any machine. Returns when a server has the job. Raises if something in it cannot be
---sent (kind "not_sendable", with its path), if the pool is closed, and kind "disconnected" when no server takes it
---within the cluster's patience. Suspends.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future future `future.id` is the name of a detached job: cluster:future(id)
function ClusterPool:submit(fn, ...) end

---As of other pools. A chunk is one message. Raises the first failure, and then cancels the jobs that have not begun.
---Suspends.
---@param fn fun(item: any): any
---@param list any[] may have named items
---@param opts { chunk: integer?, timeout: number?, return_errors: boolean?, progress: (boolean|table)? }? chunk: items
--- of one job, default: the pool's `chunk`, or as many as it measures; timeout: seconds for all items; then raises kind
--- "timeout" and cancels the rest; return_errors: errors of fn are returned, not raised; progress: true, the options of
--- a bar, or a bar
---@return table results in order, with `n`; results of named items under their names; only the first value of each call
---@return table? errors only with return_errors: errors[i], or errors[name]
function ClusterPool:map(fn, list, opts) end

---Numbers of this pool. Does not suspend.
---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } of this pool's jobs; `workers` of the whole cluster
function ClusterPool:stats() end

---@class braid.cluster.Queue
local cluster_Queue = {}

---Closes the queue for all machines: puts fail from now on. Gets return the items that are left, and then fail with
---kind "closed". `immediate = true` drops the items. Suspends.
---@param opts { immediate: boolean? }?
function cluster_Queue:close(opts) end

---Whether the queue is closed. Suspends.
---@return boolean
function cluster_Queue:closed() end

---Puts a value into the queue. Returns when a server has it. Suspends, also while the queue is full.
---@param value any not nil; use braid.null instead
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
function cluster_Queue:put(value, timeout) end

---Like put, but does not wait for room: kind "full". Suspends.
---@param value any
---@return boolean? ok
---@return braid.Error? err
function cluster_Queue:try_put(value) end

---Puts the values of a list, in order. If it ends early, the error has a field `count`: so many were put. Suspends.
---@param list any[]
---@param timeout number? seconds, for all of them
---@return boolean? ok
---@return braid.Error? err
function cluster_Queue:put_many(list, timeout) end

---Removes and returns the next value. Suspends while the queue is empty.
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout" or "closed"
function cluster_Queue:get(timeout) end

---Like get, but does not wait for an item: kind "empty". Suspends.
---@return any? value
---@return braid.Error? err
function cluster_Queue:try_get() end

---Gets up to `max` values: waits for the first one, and takes what else is there. Suspends.
---@param max integer
---@param timeout number? seconds
---@return any[]? values
---@return braid.Error? err kind "timeout" or "closed"
function cluster_Queue:get_many(max, timeout) end

---Iterates over the items until the queue is closed and empty. Each step suspends.
---@return fun(): any
function cluster_Queue:items() end

---The number of items. Suspends.
---@return integer
function cluster_Queue:size() end

---Whether the queue has no items. Suspends.
---@return boolean
function cluster_Queue:is_empty() end

---The maximal number of items; 0: no limit.
---@return integer
function cluster_Queue:maxsize() end

---Whether the queue has `maxsize` items. Suspends.
---@return boolean
function cluster_Queue:is_full() end

---Says that an item from the queue has been processed. Raises kind "misuse" if it is called too often. Suspends.
function cluster_Queue:task_done() end

---Waits until every item that was put has been processed. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function cluster_Queue:join(timeout) end

---Keys are strings, numbers (not NaN) and booleans.
---@class braid.cluster.Dict
local cluster_Dict = {}

---The value, or nil if there is none. Suspends.
---@param key string|number|boolean
---@return any? value a copy
function cluster_Dict:get(key) end

---Sets a value; nil removes the key. Suspends.
---@param key string|number|boolean
---@param value any
---@return boolean ok
function cluster_Dict:set(key, value) end

---Sets the value to fn(old value), atomically: when another one has changed it meanwhile, fn is called again. Suspends.
---@param key string|number|boolean
---@param fn fun(value: any?): any? nil removes the key
---@param timeout number? seconds
---@return any? value the new value
---@return braid.Error? err kind "timeout"
function cluster_Dict:update(key, fn, timeout) end

---The keys, in no particular order. Suspends.
---@return (string|number|boolean)[]
function cluster_Dict:keys() end

---The number of keys. Suspends.
---@return integer
function cluster_Dict:size() end

---@class braid.cluster.Counter
local cluster_Counter = {}

---Adds n, and returns the new value. Suspends.
---@param n integer? default 1
---@return integer
function cluster_Counter:add(n) end

---The value. Suspends.
---@return integer
function cluster_Counter:get() end

---Sets the value. Suspends.
---@param value integer
function cluster_Counter:set(value) end

---@class braid.cluster.Event
local cluster_Event = {}

---Sets the event: who waits on any machine goes on. Suspends.
function cluster_Event:set() end

---Clears the event. Suspends.
function cluster_Event:clear() end

---Whether the event is set. Suspends.
---@return boolean
function cluster_Event:is_set() end

---Waits until the event is set. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function cluster_Event:wait(timeout) end

---A lock that belongs to one task of one machine at a time.
---@class braid.cluster.Lock
---@field token integer? grows with each owner: what the lock protects can refuse smaller ones
local cluster_Lock = {}

---Takes it. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; of a lock "owner_died": its last owner ended while holding it, so take it
--- again
function cluster_Lock:acquire(timeout) end

---Like acquire, but does not wait for others: kind "empty". Suspends.
---@return boolean? ok
---@return braid.Error? err
function cluster_Lock:try_acquire() end

---Releases it. Raises kind "misuse" if the task does not have it, also when its lease is over. Suspends.
function cluster_Lock:release() end

---Whether somebody has it. Suspends.
---@return boolean
function cluster_Lock:locked() end

---Takes it for a `<close>` variable. Suspends.
---@param timeout number? seconds
---@return table? held
---@return braid.Error? err as acquire's
function cluster_Lock:hold(timeout) end

---Calls fn while it is held. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if it could not be taken
function cluster_Lock:with(fn, ...) end

---A semaphore whose units are leases.
---@class braid.cluster.Semaphore: braid.cluster.Lock
local cluster_Semaphore = {}

---Releases units. Raises kind "misuse" if this process has not so many. Suspends.
---@param n integer? default 1
function cluster_Semaphore:release(n) end

---The number of free units. Suspends.
---@return integer
function cluster_Semaphore:value() end

---Encodes a value. A table is a list if its keys are 1, 2, 3 ... or if it is marked as a list (`array`); any other
---table is an object, also an empty one. Raises kind "json", with `path`, for a value that JSON cannot express: NaN,
---infinities, functions and the like, keys that are neither a list's nor strings, holes in an unmarked list, cycles,
---and strings that are not UTF-8.
---@param value any nil and braid.null become null
---@param opts { pretty: boolean?, sort_keys: boolean?, max_depth: integer?, invalid: "error"|"replace"? }? max_depth:
--- default 1000; invalid: text that is not UTF-8 is an error (the default), or becomes U+FFFD
---@return string
function braid.json.encode(value, opts) end

---Decodes a text. A number without point and exponent becomes an integer, or a float if it needs more than 64 bits.
---Lists are marked as lists, also empty ones. null becomes braid.null. If members have the same name, the last one
---counts. Raises kind "json", with `line`, `column` and `offset` (positions from 1), for text that is not JSON.
---@param text string UTF-8; a byte order mark is allowed
---@param opts { max_depth: integer?, big: "float"|"error"?, invalid: "error"|"replace"? }? max_depth: default 1000;
--- big: integers beyond 64 bits become floats (the default) or are an error; invalid: as for encode
---@return any
function braid.json.decode(text, opts) end

---Marks a table as a list, for `encode` and for sending: needed for a list that may be empty or have holes. If it has a
---field `n`, as from table.pack, that is the number of elements.
---@param list table it is changed
---@return table list the same one
function braid.json.array(list) end

---@class braid.kernels.Mandelbrot
---@field width integer pixels
---@field height integer pixels
---@field left number? the part of the plane; default -2
---@field right number? default 0.5
---@field bottom number? default -1.25
---@field top number? default 1.25
---@field iterations integer? default 1000
---@field threads integer?

---The prime factors of a number in ascending order, repeated by multiplicity; `{}` for 1. Numbers from 1 to 2^63-1.
---With `unsigned = true`, or in an array of u64, numbers to 2^64-1: those from 2^63 on are negative integers in Lua,
---with the same bits, and so are factors that large; string.format's %u prints them. Anything else, also 0, raises kind
---"misuse".
---
---Method "curves" (the default): trial division by the primes below 256; the Miller-Rabin test with seven bases; then
---the rho method (J. M. Pollard 1975, R. P. Brent 1980) below 2^40, elliptic curves (H. W. Lenstra 1987, P. L.
---Montgomery 1987) above. It takes about 10 us for a number of 64 bits, 60 us for the hardest.
---Method "trial" is the algorithm of the tutorial: it tries all divisors from 2 to the square root.
---
---A list is spread over the cores; its numbers are copied at the call. Suspends, except for a few small numbers.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {method: "curves"|"trial"|nil, unsigned: boolean?, threads: integer?}
---@return integer[]|integer[][] factors for a list or an array: a list of lists, in the same order
function braid.kernels.factorize(n, opts) end

---Whether a number is prime. The Miller-Rabin test with seven bases is exact below 2^64 (J. Sinclair 2011).
---Numbers from 0 to 2^63-1; with `unsigned = true`, or in an array of u64, to 2^64-1, as in factorize.
---A list is spread over the cores; its numbers are copied at the call. Suspends, except for short lists.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {unsigned: boolean?, threads: integer?}
---@return boolean|boolean[] answer for a list or an array: a list, in the same order
function braid.kernels.is_prime(n, opts) end

---The number of primes up to a limit. It uses the sieve of Eratosthenes, in segments that fit into a core's cache (C.
---Bays and R. H. Hudson 1977), with one bit for each number that is coprime to 30 (P. Pritchard 1982). Up to 10^9 it
---takes about 80 ms on two cores, up to 10^12 some minutes. Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return integer
function braid.kernels.count_primes(limit, opts) end

---The primes up to a limit, in ascending order, in an array of i64. Each takes 8 bytes (0.4 GB for those up to 10^9).
---It uses the same sieve as count_primes. Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return braid.Array
function braid.kernels.primes(limit, opts) end

---Estimates pi as 4 times the share of n random points of a square that lie in its inscribed circle. Point i depends
---only on the seed and i (SplitMix64: G. L. Steele, D. Lea, C. H. Flood 2014), so the result is the same for any number
---of threads. The error is about 1.6 / sqrt(n). Suspends, except for small n.
---@param n integer number of points, at least 1
---@param seed integer? default 0
---@param opts? {threads: integer?}
---@return number estimate
---@return integer inside number of points in the circle
function braid.kernels.monte_carlo_pi(n, seed, opts) end

---A picture of the Mandelbrot set by escape times. c is the middle of a pixel. The pixel's value is the number of the
---terms 0, c, c^2 + c, ... with an absolute value up to 2, at most `iterations`. Returns an array of u32, row by row
---from the top. Suspends, except for tiny pictures.
---@param opts braid.kernels.Mandelbrot
---@return braid.Array
function braid.kernels.mandelbrot(opts) end

---Checksums of many strings, `hash(list)`, or of many files, `hash { files = names }`. It uses the system's OpenSSL,
---which is loaded at the first call; if it is missing the call raises kind "system". Suspends, except for a few short
---strings.
---@param list string[]|{files: string[], algorithm: string?, threads: integer?}
---@param opts? {algorithm: string?, threads: integer?} algorithm: a name that OpenSSL knows; default "sha256"
---@return string[]? digests hexadecimal, in the list's order; nil if a file could not be read
---@return braid.Error? err kind "system": the first file that could not be read, and why
function braid.kernels.hash(list, opts) end

---Counts how often each word occurs in many strings, `word_count(list)`, or in many files,
---`word_count { files = names }`. A word is a run of bytes other than ASCII white space, as wc counts. One thread
---counts each string or file. Suspends, except for a few short strings.
---@param list string[]|{files: string[], threads: integer?}
---@param opts? {threads: integer?}
---@return table<string, integer>? counts nil if a file could not be read
---@return {lines: integer, words: integer, bytes: integer}|braid.Error totals or the error of kind "system"
function braid.kernels.word_count(list, opts) end

---The sum of the products a[i] * b[i], with the same error as sum. An integer if both arrays have integers. Suspends,
---except for short arrays.
---@param a braid.Array
---@param b braid.Array as long as a
---@param opts { threads: integer? }?
---@return number
function braid.kernels.dot(a, b, opts) end

---The index of the first smallest element, or of the first NaN; nil for an empty array. Suspends, except for short
---arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return integer?
function braid.kernels.argmin(array, opts) end

---The index of the first largest element, or of the first NaN; nil for an empty array. Suspends, except for short
---arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return integer?
function braid.kernels.argmax(array, opts) end

---The variance, a float: the sum of the squared differences from the mean, divided by n - ddof. nil unless n > ddof.
---Suspends, except for short arrays.
---@param array braid.Array
---@param opts { ddof: number?, threads: integer? }? ddof: default 0; 1 for the variance of a sample
---@return number?
function braid.kernels.var(array, opts) end

---Running sums: element i is the sum of the first i elements; or their product, minimum or maximum. Floats give f64,
---integers i64 (u64 gives u64); sums and products of integers are modulo 2^64. Products of floats are computed from
---left to right, by one thread. From a NaN on, minima and maxima are NaN. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { what: "sum"|"product"|"min"|"max"|nil, out: braid.Array?, threads: integer? }? out: the array for the
--- result; may be `array` itself
---@return braid.Array
function braid.kernels.scan(array, opts) end

---Sorts an array, by default in place. -0.0 is before 0.0. NaN is last, also in descending order. If a sort is
---cancelled, the content of the result is undefined. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { descending: boolean?, out: braid.Array?, stable: boolean?, index: boolean?, threads: integer? }?
--- out: gets the sorted elements; `array` is not changed. stable: -0.0 and 0.0 count as equal, and equal elements and
--- NaNs keep their order (twice as slow). index: returns the indices of the elements in sorted order, in a new i64
--- array (or `out`); equal elements keep their order, and `array` is not changed
---@return braid.Array result `array`, `out`, or the indices
function braid.kernels.sort(array, opts) end

---The different elements in ascending order, and with `counts` how often each occurs. All NaN are equal; -0.0 equals
---0.0. Suspends, except for short arrays.
---@param array braid.Array it is not changed
---@param opts { counts: boolean?, threads: integer? }?
---@return braid.Array values of the array's type
---@return braid.Array? counts of i64
function braid.kernels.unique(array, opts) end

---Counts how many elements fall into each of `bins` bins of equal width from `low` to `high`. Bin i has the x with
---edges[i] <= x < edges[i + 1]; the last bin also has x = high. edges[i] is low + (i - 1) * (high - low) / bins. Other
---elements, and NaN, are not counted. Suspends, except for short arrays.
---@param array braid.Array
---@param bins integer? 1 to 2^24; default 10
---@param opts { low: number?, high: number?, threads: integer? }? default: the least and the largest element; if all
--- are equal, 0.5 below and above
---@return braid.Array counts of i64
---@return braid.Array edges of f64, bins + 1 of them
function braid.kernels.histogram(array, bins, opts) end

---Finds where values belong in a sorted array: the smallest i such that the value can be inserted before element i
---(#sorted + 1: at the end). With side = "right" equal elements come before it. NaN is the largest. Suspends, except
---for few values.
---@param sorted braid.Array in ascending order; this is not checked
---@param values braid.Array|number
---@param opts { side: "left"|"right"?, out: braid.Array?, threads: integer? }? out: of i64, as long as values
---@return braid.Array|integer places of i64; an integer for a number
function braid.kernels.searchsorted(sorted, values, opts) end

---Fills an array with random numbers. Element i depends only on the seed and i. Uniform floats: low <= x < high (f32
---may round up to high). Uniform integers: low <= x <= high. Normal and exponential numbers in an array of integers
---are rounded to the nearest; poisson and binomial give whole numbers in any array. Suspends, except for short arrays.
---
---The generator is Philox 4x32-10 (Salmon and others, 2011). Normal numbers are by Box and Muller, exponential ones by
---inversion, poisson and binomial ones by inversion for means below 10, else by Hoermann's transformed rejection (PTRS
---and BTRS, 1993).
---@param array braid.Array
---@param opts { seed: integer?, distribution: "uniform"|"normal"|"exponential"|"poisson"|"binomial"|nil, low: number?,
--- high: number?, mean: number?, deviation: number?, n: integer?, p: number?, threads: integer? }? seed: default one
--- from math.random. low, high: default 0 and 1, for integers the range of the type. mean, deviation: default 0 and 1;
--- mean of exponential and poisson: default 1. n tries with probability p: default 1 and 0.5
---@return braid.Array array
function braid.kernels.fill_random(array, opts) end

---Makes an array of n random numbers, like fill_random. Suspends, except for short arrays.
---@param n integer
---@param opts table? those of fill_random, and type: default "f64"
---@return braid.Array
function braid.kernels.random(n, opts) end

---The elements with these indices, in their order. Suspends, except for few.
---@param array braid.Array
---@param indices braid.Array|integer[] of integers
---@param opts { threads: integer? }?
---@return braid.Array of the same type, as long as the indices
function braid.kernels.take(array, indices, opts) end

---Sets the elements with these indices, in their order: of equal indices the last one counts. Suspends, except for few.
---@param target braid.Array
---@param indices braid.Array|integer[]
---@param values braid.Array|number[]|number
---@return braid.Array target
function braid.kernels.put(target, indices, values) end

---Adds values to the elements with these indices; equal indices add up, in their order. Suspends, except for few.
---@param target braid.Array
---@param indices braid.Array|integer[]
---@param values braid.Array|number[]|number
---@return braid.Array target
function braid.kernels.scatter_add(target, indices, values) end

---How many elements of a mask are not 0. Suspends, except for short masks.
---@param mask braid.Array
---@param opts { threads: integer? }?
---@return integer
function braid.kernels.count(mask, opts) end

---The elements where the mask is not 0. Suspends, except for short arrays.
---@param array braid.Array
---@param mask braid.Array as long as the array
---@param opts { threads: integer? }?
---@return braid.Array
function braid.kernels.compress(array, mask, opts) end

---The indices where the mask is not 0, as i64. Suspends, except for short masks.
---@param mask braid.Array
---@param opts { threads: integer? }?
---@return braid.Array
function braid.kernels.indices(mask, opts) end

---n numbers at equal distances from `from` to `to`, with both ends. Suspends, except for few.
---@param from number
---@param to number
---@param n integer
---@param opts { type: "f64"|"f32"?, threads: integer? }?
---@return braid.Array
function braid.kernels.linspace(from, to, n, opts) end

---The numbers from `from` to `to` by `step`, `to` included where it is met, as Lua's `for` counts: i64 if from and step
---are integers, else f64. Suspends, except for few.
---@param from number
---@param to number
---@param step number? default 1; not 0
---@param opts { type: string?, threads: integer? }?
---@return braid.Array
function braid.kernels.arange(from, to, step, opts) end

---Puts the elements into random order, in place. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { seed: integer? }?
---@return braid.Array array
function braid.kernels.shuffle(array, opts) end

---n elements by chance. Suspends, except for few.
---@param array braid.Array with elements
---@param n integer
---@param opts { replace: boolean?, seed: integer? }? replace: whether an element may come again; default true
---@return braid.Array
function braid.kernels.choice(array, n, opts) end

---Groups elements by their keys. `what` has for each result its array: `{ sum = x, mean = y }`; a second table gives
---names of one's own: `{ total = { "sum", x }, best = { "max", y } }`. Results: sum, mean, min, max, first (the
---value of the first element), count; or a kernel that reduces, which is called for each group as kernel(n, values):
---`{ norm = { norm, x } }`. Suspends, except for short arrays.
---@param keys braid.Array
---@param what table<string, braid.Array|{ [1]: string|braid.Kernel, [2]: braid.Array }>
---@param opts { threads: integer? }?
---@return table groups `keys` (sorted), `count` (i64), and an array for each name in `what`, one element a group
function braid.kernels.group_by(keys, what, opts) end

---Counts small integers: element k of the result is how often k is in the array, or the sum of the weights there.
---Suspends, except for short arrays.
---@param array braid.Array of integers from 1
---@param opts { weights: braid.Array?, bins: integer?, zero: boolean?, threads: integer? }? bins: length of the result
--- (default: the largest element); zero: counts from 0, element k + 1 is that of k
---@return braid.Array i64; with weights that are floats f64
function braid.kernels.bincount(array, opts) end

---The quantile q of the elements: linear between the two that are next to it, as numpy computes it. NaN if there is
--- one;
---nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param q number|number[] from 0 to 1
---@param opts { threads: integer? }?
---@return number|number[]|nil a list for a list
function braid.kernels.quantile(array, q, opts) end

---The median. NaN if there is one; nil for an empty array. Suspends, except for short arrays.
---@param array braid.Array
---@param opts { threads: integer? }?
---@return number?
function braid.kernels.median(array, opts) end

---The convolution of two arrays, in doubles. Suspends, except for short arrays.
---@param a braid.Array
---@param b braid.Array
---@param opts { mode: "full"|"same"|"valid"?, threads: integer? }? full: all #a + #b - 1; same: as long as the longer
--- array; valid: where they overlap completely
---@return braid.Array f64
function braid.kernels.convolve(a, b, opts) end

---The value of each window of n neighbours: element i is that of the elements i to i + n - 1. Suspends, except for
--- short
---arrays.
---@param array braid.Array
---@param n integer 1 to #array
---@param what "sum"|"mean"|"min"|"max"|braid.Kernel a kernel is called as kernel(i, array, n): the window begins at i
---@param opts { threads: integer? }?
---@return braid.Array f64, #array - n + 1 elements
function braid.kernels.windows(array, n, what, opts) end

---As vectors.sum; with `axis = 1` one sum for each column of a two-dimensional array, with 2 one for each row.
function braid.kernels.sum() end

---As vectors.min, also along an axis.
function braid.kernels.min() end

---As vectors.max, also along an axis.
function braid.kernels.max() end

---As vectors.mean, also along an axis.
---@param array braid.Array|braid.ArrayView
---@param opts { axis: integer?, threads: integer? }?
---@return number|braid.Array|nil
function braid.kernels.mean(array, opts) end

---As vectors.map. Arrays of two dimensions give one of two dimensions; a row (or an array as long as a row) and a
---column are repeated.
---@param expression string
---@param ... any as for vectors.map
---@return braid.Array|braid.ArrayView
function braid.kernels.map(expression, ...) end

---As vectors.matmul; two arrays of two dimensions need no sizes, and give one of two dimensions.
---@param a braid.Array|braid.ArrayView
---@param b braid.Array|braid.ArrayView
---@param ... any as for vectors.matmul
---@return braid.Array|braid.ArrayView
function braid.kernels.matmul(a, b, ...) end

---a where the mask is not 0, else b. A row and a column are repeated, as in `map`. Suspends, except for short masks.
---@param mask braid.Array|braid.ArrayView
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView of the type of both; f64 or i64 if they differ
function braid.kernels.where(mask, a, b, opts) end

---Whether a < b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
function braid.kernels.less(a, b, opts) end

---Whether a <= b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
function braid.kernels.less_equal(a, b, opts) end

---Whether a == b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
function braid.kernels.equal(a, b, opts) end

---Whether a ~= b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
function braid.kernels.not_equal(a, b, opts) end

---Solves a x = b.
---@param a braid.ArrayView n x n
---@param b braid.Array|braid.ArrayView n numbers, or n x k
---@return braid.Array|braid.ArrayView x f64, of b's shape
function braid.kernels.solve(a, b) end

---The Cholesky decomposition of a symmetric, positive definite matrix: a lower triangle l, where a = l * l transposed.
---Only the lower triangle of a is read.
---@param a braid.ArrayView n x n
---@return braid.ArrayView l
function braid.kernels.cholesky(a) end

---The QR decomposition: a = q * r, with k the smaller of m and n.
---@param a braid.ArrayView m x n
---@return braid.ArrayView q m x k, with orthonormal columns
---@return braid.ArrayView r k x n, an upper triangle
function braid.kernels.qr(a) end

---The singular value decomposition: a = u * diagonal(s) * vt, with k the smaller of m and n.
---@param a braid.ArrayView m x n
---@return braid.ArrayView u m x k, with orthonormal columns
---@return braid.Array s k values, descending
---@return braid.ArrayView vt k x n, with orthonormal rows
function braid.kernels.svd(a) end

---The eigenvalues and eigenvectors of a symmetric matrix. Only the lower triangle of a is read.
---@param a braid.ArrayView n x n
---@return braid.Array values n, ascending
---@return braid.ArrayView vectors n x n: column i belongs to value i
function braid.kernels.eigh(a) end

---Reads a table from a file of text (RFC 4180). A column of integers becomes an i64 array, a column of numbers f64 (a
---missing number is NaN), any other a list of texts. Suspends.
---@param path string
---@param opts { separator: string?, header: boolean?, columns: (string|integer)[]?, types: table<string, string>?,
--- skip: integer? }?
--- header: the first line has names; default true, else columns are called "column 1" and so on. columns: only these.
--- types: "f64", "i32" ... or "text" by name. skip: lines before the table
---@return table<string, braid.Array|string[]>? columns by name; `columns.names` is the list of all names
---@return braid.Error? err kind "system"; `line` is the line in the file, `record` counts the records behind the
--- header, from 1
function braid.kernels.read_csv(path, opts) end

---Writes columns as a table in text, with a line of names. Suspends for short moments between lines.
---@param path string
---@param columns table<string, braid.Array|any[]>
---@param opts { separator: string?, header: boolean?, names: string[]? }? names: the order of the columns
---@return boolean? ok
---@return braid.Error? err
function braid.kernels.write_csv(path, columns, opts) end

---A kernel. Calling it runs it over a range: `kernel(n, ...)` for 1 to n, `kernel({ from, to }, ...)`, or
---`kernel({ from, to, from, to }, ...)` with two indices. Suspends.
---@class braid.Kernel
---@operator call: any
local Kernel = {}

---The names outside of the function that it uses.
---@return string[]
function Kernel:outer_names() end

---The C that the last call was compiled to; nil before the first one.
---@return string?
function Kernel:source() end

---About the last call: whether it is native, the types, the seconds that making the code took, whether it came from the
---cache folder, whether the C compiler vectorised a loop, and where the function is written.
---@return { native: boolean, types: string[]?, seconds: number?, cached: boolean?, vectorized: boolean?, file: string,
--- reason: string? }
function Kernel:info() end

---Compiles a Lua function, or the text of one, to a native kernel that runs on all cores. See docs/kernels.md for the
---language. Types come from the arguments of the first call for each list of types; that call compiles, and suspends.
---Kind "compile": the function uses what kernels lack; `line` and `column` tell where.
---@param fn function|string
---@param opts { reduce: "sum"|"min"|"max"|"product"|function|{ init: number?, fn: function }|nil, name: string?,
--- unchecked: boolean?, fast_math: boolean?, types: string[]? }?
---@return braid.Kernel
function braid.kernels.compile(fn, opts) end

---Options for one call of a kernel: its last argument.
---@param opts { threads: integer? }
---@return table
function braid.kernels.options(opts) end

---Runs fn(item) here for each item of the sample, the first item twice. Then the models that could be best make pilot
---runs with the sample. Advises which model to use for many such items. The first call measures this machine. That
---takes some tenths of a second, as each pilot run does. Call it while nothing else runs: if other programs have used
---the machine meanwhile, the advice says so, and its `certainty` is "low". Suspends.
---@param fn fun(item: any): any
---@param sample any[] not empty; the more similar to the other items, the better
---@param opts { items: integer?, workers: integer?, isolate: boolean?, kernel: function?,
--- cluster: (braid.cluster.Cluster|table)?, lang: "zh"|"en"? }? items: the number of items to advise for (default: the
--- sample's); workers: the number of workers (default: estimated); isolate: a crash must not end the program; kernel:
--- the same work in native code, called with all items at once; cluster: one more model, a cluster or the options of
--- braid.cluster; lang: the language of the text
function braid.advise(fn, sample, opts) end

---@class braid.ModelSpec
---@field kind "inline"|"tasks"|"threads"|"processes"|"kernel"|"cluster"
---@field name string? the name in the report; default: the kind
---@field workers integer? not of a cluster: it has those that were started
---@field chunk integer? as for map

---@class braid.ExperimentOptions
---@field name string? the report's title
---@field work fun(item: any): any is called with each item
---@field items any[]
---@field models (string|braid.ModelSpec)[]? default: all; the others are compared with the first
---@field repeats integer? measured runs of each model; default: until the standard error of the median is below 2 %, at
--- least five runs and at most fifty
---@field warmup integer? runs before the measured ones; default 1
---@field workers integer? of tasks, threads and processes; default: that of each pool
---@field chunk integer? as for map
---@field limit number? seconds after which no further round begins, once each model has five runs; default 30
---@field verify boolean? false: the results of the models may differ
---@field kernel (fun(items: any[]): any[])? the same work in native code, for the model "kernel"
---@field cluster (braid.cluster.Cluster|table)? for the model "cluster": a cluster, or the options of braid.cluster
---@field progress (boolean|table)? a bar on stderr

---Does the same work under each model and measures it. The pools are opened before the clock starts; the time for that
---is a column of its own. Errors of `work` are raised. Suspends.
---@param opts braid.ExperimentOptions
---@return braid.Report
function braid.experiment(opts) end

---@class braid.Measured
---@field name string
---@field kind string
---@field workers integer?
---@field times number[] seconds of each run
---@field median number
---@field low number the first quartile
---@field high number the third quartile
---@field least number
---@field most number
---@field speedup number how many times as fast as the first model
---@field cpu number seconds of processor time of one run, of all threads
---@field busy number cores in use on average
---@field start number seconds to open the pool and to get the first job back
---@field differs integer? the first item whose result differs from that of the first model

---@class braid.Report
---@field name string
---@field items integer
---@field machine braid.Machine
---@field date string
---@field models braid.Measured[]
---@field fastest braid.Measured
---@field same boolean whether all models gave the same results
local Report = {}

---The result in a few sentences. A difference is named only where a rank test at 95 % shows one.
---@return string
function Report:verdict() end

---Prints the table.
function Report:print() end

---The chart of the times, or the timeline, as SVG.
---@param path string? where to write it
---@param which "times"|"timeline"|nil default "times"
---@return string? svg
---@return braid.Error? err
function Report:svg(path, which) end

---All numbers as JSON.
---@param path string? where to write it
---@return string? json
---@return braid.Error? err
function Report:json(path) end

---One page with the charts and the table. It loads nothing from elsewhere.
---@param path string? where to write it
---@return string? html
---@return braid.Error? err
function Report:html(path) end

---@class braid.Machine
---@field cpu string
---@field cores integer number of cores that this process may use
---@field system string name and release of the kernel
---@field lua string
---@field load number? average of the last minute
---@field others number? cores that other programs used during the experiment, on average

---Shows the progress of some work. It is an iterator itself, and can be held in a `<close>` variable. If it is
---forgotten, it is finished when it is collected.
---@class braid.Progress
---@field count number the amount done
---@field total number? the whole amount
local Progress = {}

---Adds to the amount done.
---@param n number? default 1
---@return braid.Progress self
function Progress:advance(n) end

---Sets the amount done, and the total. For transfers, which learn their size late.
---@param done number
---@param total number? nil: unchanged
---@return braid.Progress self
function Progress:update(done, total) end

---Finishes the bar: its last line is written and stays. A second call does nothing.
function Progress:done() end

---Writes a line above the bars.
---@param text string
function Progress:write(text) end

---@class braid.ProgressOptions
---@field name string? text before the bar
---@field total number? the whole amount, if the iterator does not tell it
---@field unit string? "bytes" gives MB and MB/s; any other text follows the numbers
---@field interval number? seconds between two updates; default 0.1 on a terminal, 10 elsewhere

---Makes a bar on stderr with rate and remaining time. If stderr is no terminal, writes a plain line every ten seconds
---and at the end. Iterate over it, or call `advance` and `done`:
---
---    for item in braid.progress(list) do work(item) end
---@param what number|any[]|braid.Queue|(fun(): any)|nil a total, a list, a queue or an iterator
---@param opts braid.ProgressOptions?
---@return braid.Progress bar followed by the values that `for` needs to finish it when the loop is left
function braid.progress(what, opts) end

---@class braid.testing.Options
---@field seed integer? of the first schedule; each further one has the next. Default 1
---@field schedules integer? how many schedules are tried; default 1, exhaustive: as many as there are, up to 100,000
---@field strategy "random"|"pct"|"exhaustive"|nil random: each decision is drawn; pct: the task with the highest of
--- random priorities goes on, and these change now and then; exhaustive: all schedules, one after the other
---@field clock "virtual"|"real"|nil
---@field start number? what the virtual clock shows at first; default 0
---@field pools "tasks"|"real"|nil tasks: jobs of threads and processes run as tasks of this state
---@field max_steps integer? a schedule that takes more fails with kind "limit"; default
--- ten million for one schedule, a million for many
---@field invariant (fun(): boolean?)? called between the steps of tasks; if it returns false or raises, the schedule
--- fails
---@field schedule string? err.schedule of a failed run: this one schedule is run

---Runs fn as `braid.run` does, but decides by a seed what the concurrency model leaves open: which of the ready tasks
---goes on, when a deadline takes effect, with which case a select begins. Each call that may suspend does so. A virtual
---clock goes to the next deadline at once when no task can go on; real descriptors, threads and processes hold it.
---
---With `schedules` it tries so many of them until one fails: by an error, a deadlock, a failure that nobody asked for,
---the invariant, or too many steps. Then it looks for a shorter one that fails alike, prints it, and raises the error
---with the fields `seed`, `schedule` and `trace`. The same options with that seed, or with that schedule, run it again.
---@param fn fun(): ...
---@param opts braid.testing.Options?
---@return any ... what fn returned in the last schedule, and then a braid.testing.Report
function braid.testing.run(fn, opts) end

---The clock of the run. Outside of `testing.run`: makes a virtual clock for this Lua state, which stands until it is
---moved, and lasts until it is closed: `local clock <close> = testing.clock()`.
---@return braid.testing.Clock
function braid.testing.clock() end

---A test of busted whose function runs as in `testing.run`.
---@param name string
---@param fn fun(): ...
---@param opts braid.testing.Options?
function braid.testing.it(name, fn, opts) end

---A virtual clock. Sleeps, timeouts and deadlines of this Lua state follow it; `braid.now()` reads it. Made by
---`testing.clock`.
---@class braid.testing.Clock
local testing_Clock = {}

---Seconds, as of `braid.now()`.
---@return number
function testing_Clock:now() end

---Lets time pass: whatever is due within these seconds takes effect in its order, each at its own time, and all tasks
---go on until they wait. Suspends.
---@param seconds number not negative
function testing_Clock:advance(seconds) end

---Whether the clock goes to the next deadline by itself when nothing else can go on. In `testing.run` it does.
---@param on boolean
---@return braid.testing.Clock self
function testing_Clock:auto(on) end

---Gives the machine's time back. Only for a clock that was made outside of `testing.run`; also done by `<close>`.
function testing_Clock:close() end

---Calls fn and fails if it leaves something that was not there before: a task, a job, a timer, a held lock, a
---descriptor, a thread or a child process. Raises fn's own error. Suspends.
---@param fn fun(...): ...
---@param ... any its arguments
---@return any ... what fn returned
function braid.testing.nothing_left(fn, ...) end

---An error of braid. `tostring` returns its message. Programs compare `kind`, never the text.
---@class braid.Error
---@field kind string "timeout", "cancelled", "interrupted", "closed", "full", "empty", "not_sendable", "worker_died",
--- "owner_died", "broken", "group", "limit", "deadlock", "http", "json", "process",
--- "proxy", "redis", "postgres", "sqlite", "tls", "system" or "misuse"
---@field message string
---@field cause any? the error behind this one
---@field path string? of kind "json": where the value that cannot be encoded is
---@field line integer? of kind "json": the line of the text that is not JSON; `column` counts characters, `offset`
--- bytes, all from 1
---@field column integer?
---@field offset integer?
---@field code string? of kind "redis": the first word of the server's refusal, as "WRONGTYPE"; of kind
--- "sqlite": the name of SQLite's extended result code
---@field sqlstate string? of kind "postgres", as are severity, detail, hint, constraint, table, column and position
---@field not_sent table<string, string>? of an error from a worker: the parts that could not be sent, and why

---Whether a value is an error of braid, and of this kind.
---@param value any
---@param kind string?
---@return boolean
function braid.is_error(value, kind) end

---Sets the function that reports errors nobody has asked for; nil restores the report on stderr.
---@param fn fun(err: any, traceback: string?, name: string?)?
function braid.on_unhandled(fn) end

---Tells what everything in this process does: every task of every state (the script and the workers of its pools), with
---its name, its position in the source, what it waits for and how long; every pool, and the function that each of its
---worker processes runs. Does not suspend; blocks for at most 0.25 s. SIGQUIT (Ctrl-\) writes the same to stderr while
---a script waits or runs tasks. `braid ps PID` asks from outside, and also asks the worker processes.
---@param out file*|false|nil where to write the text; default io.stderr; false: nowhere
---@return string? text nil if the file cannot be written
---@return table? err kind "system"
function braid.dump(out) end

---Says what happens when tasks wait for each other, in whatever threads and processes, and nothing else can wake them:
---"report" (the default) writes on stderr who holds what, who waits for what, where and since when; "raise" raises kind
---"deadlock" with the same text in one of the waits; "off" does not look for deadlocks. It holds for the whole process,
---and for worker processes of pools that are made later. It takes up to 2 s until a deadlock is noticed. Deadlocks of a
---whole script, with no thread or process involved, are raised at once, whatever the mode is. Does not suspend.
---@param mode "report"|"raise"|"off"|nil nil: the mode stays
---@return "report"|"raise"|"off" before the mode until now
function braid.deadlocks(mode) end

---Runs fn(...) and writes a timeline: every step of a task, and every job in a thread or process, with the way from its
---submit over its run to its result. A path that ends in .html gets a self-contained page; any other gets JSON for
---Perfetto and Chrome. The timeline is written even if fn raises. Raises kind "system" if the file cannot be written.
---Only one trace can run at a time. Suspends if fn does.
---@param path string
---@param fn fun(...): ...
---@param ... any its arguments
---@return any ... what fn returned
function braid.trace(path, fn, ...) end

---A request before it is sent. A hook may change `url`, `headers` and `body`.
---@class braid.http.Outgoing
---@field method string
---@field url string
---@field headers table<string, string|string[]>
---@field body any as the option `body`

---One part of `multipart`. That is a table name -> part, or a list of parts with a `name`, in their order. A part is a
---string, number or boolean (a field), a function or an open file (see the option `body`), or a table:
---@class braid.http.Part
---@field name string? of the field, if the parts are a list
---@field body string|number|boolean|function|file*|table|nil the content, as that of the option `body`
---@field content string|number|boolean|nil the content; or
---@field path string? name of a file, which is read while it is sent
---@field filename string? sends the content as a file of this name; default: the last part of the path
---@field type string? content type; default: by the filename
---@field headers table<string, string>? further headers of the part

---Where the finished spans of a state go: to a collector, or to the state that has one.
---@class braid.telemetry.Sink
---@field sample number the part of the traces that are sent, 0 to 1
---@field inbox braid.Queue takes texts; shared with the states to which the program sends jobs
---@field dropped braid.Counter spans that the inbox had no room for

---The headers of the server's answer, by name; names are case-insensitive, `pairs` gives them in lower case. Several
---values of the same header are joined with ", ".
---@class braid.websocket.Headers
---@field [string] string

---@class braid.web.Router

---@class braid.web.Route
---@field handler function
---@field method string "*": any
---@field path string the pattern
---@field names string[] of the parameters, from left to right
---@field name string? for url_for
---@field stream_body boolean? the handler begins when the headers are there
---@field max_body integer? bytes
---@field mount braid.web.App? it answers, for the path without its first `depth` segments
---@field depth integer?
---@field endpoint function? what `handler` calls through the middleware in `layers`
---@field layers table[]? lists of middleware
---@field spec braid.web.RouteSpec?
---@field plan braid.web.RoutePlan?

---@alias braid.web.Next fun(request: braid.web.Request): braid.web.Response
---@alias braid.web.Middleware fun(request: braid.web.Request, next: braid.web.Next): any

---@class braid.web.File
---@field handle userdata of braid.core.web_file
---@field offset integer
---@field size integer bytes from the offset on

---What a server has agreed on.
---@class braid.websocket.Agreement
---@field headers string[] of the answer with status 101: names and values alternately
---@field protocol string?
---@field terms braid.websocket.Terms?

---@class braid.postgres.Link
---@field closed boolean? it cannot be used any more
---@field owner any the task within whose copy or pipeline it is: a call of it would wait for itself
---@field pending integer slots whose work has not ended
---@field asked number? when the server was last asked to cancel
---@field failure braid.Error? the first one of the server; who begins a transaction clears it
---@field types table<integer, function>?

---@class braid.cluster.Link
---@field closed boolean?
---@field patience number seconds without a server until waits fail
---@field replicated boolean whether several servers have each message, and one may be behind the others
---@field up braid.Event set while it is connected
---@field lost_at number? since when it is not connected
---@field over braid.Event set when the client has given up, because a server has refused it
---@field refusal string? why
---@field inbox string the beginning of addresses for answers

---@class braid.cluster.Wire

---@class braid.cluster.Streams
---@field cluster string
---@field file boolean whether "file" is the usual storage

---@class braid.cluster.Cargo

---@class braid.cluster.Pieces

---@class braid.cluster.Home
---@field id string
---@field jobs table<string, table> by their ids
---@field workers table<string, table> by their ids: what they tell, and `seen`

---@class braid.testing.Report
---@field seed integer of the last schedule
---@field schedules integer how many were run
---@field strategy string
---@field steps integer of the last schedule
---@field seconds number that passed in it, by its clock
---@field schedule string? its choices, if only one schedule was run
---@field complete boolean? exhaustive: whether these were all schedules

---@class braid.web.RoutePlan
---@field params braid.web.SchemaNode?
---@field query braid.web.SchemaNode?
---@field headers braid.web.SchemaNode?
---@field body braid.web.SchemaNode?
---@field form braid.web.SchemaNode?
---@field answers table<integer, braid.web.SchemaNode>? by status; 2: all of 2xx

---What was agreed on: for each direction the bits of the window, and whether it stays from message to message.
---@class braid.websocket.Terms
---@field out_window integer
---@field out_takeover boolean
---@field in_window integer
---@field in_takeover boolean

---@class braid.web.SchemaNode
---@field kind string
---@field optional boolean
---@field names string[]? of the fields, sorted
---@field fields table<string, braid.web.SchemaNode>?
---@field items braid.web.SchemaNode?
---@field of braid.web.SchemaNode[]? the alternatives
---@field source table? what the program wrote; the same table may be read several times

return braid
