-- SPDX-License-Identifier: MIT
--- Futures: results that are not there yet. A task is one.

local core = require "braid.core"

---@class braid.Future
local Future = core.Task

---The results, or the very error that the function raised. Suspends.
---@param timeout number? seconds; raises kind "timeout"
---@return any ...
Future.result = Future.result

---Whether it has ended. Suspends.
---@param timeout number? seconds
---@return boolean
Future.wait = Future.wait

---@return boolean
Future.done = Future.done

---@return boolean
Future.cancelled = Future.cancelled

---@return boolean
Future.running = Future.running

---Who is told "failed" has seen the failure: it is not reported any more.
---@return "pending"|"running"|"done"|"failed"|"cancelled"
Future.state = Future.state

---The error with which it ended, or nil. Does not raise, does not wait.
---@return any
Future.error = Future.error

---Where its error came from.
---@return string?
Future.traceback = Future.traceback

---Queued: it never starts. Running: its next wait, and every one after it, raises kind "cancelled".
---@param reason any?
---@return boolean whether it had not ended yet
Future.cancel = Future.cancel

---Calls fn with the future when it ends, at once when it has. What fn raises is reported. fn may not wait.
---@param fn fun(future: braid.Future)
---@return braid.Future self
Future.on_done = Future.on_done

return Future
