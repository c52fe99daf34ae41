-- SPDX-License-Identifier: MIT
-- Pools of resources: what is lent, to whom, and what becomes of it.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time

-- A pool of tables, and the lists of what it made and ended.
local function counted(opts)
  local made, ended = {}, {}
  opts = opts or {}
  opts.create = opts.create or function()
    made[#made + 1] = { id = #made + 1 }
    return made[#made]
  end
  opts.destroy = function(resource) ended[#ended + 1] = resource.id end
  return braid.resource_pool(opts), made, ended
end

describe("a resource pool", function()
  test("makes no more than max, and uses them again", function()
    run(function()
      local pool <close>, made = counted { max = 3 }
      local inside, most = 0, 0
      braid.scope(function(scope)
        for _ = 1, 20 do
          scope:spawn(pool.with, pool, function()
            inside = inside + 1
            most = math.max(most, inside)
            braid.checkpoint()
            inside = inside - 1
          end)
        end
      end)
      assert.equal(3, most)
      assert.equal(3, #made)
      assert.same({ open = 3, idle = 3, leased = 0, waiting = 0, created = 3, destroyed = 0, reused = 17 },
        pool:stats())
    end)
  end)

  test("gives what fn returns, and nil in it", function()
    run(function()
      local pool <close> = counted()
      assert.same({ 1, nil, 3, n = 3 }, table.pack(pool:with(function(_, a) return a, nil, 3 end, 1)))
    end)
  end)

  test("lends the one that was given back last", function()
    run(function()
      local pool <close> = counted()
      local first, second = pool:acquire(), pool:acquire()
      second:release()
      first:release()
      local lease <close> = pool:acquire()
      assert.equal(1, lease.resource.id)
    end)
  end)

  test("serves those who wait in the order in which they came", function()
    run(function()
      local pool <close> = counted { max = 1 }
      local order, lease = {}, pool:acquire()
      braid.scope(function(scope)
        for i = 1, 5 do
          scope:spawn(function()
            local mine <close> = pool:acquire()
            order[#order + 1] = i + 0 * mine.resource.id
          end)
        end
        while pool:stats().waiting < 5 do braid.checkpoint() end
        lease:release()
      end)
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  test("says that it took too long, for a place or for a new one", function()
    in_virtual_time(function()
      local pool <close> = counted { max = 1 }
      local lease <close> = pool:acquire()
      local none, err = pool:acquire(0.01)
      assert.is_nil(none)
      assert.equal("timeout", err.kind)
      assert.equal("timeout", select(2, pool:acquire(0)).kind)
      local slow <close> = braid.resource_pool { create = function() braid.sleep(60) end }
      assert.equal("timeout", select(2, slow:acquire(0.01)).kind)
      assert.equal(0, slow:stats().leased + 0 * lease.resource.id)
    end)
  end)

  test("discards what a holder had who failed, was cancelled or came too late", function()
    run(function()
      local pool <close>, _, ended = counted()
      assert.has_error(function() pool:with(error, "no") end)
      assert.same({ 1 }, ended)
      local task = braid.spawn(pool.with, pool, function() braid.sleep(60) end)
      braid.checkpoint()
      task:cancel()
      task:wait()
      assert.same({ 1, 2 }, ended)
      assert.is_false(braid.move_on_after(0.001, pool.with, pool, function() braid.sleep(60) end))
      assert.same({ 1, 2, 3 }, ended)
      assert.equal(0, pool:stats().open)
    end)
  end)

  test("keeps what a failed holder says is good, and discards what a good one says is not", function()
    run(function()
      local pool <close>, _, ended = counted()
      pcall(function()
        local lease <close> = pool:acquire()
        lease:keep()
        error "no"
      end)
      assert.same({}, ended)
      do
        local lease <close> = pool:acquire()
        lease:discard()
        assert.is_nil(lease.resource)
      end
      assert.same({ 1 }, ended)
    end)
  end)

  test("lends nothing that has not passed the check, is too old or was used too often", function()
    run(function()
      local good = true
      local pool <close>, made = counted { check = function() return good end, max_uses = 2 }
      for _ = 1, 3 do pool:with(function() end) end
      assert.equal(2, #made)
      good = false
      pool:with(function() end)
      assert.equal(3, #made)
      local old <close>, all = counted { max_age = 0 }
      for _ = 1, 2 do old:with(function() end) end
      assert.equal(2, #all)
    end)
  end)

  test("ends what is idle for too long, but not the last ones", function()
    in_virtual_time(function()
      local pool <close>, _, ended = counted { idle_time = 0.01, min = 1 }
      local leases = { pool:acquire(), pool:acquire(), pool:acquire() }
      for _, lease in ipairs(leases) do lease:release() end
      while pool:stats().open > 1 do braid.sleep(0.001) end
      braid.sleep(0.03)
      assert.equal(1, pool:stats().open)
      assert.equal(2, #ended)
    end)
  end)

  test("makes the first ones by itself, and no more than max with those that are asked for", function()
    in_virtual_time(function()
      local open = 0
      local pool <close> = braid.resource_pool {
        min = 2, max = 2, create = function()
          open = open + 1
          braid.sleep(0.001)
          return open
        end,
      }
      braid.gather { function() pool:with(braid.sleep) end, function() pool:with(braid.sleep) end, n = 2,
        function() while pool:stats().open < 2 do braid.sleep(0.001) end end }
      assert.equal(2, open)
    end)
  end)

  test("tells what create says, and what it raises, and goes on", function()
    run(function()
      local answer = function() return nil, "refused" end
      local pool <close> = braid.resource_pool { max = 1, create = function() return answer() end }
      assert.same({ nil, "refused" }, { pool:acquire() })
      answer = function() error "broken" end
      assert.has_error(function() pool:acquire() end)
      answer = function() return 1 end
      local lease <close> = pool:acquire(0)
      assert.equal(1, lease.resource)
    end)
  end)

  test("when closed refuses, lets holders finish and waits for them", function()
    run(function()
      local pool, _, ended = counted { max = 1 }
      local lease = pool:acquire()
      local waiting = braid.spawn(function() return pool:acquire() end)
      braid.checkpoint()
      local closing = braid.spawn(pool.close, pool)
      assert.equal("closed", select(2, waiting:result()).kind)
      assert.equal("closed", select(2, pool:acquire()).kind)
      assert.is_false(closing:done())
      lease:release()
      closing:result()
      assert.same({ 1 }, ended)
      pool:close()
    end)
  end)

  test("when closed without wait leaves the holders alone", function()
    run(function()
      local pool, _, ended = counted()
      local lease = pool:acquire()
      pool:close { wait = false }
      assert.same({}, ended)
      lease:release()
      assert.same({ 1 }, ended)
    end)
  end)

  test("tells of a lease that was never given back, and lends again", function()
    local told
    braid.on_unhandled(function(err) told = err end)
    finally(function() braid.on_unhandled(nil) end)
    run(function()
      local pool <close>, _, ended = counted { max = 1, name = "lines" }
      pool:acquire()
      local patience = braid.now() + 5
      while not told and braid.now() < patience do collectgarbage() braid.checkpoint() end
      assert.matches("resource_pool lines: a lease was never given back", told.message)
      pool:with(function() end)
      assert.same({ 1 }, ended)
    end)
  end)

  test("reports a destroy that fails, and goes on", function()
    local told
    braid.on_unhandled(function(err) told = err end)
    finally(function() braid.on_unhandled(nil) end)
    run(function()
      local pool = braid.resource_pool { create = function() return 1 end, destroy = function() error "stuck" end }
      pool:with(function() end)
      pool:close()
    end)
    assert.matches("stuck", told)
  end)

  test("refuses what makes no sense, at the caller's line", function()
    local function refused(opts)
      local ok, err = pcall(braid.resource_pool, opts)
      assert.is_false(ok)
      return err.message
    end
    assert.matches("create", refused {})
    assert.matches("max", refused { create = print, max = 0 })
    assert.matches("min", refused { create = print, max = 1, min = 2 })
    assert.matches("max_uses", refused { create = print, max_uses = 0 })
    assert.matches("idle_time", refused { create = print, idletime = 1 })
    assert.matches("colon", select(2, pcall(braid.resource_pool { create = print }.acquire)).message)
  end)
end)
