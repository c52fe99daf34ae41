-- SPDX-License-Identifier: MIT
-- A bank whose transfers go wrong once in a while: braid.testing finds out how, and proves the mended one.
--   lua5.4 examples/testing.lua
local braid = require "braid"
local testing = braid.testing

-- Two accounts, three transfers at the same time. `locks`: each transfer takes the locks of both accounts.
local function bank(locks)
  local balance = { a = 100, b = 100 }
  local lock = { a = braid.lock(), b = braid.lock() }

  local function move(from, to, amount)
    local before = balance[from]
    braid.sleep(0.01) -- a query, say
    balance[from] = before - amount
    balance[to] = balance[to] + amount
  end

  local function transfer(from, to, amount)
    if not locks then return move(from, to, amount) end
    local first, second = locks(from, to)
    lock[first]:with(function() lock[second]:with(move, from, to, amount) end)
  end

  braid.scope(function(scope)
    scope:spawn(transfer, "a", "b", 10).name = "rent"
    scope:spawn(transfer, "b", "a", 20).name = "refund"
    scope:spawn(transfer, "a", "b", 5).name = "coffee"
  end)
  assert(balance.a + balance.b == 200, "money was made or lost")
end

local function as_given(from, to) return from, to end
local function in_order(from, to)
  if from < to then return from, to end
  return to, from
end

local function try(name, locks)
  local ok, err = pcall(testing.run, function() bank(locks) end, { schedules = 2000 })
  print(("%s: %s"):format(name, ok and "holds in 2,000 schedules" or tostring(err):match "[^\n]*"))
  if not ok then print(("  schedule %q\n%s"):format(err.schedule, err.trace)) end
  return ok
end

assert(not try("without locks", nil))
assert(not try("each its own account first", as_given))
assert(try("always in the same order", in_order))
