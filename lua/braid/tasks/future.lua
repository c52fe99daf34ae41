-- SPDX-License-Identifier: MIT
--- Futures: results that may not exist yet. A task is a future.

local core = require "braid.core"

---@class braid.Future
local Future = core.Task

---Waits for the results and returns them, or raises the error that the function raised. Suspends.
---@param timeout number? seconds; then it raises kind "timeout"
---@return any ...
Future.result = Future.result

---Waits for the end; returns whether it has come. Suspends.
---@param timeout number? seconds
---@return boolean
Future.wait = Future.wait

---Whether it has ended.
---@return boolean
Future.done = Future.done

---Whether it has ended by a cancel.
---@return boolean
Future.cancelled = Future.cancelled

---Whether it has begun and not ended.
---@return boolean
Future.running = Future.running

---The state. If it is "failed", the failure counts as seen: it is not reported any more.
---@return "pending"|"running"|"done"|"failed"|"cancelled"
Future.state = Future.state

---The error with which it ended, or nil. Does not raise or wait.
---@return any
Future.error = Future.error

---The traceback of its error.
---@return string?
Future.traceback = Future.traceback

---Cancels it. A job that has not begun never starts. In a running one the next wait, and every later one, raises kind
---"cancelled".
---@param reason any?
---@return boolean cancelled false if it had already ended
Future.cancel = Future.cancel

---Calls fn with the future when it ends; at once if it has ended. Errors of fn are reported. fn must not wait.
---@param fn fun(future: braid.Future)
---@return braid.Future self
Future.on_done = Future.on_done

require("braid.missing").methods(Future, "future")

return Future
