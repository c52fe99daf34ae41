-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.queue, braid.Queue:put, braid.Queue:get, braid.Queue:close, braid.Queue:items
local queue = braid.queue(2)             -- room for two; puts wait beyond
local consumer = braid.spawn(function()
  local sum = 0
  for item in queue:items() do sum = sum + item end
  return sum
end)
for i = 1, 10 do queue:put(i) end
queue:close()                            -- gets what is left, then ends
assert(consumer:result() == 55)

--@ braid.Queue:try_put, braid.Queue:try_get
local queue = braid.queue(1)
assert(queue:try_put "a")
local ok, err = queue:try_put "b"
assert(not ok and err.kind == "full")
assert(queue:try_get() == "a")

--@ braid.Queue:put_many, braid.Queue:get_many
local queue = braid.queue()
queue:put_many { 1, 2, 3 }
local list = queue:get_many(10)          -- waits for one, takes what else is there
assert(#list == 3)

--@ braid.Queue:task_done, braid.Queue:join
local queue, done = braid.queue(), 0
local worker = braid.spawn(function()
  for _ in queue:items() do
    done = done + 1
    queue:task_done()
  end
end)
queue:put_many { "a", "b" }
queue:join()                             -- until both are processed
assert(done == 2)
queue:close()
worker:wait()

--@ braid.lock, braid.Lock:hold, braid.Lock:with
local lock, balance = braid.lock(), 100
local function take(amount)
  local held <close> = lock:hold()       -- released at the end of the block, also by an error
  local before = balance
  braid.sleep(0.001)
  balance = before - amount
end
braid.map(take, { 1, 2, 3 })
assert(balance == 94)
assert(lock:with(function() return balance end) == 94)

--@ braid.Lock:acquire, braid.Lock:release
local lock = braid.lock()
if lock:acquire(1) then                  -- true; hold() is what `<close>` needs
  lock:release()
end

--@ braid.semaphore
local semaphore, inside, most = braid.semaphore(2), 0, 0
braid.map(function()
  semaphore:with(function()
    inside = inside + 1
    most = math.max(most, inside)
    braid.sleep(0.005)
    inside = inside - 1
  end)
end, { 1, 2, 3, 4 })
assert(most == 2)

--@ braid.event, braid.Event:wait, braid.Event:set
local ready = braid.event()
local waiter = braid.spawn(function() return ready:wait(1) end)
ready:set()
assert(waiter:result() == true)

--@ braid.condition, braid.Condition:wait_for, braid.Condition:notify_all
local condition, items = braid.condition(), {}
local taker = braid.spawn(function()
  return condition:with(function()
    condition:wait_for(function() return #items > 0 end)
    return table.remove(items)
  end)
end)
condition:with(function()
  items[1] = "item"
  condition:notify_all()
end)
assert(taker:result() == "item")

--@ braid.barrier, braid.Barrier:wait
local barrier = braid.barrier(3)
local places = braid.map(function() return barrier:wait() end, { 1, 2, 3 })
table.sort(places)
assert(places[1] == 1 and places[3] == 3)

--@ braid.counter, braid.Counter:add
local counter = braid.counter()
braid.run(function()
  local pool <close> = braid.thread_pool(2)
  pool:map(function() counter:add() end, { 1, 2, 3, 4 })
end)
assert(counter:get() == 4)               -- one object for all threads

--@ braid.dict, braid.Dict:update
local dict = braid.dict()
dict:set("visits", 1)
dict:update("visits", function(value) return value + 1 end)   -- atomic
assert(dict:get "visits" == 2)

--@ braid.limiter
local limiter <const> = braid.limiter { rate = 100, per = 1, burst = 2 }
assert(limiter:try_acquire() and limiter:try_acquire())
assert(not limiter:try_acquire())        -- 10 ms later there is one more
limiter:acquire()

--@ braid.resource_pool
local made = 0
local pool <close> = braid.resource_pool {
  create = function() made = made + 1 return { id = made } end,
  max = 2,
}
local id = pool:with(function(connection) return connection.id end)
assert(id == 1 and pool:with(function(connection) return connection.id end) == 1)
