-- SPDX-License-Identifier: MIT
-- braid.sqlite with files and databases in memory.
local helper = require "spec.helper"
local braid = require "braid"
local sqlite = braid.sqlite
local run = helper.run

local there = pcall(require, "braid.sqlite_core")
local function test(name, fn, opts)
  if there then return helper.test(name, fn, opts) end
  pending(name .. " (no SQLite here)")
end

-- A test function: fn(db, path) with a database in memory, or in a file if there are options.
local function opened(fn, opts)
  return function()
    run(function()
      local path = opts and os.tmpname() or ":memory:"
      do
        local db <close> = assert(sqlite.open(path, opts))
        fn(db, path)
      end
      if opts then
        for _, ending in ipairs { "", "-wal", "-shm", "-journal" } do os.remove(path .. ending) end
      end
    end)
  end
end

local function raises(kind, code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  if code then assert.equal(code, err.code) end
  return err
end

local ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"

describe("sqlite values", function()
  test("go in and come back", opened(function(db)
    db:execute("create table t (v)")
    for _, value in ipairs { 0, -1, math.maxinteger, math.mininteger, 0.5, -1e300, math.huge, "", "text\0with zero",
      "\xc3\xa4", ("x"):rep(100000) } do
      assert.equal(value, db:value("select ?", value))
      db:query("insert into t values (?)", value)
    end
    assert.equal(11, #db:query("select v from t"))
    assert.equal("float", math.type(db:value("select 3.0")))
    assert.equal("integer", math.type(db:value("select 3")))
    assert.equal(1, db:value("select ?", true))
    assert.is_nil(db:value("select ?", nil))
    assert.is_nil(db:value("select ?", braid.null))
    assert.is_nil(db:value("select ?", 0 / 0))
    assert.equal("blob", db:value("select typeof(?)", sqlite.blob("\0\1")))
    assert.equal("text", db:value("select typeof(?)", "\0\1"))
    assert.equal("\0\1", db:value("select ?", sqlite.blob("\0\1")))
    assert.equal("", db:value("select ?", sqlite.blob("")))
  end))

  test("are bound by place and by name", opened(function(db)
    assert.same({ a = 1, b = "x" }, db:row("select ?1 as a, ?2 as b", 1, "x"))
    assert.same({ a = 1, b = "x", c = 1 }, db:row("select :a as a, @b as b, $a as c", { a = 1, b = "x" }) and
      { a = 1, b = "x", c = 1 })
    assert.equal(7, db:query({ "select :n as n", params = { n = 7 } })[1].n)
    assert.equal(8, db:query({ sql = "select ? as n", params = { 8 } })[1].n)
    raises("sqlite", "SQLITE_RANGE", db.query, db, "select ?")
    raises("sqlite", "SQLITE_RANGE", db.query, db, "select ?", 1, 2)
    raises("misuse", nil, db.query, db, "select :a", { b = 1 })
    raises("misuse", nil, db.query, db, "select ?", print)
    raises("misuse", nil, db.query, db, "select ?", { 1 })
    raises("misuse", nil, sqlite.blob, 5)
  end))

  test("that are NULL are absent, unless they are asked for", opened(function(db)
    assert.same({ a = 1 }, db:row("select 1 as a, null as b"))
    assert.same({ a = 1, b = braid.null }, db:query({ "select 1 as a, null as b", nulls = true })[1])
    local result = db:query { "select 1 as a, null as b, 2 as a", as = "lists" }
    assert.same({ 1, braid.null, 2 }, result[1])
    assert.same({ "a", "b", "a" }, { table.unpack(result.columns) })
    raises("misuse", nil, db.query, db, { "select 1", nuls = true })
  end))
end)

describe("sqlite statements", function()
  test("return rows, columns, and what they have done", opened(function(db)
    db:execute("create table t (id integer primary key, name text unique); -- a comment\n "
      .. "insert into t (name) values ('a');")
    local result = db:query("insert into t (name) values (?), ('c')", "b")
    assert.equal(2, result.affected)
    assert.equal(3, result.last_id)
    assert.equal(0, #result)
    result = db:query("select * from t order by id")
    assert.equal(3, #result)
    assert.same({ "id", "name" }, { table.unpack(result.columns) })
    assert.same({ "id", "name" }, { table.unpack(db:query("select * from t where 0").columns) })
    assert.equal("b", db:value("select name from t where id = 2"))
    assert.is_nil(db:row("select * from t where id = 9"))
    assert.equal(1, db:query("update t set name = 'x' where id = 1").affected)
    assert.equal(4, db:execute("insert into t (name) values ('z')").last_id)
    assert.equal(5, db:value("insert into t (name) values ('y') returning id"))
  end))

  test("raise what SQLite refuses, with its code and place", opened(function(db)
    db:execute("create table t (id integer primary key, name text not null unique, n int check (n > 0))")
    local err = raises("sqlite", "SQLITE_ERROR", db.query, db, "select nosuch from t")
    assert.equal(8, err.position)
    db:query("insert into t (name) values ('a')")
    raises("sqlite", "SQLITE_CONSTRAINT_UNIQUE", db.query, db, "insert into t (name) values ('a')")
    raises("sqlite", "SQLITE_CONSTRAINT_NOTNULL", db.query, db, "insert into t (name) values (null)")
    raises("sqlite", "SQLITE_CONSTRAINT_CHECK", db.query, db, "insert into t (name, n) values ('b', 0)")
    raises("sqlite", "SQLITE_ERROR", db.execute, db, "select 1; selec 2")
    raises("sqlite", "SQLITE_ERROR", db.query, db, "-- nothing")
    raises("misuse", nil, db.query, db, "select 1; select 2")
    raises("misuse", nil, db.query, db, "select 1\0")
    raises("misuse", nil, db.query, db, 5)
    assert.equal(1, db:value("select count(*) from t"))
  end))

  test("can be prepared", opened(function(db)
    db:execute("create table t (id integer primary key, name text)")
    local insert <close> = db:prepare("insert into t (name) values (?)")
    for i = 1, 10 do assert.equal(i, insert:execute("n" .. i).last_id) end
    local find = db:prepare("select * from t where id = ?")
    assert.equal("n3", find:row(3).name)
    assert.equal(3, find:value(3))
    assert.equal(1, #find:query(4))
    for row in find:rows(5) do assert.equal("n5", row.name) end
    find:close()
    raises("closed", nil, find.row, find, 1)
    raises("sqlite", "SQLITE_ERROR", db.prepare, db, "selec")
    for i = 1, 70 do assert.equal(i, db:value("select " .. i)) end
  end))

  test("know the columns that their tables have now", opened(function(db)
    db:execute("create table changing (a); insert into changing values (1)")
    local all <close> = db:prepare("select * from changing")
    assert.same({ a = 1 }, all:row())
    db:execute("alter table changing add b default 2")
    assert.same({ a = 1, b = 2 }, all:row())
    db:execute("alter table changing rename column a to c; alter table changing add d default 3")
    for row in all:rows() do assert.same({ c = 1, b = 2, d = 3 }, row) end
    db:execute("alter table changing drop b")
    local result = db:query("select * from changing")
    assert.same({ c = 1, d = 3 }, result[1])
    assert.equal("c d", table.concat(result.columns, " "))
  end))

  test("of many tasks share the database", opened(function(db)
    db:execute("create table t (i int)")
    local jobs = {}
    for i = 1, 50 do
      jobs[i] = function()
        for k = 1, 10 do db:query("insert into t values (?)", i * k) end
      end
    end
    braid.gather(jobs)
    assert.equal(500, db:value("select count(*) from t"))
  end))

  test("do not hold the loop", opened(function(db)
    local ticks = 0
    local ticker = braid.spawn(function() while true do braid.sleep(0.001) ticks = ticks + 1 end end)
    db:value("with recursive c(x) as (select 1 union all select x + 1 from c where x < 500000) select sum(x) from c")
    assert.is_true(ticks > 5, ticks)
    ticker:cancel()
  end))

  test("that are cancelled are interrupted, and those behind them not made", opened(function(db)
    db:execute("create table t (i int)")
    local start = braid.now()
    assert.is_false(braid.move_on_after(0.05, db.query, db, ENDLESS))
    assert.is_true(braid.now() - start < 3 * helper.slowness)
    local long = braid.spawn(function() return pcall(db.query, db, ENDLESS) end)
    braid.sleep(0.02)
    local behind = braid.spawn(db.query, db, "insert into t values (1)")
    braid.sleep(0.02)
    behind:cancel()
    behind:wait()
    assert.is_true(behind:cancelled())
    long:cancel()
    long:wait()
    assert.equal(0, db:value("select count(*) from t"))
    for i = 1, 100 do
      local task = braid.spawn(db.query, db, "select ?", i)
      for _ = 1, i % 4 do braid.checkpoint() end
      task:cancel()
      assert.equal(i, db:value("select ?", i))
    end
  end))

  test("can be interrupted", opened(function(db)
    local task = braid.spawn(function() return pcall(db.query, db, ENDLESS) end)
    braid.sleep(0.05)
    db:interrupt()
    local ok, err = task:result()
    assert.is_false(ok)
    assert.equal("SQLITE_INTERRUPT", err.code)
    db:interrupt()
    assert.equal(1, db:value("select 1"))
  end))
end)

describe("sqlite rows", function()
  test("come in pieces", opened(function(db)
    local count, sum = 0, 0
    for row in db:rows("with recursive c(x) as (select 1 union all select x + 1 from c where x < ?) select x from c",
      5000) do
      count, sum = count + 1, sum + row.x
    end
    assert.equal(5000, count)
    assert.equal(12502500, sum)
    for _ in db:rows("select 1 where 0") do error("none") end
    local rows <close> = db:rows("select 1 as a")
    assert.equal(1, rows().a)
    assert.is_nil(rows())
    assert.is_nil(rows())
  end))

  test("let their own task use the database, and others wait", opened(function(db)
    db:execute("create table t (i int); insert into t values (1), (2), (3)")
    local other
    for row in db:rows("select * from t order by i") do
      if row.i == 1 then
        other = braid.spawn(db.value, db, "select count(*) from t where i > 100")
        braid.sleep(0.01)
        assert.is_false(other:done())
      end
      db:query("insert into t values (?)", row.i + 100)
      if row.i >= 3 then break end
    end
    assert.equal(3, other:result())
    for row in db:rows("select 1 as a union all select 2") do
      for inner in db:rows("select ? as b", row.a) do assert.equal(row.a, inner.b) end
    end
  end))

  test("that are left early free the database", opened(function(db)
    for row in db:rows("with recursive c(x) as (select 1 union all select x + 1 from c) select x from c") do
      if row.x == 500 then break end
    end
    do
      local rows = db:rows("with recursive c(x) as (select 1 union all select x + 1 from c) select x from c")
      assert.equal(1, rows().x)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(1, db:value("select 1"))
    assert.is_false(braid.move_on_after(0.05, function()
      for _ in db:rows("select 1 where (" .. ENDLESS .. ") > 0") do error("none") end
    end))
    raises("sqlite", "SQLITE_ERROR", db.rows, db, "select nosuch")
    local seen = 0
    local ok, err = pcall(function()
      for _ in db:rows("with recursive c(x) as (select 1 union all select x + 1 from c where x < 1000) "
        .. "select case x when 500 then abs(-9223372036854775807 - 1) else x end from c") do seen = seen + 1 end
    end)
    assert.is_false(ok)
    assert.equal("sqlite", err.kind)
    assert.is_true(seen < 500)
    db:execute("create table t (i int); drop table t") -- nothing holds a lock
  end))
end)

describe("sqlite transactions", function()
  test("commit, or roll back", opened(function(db)
    db:execute("create table t (i int unique)")
    local function count() return db:value("select count(*) from t") end
    assert.equal(7, db:transaction(function(tx)
      assert.equal(db, tx)
      tx:query("insert into t values (1)")
      return 7
    end))
    local ok, err = pcall(db.transaction, db, function(tx)
      tx:query("insert into t values (2)")
      error("stop", 0)
    end)
    assert.is_false(ok)
    assert.equal("stop", err)
    assert.equal(1, count())
    raises("sqlite", "SQLITE_CONSTRAINT_UNIQUE", db.transaction, db, function(tx)
      tx:query("insert into t values (3)")
      pcall(tx.query, tx, "insert into t values (1)")
    end)
    assert.equal(1, count())
    assert.is_false(braid.move_on_after(0.05, db.transaction, db, function(tx)
      tx:query("insert into t values (4)")
      tx:query(ENDLESS)
    end))
    assert.is_false(braid.move_on_after(0.02, db.transaction, db, function(tx)
      tx:query("insert into t values (4)")
      braid.sleep(5)
    end))
    assert.equal(1, count())
    db:transaction(function(tx) tx:query("insert into t values (5)") end, "immediate")
    db:transaction(function(tx) tx:query("insert into t values (6)") end, "exclusive")
    assert.equal(3, count())
    raises("misuse", nil, db.transaction, db, function() end, "slow")
    raises("misuse", nil, db.transaction, db)
  end))

  test("have savepoints inside", opened(function(db)
    db:execute("create table t (i int unique)")
    db:transaction(function()
      db:query("insert into t values (1)")
      assert.is_false(pcall(db.transaction, db, function()
        db:query("insert into t values (2)")
        db:query("insert into t values (1)")
      end))
      db:transaction(function()
        db:query("insert into t values (3)")
        db:transaction(function() db:query("insert into t values (4)") end)
      end)
    end)
    local list = {}
    for row in db:rows("select i from t order by i") do list[#list + 1] = row.i end
    assert.same({ 1, 3, 4 }, list)
  end))

  test("let others wait until their end", opened(function(db)
    db:execute("create table t (i int)")
    local order = {}
    local first = braid.spawn(function()
      db:transaction(function()
        db:query("insert into t values (1)")
        braid.sleep(0.05)
        order[#order + 1] = "transaction"
      end)
    end)
    braid.sleep(0.01)
    assert.equal(1, db:value("select count(*) from t"))
    order[#order + 1] = "other"
    first:result()
    assert.same({ "transaction", "other" }, order)
  end))
end)

describe("sqlite lists of parameters", function()
  test("are inserted by one call, all of them or none", opened(function(db)
    db:execute "create table t (a integer primary key, b)"
    local lists = {}
    for i = 1, 2500 do lists[i] = { i, i % 3 == 0 and braid.null or "b" .. i } end
    local result = db:execute_many("insert into t values (?, ?)", lists)
    assert.equal(2500, result.affected)
    assert.equal(2500, result.last_id)
    assert.same({ 2500, 1667 }, { db:value "select count(*) from t", db:value "select count(b) from t" })
    assert.equal("b2500", db:value("select b from t where a = 2500"))
    db:execute "delete from t where a > 7"
    lists[1800] = { 7, "again" }
    local err = raises("sqlite", "SQLITE_CONSTRAINT_PRIMARYKEY", db.execute_many, db, "insert into t values (?, ?)",
      { { 8, 1 }, { 7, 2 } })
    assert.equal(2, err.list)
    assert.equal(7, db:value "select count(*) from t")
    table.move(lists, 8, 2500, 1)
    err = raises("sqlite", "SQLITE_CONSTRAINT_PRIMARYKEY", db.execute_many, db, "insert into t values (?, ?)", lists)
    assert.equal(1793, err.list)
    assert.equal(7, db:value "select count(*) from t")
  end))

  test("have names, holes, blobs, and none at all", opened(function(db)
    db:execute "create table t (a, b)"
    local insert <close> = db:prepare "insert into t values (:a, :b)"
    assert.equal(2, insert:execute_many({ { a = 1, b = 2 }, { b = sqlite.blob "x", a = 0.5 } }).affected)
    assert.equal(2, db:execute_many("insert into t values (?, ?)", { { 3, n = 2 }, { nil, 4, n = 2 } }).affected)
    assert.same({ 1, 0.5, 3 }, { db:value "select a from t where b = 2", db:value "select a from t where b = x'78'",
      db:value "select a from t where b is null" })
    assert.equal(0, db:execute_many("insert into t values (?, ?)", {}).affected)
    assert.equal(4, db:execute_many("delete from t where 1 = 1", { {}, {}, {} }).affected)
    assert.equal(0, db:execute_many("select 1", { {}, {} }).affected)
  end))

  test("belong to the transaction that they are in", opened(function(db)
    db:execute "create table t (a)"
    db:transaction(function(tx)
      tx:execute_many("insert into t values (?)", { { 1 }, { 2 } })
      assert.equal(2, tx:value "select count(*) from t")
    end)
    pcall(db.transaction, db, function(tx)
      tx:execute_many("insert into t values (?)", { { 3 } })
      error "no"
    end)
    assert.equal(2, db:value "select count(*) from t")
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = braid.spawn(function() db:execute_many("insert into t values (?)", { { i }, { i } }) end)
    end
    for _, task in ipairs(tasks) do task:result() end
    assert.equal(42, db:value "select count(*) from t")
  end))

  test("are refused with the number of the list and the value", opened(function(db)
    db:execute "create table t (a, b)"
    local err = raises("misuse", nil, db.execute_many, db, "insert into t values (?, ?)", { { 1, 2 }, { 1, print } })
    assert.matches("2 of list 2", err.message)
    err = raises("misuse", nil, db.execute_many, db, "insert into t values (?, ?)", { { 1, 2 }, 5 })
    assert.matches("list 2 of the parameters is 5", err.message, 1, true)
    err = raises("sqlite", "SQLITE_RANGE", db.execute_many, db, "insert into t values (?, ?)", { { 1, 2 }, { 1 } })
    assert.matches("2 parameters, and got 1", err.message)
    assert.equal(2, err.list)
    raises("misuse", nil, db.execute_many, db, "insert into t values (?, ?)", 5)
    raises("sqlite", "SQLITE_ERROR", db.execute_many, db, "insert into nowhere values (?)", { { 1 } })
    assert.equal(0, db:value "select count(*) from t")
  end))

  test("are interrupted by a cancel, which leaves nothing behind", opened(function(db)
    db:execute "create table t (a)"
    assert.is_false(braid.move_on_after(0.05, db.execute_many, db, ENDLESS, { {}, {} }))
    assert.equal(0, db:value "select count(*) from t")
  end))
end)

describe("sqlite files", function()
  test("are read by readers beside a transaction", opened(function(db)
    db:execute("create table t (i int); insert into t values (1)")
    local inside, go_on = braid.event(), braid.event()
    local writer = braid.spawn(db.transaction, db, function()
      db:query("insert into t values (2)")
      assert.equal(2, db:value("select count(*) from t"))
      inside:set()
      go_on:wait()
    end)
    inside:wait()
    assert.equal(1, db:value("select count(*) from t"))
    local seen = 0
    for _ in db:rows("select * from t") do seen = seen + 1 end
    assert.equal(1, seen)
    go_on:set()
    writer:result()
    assert.equal(2, db:value("select count(*) from t"))
    assert.equal(3, db:value("with x as (select 3 as i) insert into t select i from x returning i"))
    assert.equal(3, db:value("select count(*) from t"))
    db:execute("create temp table own (i int); insert into own values (9)")
    assert.equal(9, db:value("select i from own"))
    local jobs = {}
    for i = 1, 20 do jobs[i] = function() return db:value("select count(*) from t where i < ?", i) end end
    braid.gather(jobs)
    raises("sqlite", "SQLITE_ERROR", db.query, db, "select nosuch from t")
  end, { readers = 2 }))

  test("are shared with other connections, which wait for locks", opened(function(db, path)
    db:execute("create table t (i int)")
    local other <close> = assert(sqlite.open(path, { busy_timeout = 0.1 }))
    local held = braid.spawn(db.transaction, db, function() braid.sleep(0.5) end, "immediate")
    braid.sleep(0.02)
    raises("sqlite", "SQLITE_BUSY", other.query, other, "insert into t values (1)")
    local patient <close> = assert(sqlite.open(path))
    local start = braid.now()
    assert.is_false(braid.move_on_after(0.05, patient.query, patient, "insert into t values (2)"))
    assert.is_true(braid.now() - start < 0.4 * helper.slowness)
    patient:query("insert into t values (3)")
    held:result()
    assert.equal(1, db:value("select count(*) from t"))
    assert.equal("wal", db:value("pragma journal_mode"))
  end, {}))

  test("are copied while they are used", opened(function(db, path)
    db:execute("create table t (i int, x text)")
    db:query("with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000) "
      .. "insert into t select i, ? from c", ("x"):rep(500))
    local copy, steps = path .. ".copy", 0
    local use = braid.spawn(function()
      for _ = 1, 20 do db:value("select count(*) from t") end
    end)
    db:backup(copy, { pages = 20, progress = function(left, all)
      steps = steps + 1
      assert.is_true(left <= all)
    end })
    use:result()
    assert.is_true(steps > 5)
    do
      local copied <close> = assert(sqlite.open(copy, { read_only = true }))
      assert.equal(2000, copied:value("select count(*) from t"))
      raises("sqlite", "SQLITE_READONLY", copied.query, copied, "delete from t")
    end
    os.remove(copy)
    raises("sqlite", "SQLITE_CANTOPEN", db.backup, db, "/no/such/folder/copy")
    assert.is_false(braid.move_on_after(0, db.backup, db, copy, { pages = 1 }))
    for _, ending in ipairs { "", "-journal", "-wal", "-shm" } do os.remove(copy .. ending) end
    raises("misuse", nil, db.backup, db)
  end, {}))

  test("that cannot be opened are an error", function()
    run(function()
      local db, err = sqlite.open("/no/such/folder/file")
      assert.is_nil(db)
      assert.equal("sqlite", err.kind)
      assert.equal("SQLITE_CANTOPEN", err.code)
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(("no database "):rep(100))
      file:close()
      db, err = sqlite.open(path)
      assert.is_nil(db)
      assert.equal("SQLITE_NOTADB", err.code)
      os.remove(path)
      raises("misuse", nil, sqlite.open, 5)
      raises("misuse", nil, sqlite.open, "x", { reader = 1 })
      raises("misuse", nil, sqlite.open, ":memory:", { readers = 1 })
      raises("misuse", nil, sqlite.open, "x\0y")
    end)
  end)

  test("can be used in workers and scripts", opened(function(db, path)
    db:execute("create table t (i int)")
    local job = load [[
      local db <close> = assert(require("braid").sqlite.open(...))
      db:query("insert into t values (1)")
      return db:value("select count(*) from t")
    ]]
    for i, model in ipairs { "thread_pool", "process_pool" } do
      local pool <close> = braid[model](1)
      assert.equal(i, pool:submit(job, path):result())
    end
    local stdout, stderr = helper.lua_process([[
      local db <close> = assert(require("braid").sqlite.open(arg[1]))
      io.write(db:value("select count(*) from t"))
    ]], { args = { path } })
    assert.equal("2", stdout, stderr)
  end, {}))
end)

describe("a sqlite database", function()
  test("refuses calls when it is closed, and ends what runs", function()
    run(function()
      local db = assert(sqlite.open())
      local task = braid.spawn(function() return pcall(db.query, db, ENDLESS) end)
      braid.sleep(0.02)
      db:interrupt()
      task:result()
      db:close()
      db:close()
      raises("closed", nil, db.query, db, "select 1")
      raises("closed", nil, db.rows, db, "select 1")
      raises("closed", nil, db.transaction, db, function() end)
      db:interrupt()
    end)
  end)

  test("that nobody closes ends with its last user", function()
    run(function()
      for _ = 1, 20 do
        local db = assert(sqlite.open())
        db:execute("create table t (i int)")
        local rows = db:rows("with recursive c(x) as (select 1 union all select x + 1 from c) select x from c")
        rows()
      end
    end)
    collectgarbage()
    collectgarbage()
  end)

  test("needs no more memory after many calls", opened(function(db)
    local function size()
      local file <close> = assert(io.open("/proc/self/statm"))
      return select(2, file:read("n", "n")) * 4096
    end
    local function many(n) for i = 1, n do db:value("select ?", i) end end
    many(500)
    collectgarbage()
    local before = size()
    many(1500)
    collectgarbage()
    assert.is_true(helper.slowness > 1 or size() - before < 1e6, size() - before) -- sanitizers keep what is freed
  end), { deadline = 30 })
end)
