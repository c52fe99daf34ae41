-- SPDX-License-Identifier: MIT
-- braid.postgres with a real server.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local server = require "spec.postgres_server"
local braid = require "braid"
local postgres = braid.postgres
local run = helper.run

local there = server.is_there()
local function test(name, fn, opts)
  if there then return helper.test(name, fn, opts) end
  pending(name .. " (no PostgreSQL here)")
end

lazy_setup(function() if there then server.start() end end)
lazy_teardown(function() if there then server.stop() end end)

-- A test function: fn(connection) in braid.run.
local function connected(fn, more)
  return function()
    run(function()
      local db <close> = assert(postgres.connect(server.options(more)))
      fn(db)
    end)
  end
end

local function pooled(fn, more)
  return function()
    run(function()
      local pool <close> = postgres.pool(server.options(more))
      fn(pool)
    end)
  end
end

local function raises(kind, code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  if code then assert.equal(code, err.sqlstate) end
  return err
end

local soon = expect.eventually

-- The queries that the server carries out now, beside ours.
local function active(db, text)
  return db:value("select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() "
    .. "and query like '%' || $1 || '%'", text)
end

describe("postgres values", function()
  test("come as Lua has them", connected(function(db)
    local row = db:row [[
      select 1::int2 as i2, (-2147483648)::int4 as i4, 9223372036854775807 as i8, 2.5::float8 as f8,
        'NaN'::float8 as nan, '-Infinity'::float4 as inf, true as t, false as f, 'text' as text, null::int as nothing,
        '\x0001ff'::bytea as bytes, '{"a": [1, null]}'::jsonb as json, 1.50::numeric as numeric,
        '2020-01-02 03:04:05'::timestamp as moment, 3::float8 as whole, 1e300::float8 as big]]
    assert.equal(1, row.i2)
    assert.equal(-2147483648, row.i4)
    assert.equal(math.maxinteger, row.i8)
    assert.equal(2.5, row.f8)
    assert.is_true(row.nan ~= row.nan)
    assert.equal(-math.huge, row.inf)
    assert.is_true(row.t)
    assert.is_false(row.f)
    assert.equal("text", row.text)
    assert.is_nil(row.nothing)
    assert.equal("\0\1\xff", row.bytes)
    assert.equal(1, row.json.a[1])
    assert.equal(braid.null, row.json.a[2])
    assert.equal("1.50", row.numeric)
    assert.equal("2020-01-02 03:04:05", row.moment)
    assert.equal("float", math.type(row.whole))
    assert.equal(1e300, row.big)
  end))

  test("come as lists from arrays", connected(function(db)
    local row = db:row [[
      select '{1,NULL,3}'::int[] as i, '{}'::text[] as none, array['a"b', 'c\d', 'NULL', null, '', 'x,y'] as t,
        '{{1,2},{3,4}}'::int8[] as two, '[0:1]={7,8}'::int4[] as low, '{t,f}'::bool[] as b,
        array['\x00ff'::bytea] as y, array['{"k":1}'::jsonb] as j, '{1.5,NaN}'::float8[] as f]]
    assert.same({ 1, braid.null, 3 }, { table.unpack(row.i) })
    assert.equal(0, #row.none)
    assert.same({ 'a"b', "c\\d", "NULL", braid.null, "", "x,y" }, { table.unpack(row.t) })
    assert.equal(4, row.two[2][2])
    assert.equal(8, row.low[2])
    assert.is_false(row.b[2])
    assert.equal("\0\xff", row.y[1])
    assert.equal(1, row.j[1].k)
    assert.equal(1.5, row.f[1])
  end))

  test("go to the server and come back", connected(function(db)
    local function echo(cast, value) return db:value("select $1::" .. cast, value) end
    for cast, values in pairs {
      int = { 0, -5, 7.0 }, int8 = { math.mininteger, math.maxinteger }, float8 = { 0.1, -1e-300, math.huge, 3 },
      text = { "", "a'b\"c\\d", "\xc3\xa4", "line\nline" }, bool = { true, false }, bytea = { "\0\1\2'\\", "" },
    } do
      for _, value in ipairs(values) do assert.equal(value, echo(cast, value)) end
    end
    assert.equal("5", echo("text", 5))
    assert.is_nil(echo("int", nil))
    assert.is_nil(echo("int", braid.null))
    local list = echo("text[]", { "a", braid.null, 'q"\\', "" })
    assert.same({ "a", braid.null, 'q"\\', "" }, { table.unpack(list) })
    assert.equal(4, echo("int[]", { { 1, 2 }, { 3, 4 } })[2][2])
    assert.equal(0, #echo("int[]", {}))
    assert.same({ a = { 1 } }, { a = { echo("jsonb", { a = { 1, 2 } }).a[1] } })
    assert.equal("\0\xff", echo("bytea[]", { "\0\xff" })[1])
    assert.equal(2, echo("jsonb[]", { { k = 2 } })[1].k)
    assert.is_true(echo("float8", 0 / 0) ~= echo("float8", 0 / 0))
  end))

  test("have the forms that `types` gives them", connected(function(db)
    local row = db:row("select 1.5::numeric as n, 7::int8 as i, '2020-01-02'::date as d, '{1.25}'::numeric[] as l, "
      .. "'[1]'::json as j")
    assert.equal(1.5, row.n)
    assert.equal("7", row.i)
    assert.equal("day 2020-01-02", row.d)
    assert.equal(1.25, row.l[1])
    assert.equal("[1]", row.j)
    assert.equal(7, db:query({ "select 7::int8 as i", types = { int8 = "integer" } })[1].i)
  end, { types = { numeric = "float", bigint = "string", date = function(text) return "day " .. text end,
    json = "string" } }))

  test("that cannot be sent are refused before anything is", connected(function(db)
    raises("misuse", nil, db.query, db, "select $1::text", "a\0b")
    raises("misuse", nil, db.query, db, "select $1::int", {})
    raises("misuse", nil, db.query, db, "select $1::text", print)
    raises("misuse", nil, db.query, db, 5)
    raises("misuse", nil, db.query, db, "select 1\0")
    local many = {}
    for i = 1, 65536 do many[i] = i end
    raises("misuse", nil, db.query, db, { "select 1", params = many })
    assert.equal(1, db:value("select 1"))
  end))

  test("keep NULL and columns of one name where that is asked for", connected(function(db)
    local result = db:query { "select 1 as a, null as b, 2 as a", nulls = true }
    assert.equal(braid.null, result[1].b)
    assert.equal(2, result[1].a)
    result = db:query { sql = "select 1 as a, null as b, $1::int as a", params = { 2 }, as = "lists" }
    assert.same({ 1, braid.null, 2 }, result[1])
    assert.same({ "a", "b", "a" }, { table.unpack(result.columns) })
    raises("misuse", nil, db.query, db, { "select 1", nuls = true })
    raises("misuse", nil, db.query, db, { "select 1", as = "list" })
    raises("misuse", nil, db.query, db, { params = {} })
  end))
end)

describe("postgres.connect", function()
  test("takes a conninfo, a URI and a table", function()
    run(function()
      local text = ("host=%s port=%d user=braid dbname=postgres"):format(server.folder, server.port)
      local uri = ("postgresql://braid@localhost:%d/postgres"):format(server.port)
      for _, opts in ipairs { text, { conninfo = text }, uri,
        { host = "localhost", port = server.port, user = "braid", dbname = "postgres", connect_timeout = 5 } } do
        local db <close> = assert(postgres.connect(opts))
        assert.equal("braid", db:value("select current_user"))
      end
    end)
  end)

  test("refuses what it does not know", function()
    run(function()
      local err = raises("misuse", nil, postgres.connect, { hots = "x" })
      assert.is_truthy(err.message:find("did you mean 'host'", 1, true), err.message)
      raises("misuse", nil, postgres.connect, "host = = x")
      raises("misuse", nil, postgres.connect, 5)
      raises("misuse", nil, postgres.connect, { types = { numerik = "float" } })
      raises("misuse", nil, postgres.connect, { types = { numeric = "flaot" } })
    end)
  end)

  test("returns nil and the error where there is no server, database or right password", function()
    run(function()
      local db, err = postgres.connect { host = "/nowhere", user = "x" }
      assert.is_nil(db)
      assert.equal("system", err.kind)
      db, err = postgres.connect(server.options { dbname = "nosuch" })
      assert.is_nil(db)
      assert.equal("postgres", err.kind)
      assert.is_truthy(err.message:find("nosuch", 1, true))
      db, err = postgres.connect { host = "no.such.host.invalid", user = "x" }
      assert.is_nil(db)
      assert.equal("system", err.kind)
      local admin <close> = assert(postgres.connect(server.options()))
      admin:execute("create role guarded login password 'right'")
      db, err = postgres.connect { host = "127.0.0.1", port = server.port, user = "guarded", dbname = "postgres",
        password = "wrong" }
      assert.is_nil(db)
      assert.equal("postgres", err.kind)
      local good <close> = assert(postgres.connect { host = "127.0.0.1", port = server.port, user = "guarded",
        dbname = "postgres", password = "right" })
      assert.equal("guarded", good:value("select current_user"))
    end)
  end)

  test("gives up in time where nobody answers", function()
    run(function()
      local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
      local start = braid.now()
      local db, err = postgres.connect { host = "127.0.0.1", port = listener.port, user = "x", connect_timeout = 1 }
      assert.is_nil(db)
      assert.equal("timeout", err.kind)
      assert.is_true(braid.now() - start < 3 * helper.slowness)
      assert.is_false(braid.move_on_after(0.05, postgres.connect, { host = "127.0.0.1", port = listener.port }))
    end)
  end)

  test("works in a plain script, and in workers", function()
    local options = server.options()
    local job = load [[
      local db <close> = assert(require("braid").postgres.connect(...))
      return db:value("select 42")
    ]]
    assert.equal(42, job(options))
    for _, model in ipairs { "thread_pool", "process_pool" } do
      local pool <close> = braid[model](1)
      assert.equal(42, pool:submit(job, options):result())
    end
  end)

  test("makes the connection again when it was lost", connected(function(db)
    local other <close> = assert(postgres.connect(server.options()))
    local pid = db:value("select pg_backend_pid()")
    other:value("select pg_terminate_backend($1)", pid)
    soon(function() return other:value("select count(*) from pg_stat_activity where pid = $1", pid) == 0 end)
    assert.is_true(db:value("select pg_backend_pid()") ~= pid)
    local doomed = braid.spawn(function() return pcall(db.query, db, "select pg_sleep(10)") end)
    soon(function() return active(other, "pg_sleep(10)") == 1 end)
    other:query("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(10)%' "
      .. "and pid <> pg_backend_pid()")
    local ok, err = doomed:result()
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "postgres") or braid.is_error(err, "closed"), tostring(err))
    assert.equal(1, db:value("select 1"))
  end))

  test("sets statement_timeout", connected(function(db)
    raises("postgres", "57014", db.query, db, "select pg_sleep(10)")
    assert.equal(1, db:value("select 1"))
  end, { statement_timeout = 0.1 }))
end)

describe("postgres statements", function()
  test("return rows, columns, and what they have done", connected(function(db)
    db:execute("drop table if exists t; create table t (id int primary key, name text not null)")
    local result = db:query("insert into t values ($1, $2), (2, 'b')", 1, "a")
    assert.equal("INSERT", result.command)
    assert.equal(2, result.affected)
    assert.equal(0, #result)
    result = db:query("select * from t order by id")
    assert.equal("SELECT", result.command)
    assert.equal(2, result.affected)
    assert.same({ { id = 1, name = "a" }, { id = 2, name = "b" } }, { table.unpack(result) })
    assert.same({ "id", "name" }, { table.unpack(result.columns) })
    assert.same({ "id", "name" }, { table.unpack(db:query("select * from t where false").columns) })
    assert.is_nil(db:row("select * from t where id = 9"))
    assert.is_nil(db:value("select name from t where id = 9"))
    assert.equal("b", db:value("select name from t where id = $1", 2))
    assert.equal("CREATE TABLE", db:query("create temp table u (i int)").command)
    assert.equal(3, db:execute("select 1; select 2; select 3 as x")[1].x)
  end))

  test("raise what the server refuses, with all that it says", connected(function(db)
    db:execute("drop table if exists e; create table e (id int primary key, name text not null check (name <> ''))")
    local err = raises("postgres", "42703", db.query, db, "select nosuch")
    assert.equal(8, err.position)
    assert.equal("ERROR", err.severity)
    db:query("insert into e values (1, 'a')")
    err = raises("postgres", "23505", db.query, db, "insert into e values (1, 'b')")
    assert.equal("e_pkey", err.constraint)
    assert.equal("e", err.table)
    assert.is_truthy(err.detail:find("already exists", 1, true))
    assert.equal("name", raises("postgres", "23502", db.query, db, "insert into e values (2, null)").column)
    raises("postgres", "22P02", db.query, db, "select $1::int", "a text")
    raises("postgres", "22012", db.value, db, "select 1 / $1::int", 0)
    raises("postgres", "42601", db.query, db, "select 1; select 2")
    raises("postgres", "08P01", db.query, db, "select $1::int", 1, 2)
    raises("postgres", "42601", db.execute, db, "select 1; selec 2")
    assert.is_truthy(raises("postgres", nil, db.query, db, "select * from nosuch").message:find("nosuch", 1, true))
    assert.equal(1, db:value("select 1"))
  end))

  test("are kept, up to 256 of them", connected(function(db)
    for i = 1, 300 do assert.equal(i, db:value("select " .. i)) end
    for i = 1, 20 do assert.equal(i, db:value("select " .. i)) end
    local kept = db:value("select count(*) from pg_prepared_statements")
    assert.is_true(kept <= 257 and kept >= 200, kept)
  end))

  test("survive changes of their tables", connected(function(db)
    db:execute("drop table if exists s; create table s (a int)")
    db:query("insert into s values (1)")
    assert.same({ a = 1 }, db:query("select * from s")[1])
    db:execute("alter table s add column b text default 'new'")
    assert.same({ a = 1, b = "new" }, db:query("select * from s")[1])
    db:execute("alter table s alter column a type text")
    assert.same({ a = "1", b = "new" }, db:query("select * from s")[1])
    db:execute("deallocate all")
    assert.same({ a = "1", b = "new" }, db:query("select * from s")[1])
    db:execute("discard all")
    assert.same({ a = "1", b = "new" }, db:query("select * from s")[1])
  end))

  test("survive changes of their parameters' types", function()
    for _, with in ipairs { connected, pooled } do
      with(function(db)
        db:execute("drop table if exists s; create table s (a int); insert into s values (1)")
        for _ = 1, 3 do assert.equal(1, #db:query("select * from s where a = $1", 1)) end
        db:execute("alter table s alter column a type text")
        assert.equal("1", db:query("select * from s where a = $1", "1")[1].a)
        raises("postgres", "42P01", db.query, db, "select * from nosuch where a = $1", 1)
      end)()
    end
  end)

  test("survive changes within a transaction", connected(function(db)
    db:execute("drop table if exists s; create table s (a int); insert into s values (1)")
    assert.same({ a = 1 }, db:row("select * from s"))
    db:transaction(function()
      assert.same({ a = 1 }, db:row("select * from s"))
      db:query("alter table s add b text default 'new'")
      assert.same({ a = 1, b = "new" }, db:row("select * from s"))
      db:execute("alter table s drop b; alter table s add c int default 3")
      assert.same({ a = 1, c = 3 }, db:row("select * from s"))
    end)
  end))

  test("that are copies are refused, however they begin", connected(function(db)
    db:execute("drop table if exists s; create table s (a int)")
    for _, sql in ipairs { "copy s to stdout", " COPY s FROM STDIN", "copy (select 1) to STDOUT" } do
      for _, name in ipairs { "query", "row", "value", "rows" } do raises("misuse", nil, db[name], db, sql) end
    end
    for _, sql in ipairs { "/* a */ copy s to stdout", "-- b\ncopy s from stdin" } do
      expect.contains(raises("closed", nil, db.query, db, sql).message, "copy_in and copy_out")
      assert.equal(1, db:value("select 1"))
      local _, err = pcall(function() for _ in db:rows(sql) do error("a row") end end)
      expect.contains(err.message, "copy_in and copy_out")
      assert.equal(2, db:value("select 2"))
    end
  end))

  test("of several tasks on one connection queue", connected(function(db)
    local jobs = {}
    for i = 1, 20 do
      jobs[i] = function()
        for k = 1, 10 do assert.equal(i * k, db:value("select $1::int * $2::int", i, k)) end
      end
    end
    braid.gather(jobs)
  end))

  test("that are cancelled are cancelled on the server", connected(function(db)
    local other <close> = assert(postgres.connect(server.options()))
    local pid = db:value("select pg_backend_pid()")
    local start = braid.now()
    assert.is_false(braid.move_on_after(0.1, db.query, db, "select pg_sleep(60) as marked"))
    assert.is_true(braid.now() - start < 5)
    assert.equal(0, active(other, "marked"))
    assert.equal(pid, db:value("select pg_backend_pid()"))
    for i = 1, 30 do
      local task = braid.spawn(db.query, db, "select pg_sleep(60)")
      for _ = 1, i % 5 do braid.checkpoint() end
      if i % 3 == 0 then braid.sleep(0.001 * (i % 4)) end
      task:cancel()
      task:wait()
    end
    assert.equal(pid, db:value("select pg_backend_pid()"))
    local ok, err = pcall(braid.timeout, 0.1, db.query, db, "select pg_sleep(60)")
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end))

  test("end with kind closed when the connection is closed", function()
    run(function()
      local db = assert(postgres.connect(server.options()))
      local task = braid.spawn(function() return pcall(db.query, db, "select pg_sleep(60)") end)
      braid.sleep(0.05)
      db:close()
      local ok, err = task:result()
      assert.is_false(ok)
      assert.equal("closed", err.kind)
      local other <close> = assert(postgres.connect(server.options()))
      soon(function() return active(other, "pg_sleep(60") == 0 end)
      raises("closed", nil, db.query, db, "select 1")
      raises("closed", nil, db.listen, db, "x")
      raises("closed", nil, db.transaction, db, function() end)
    end)
  end)
end)

describe("postgres rows", function()
  test("stream", connected(function(db)
    local count, sum = 0, 0
    for row in db:rows("select i, i::text as t from generate_series(1, $1) i", 10000) do
      count, sum = count + 1, sum + row.i
      assert.equal(tostring(row.i), row.t)
    end
    assert.equal(10000, count)
    assert.equal(50005000, sum)
    assert.equal(1, db:value("select 1"))
    for _ in db:rows("select 1 where false") do error("none") end
  end))

  test("need little memory", connected(function(db)
    local function size()
      local file <close> = assert(io.open("/proc/self/statm"))
      return select(2, file:read("n", "n")) * 4096
    end
    for _ in db:rows("select i, repeat('x', 100) as t from generate_series(1, 5000) i") do end -- luacheck: ignore
    collectgarbage()
    local before, most = size(), 0
    local n = 0
    for _ in db:rows("select i, repeat('x', 100) as t from generate_series(1, 100000) i") do
      n = n + 1
      if n % 10000 == 0 then most = math.max(most, size()) end
    end
    assert.equal(100000, n)
    assert.is_true(helper.slowness > 1 or most - before < 5e6, most - before) -- sanitizers keep what is freed
  end, nil), { deadline = 30 })

  test("that are left early are cancelled on the server", connected(function(db)
    local pid = db:value("select pg_backend_pid()")
    for row in db:rows("select generate_series(1, 100000000) as i") do
      if row.i == 300 then break end
    end
    for row in db:rows("select i from generate_series(1, 10) i") do
      if row.i == 3 then break end
    end
    assert.is_false(braid.move_on_after(0.1, function()
      for _ in db:rows("select pg_sleep(0.02) from generate_series(1, 1000)") do end -- luacheck: ignore
    end))
    assert.equal(pid, db:value("select pg_backend_pid()"))
  end))

  test("raise the error that comes in the middle", connected(function(db)
    local seen = 0
    local ok, err = pcall(function()
      for _ in db:rows("select 1 / (1000 - i) as x from generate_series(1, 2000) i") do seen = seen + 1 end
    end)
    assert.is_false(ok)
    assert.equal("22012", err.sqlstate)
    assert.equal(999, seen)
    assert.equal(1, db:value("select 1"))
    raises("postgres", "42P01", db.rows, db, "select * from nosuch")
    raises("misuse", nil, function()
      for _ in db:rows("select 1") do db:query("select 2") end
    end)
    assert.equal(1, db:value("select 1"))
    local types = { numeric = function() error("mine", 0) end }
    local strict <close> = assert(postgres.connect(server.options { types = types }))
    seen = 0
    ok, err = pcall(function()
      local many = "select case when i > 300 then 1.5 end as x from (select generate_series(1, 100000000) i) s"
      for _ in strict:rows(many) do seen = seen + 1 end
    end)
    assert.is_false(ok)
    assert.equal("mine", err)
    assert.equal(300, seen)
    assert.is_false((pcall(function() for _ in strict:rows("select 1.5") do error("a row") end end)))
    assert.equal(1, strict:value("select 1"))
    assert.equal(1, db:value("select 1"))
  end))

  test("that nobody goes over to the end give their connection back", connected(function(db)
    do
      local rows = db:rows("select i from generate_series(1, 100000) i")
      assert.equal(1, rows().i)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(1, db:value("select 1"))
    local rows <close> = db:rows("select 1 as a")
    assert.equal(1, rows().a)
    assert.is_nil(rows())
    assert.is_nil(rows())
    assert.equal(2, db:value("select 2"))
  end))
end)

describe("postgres transactions", function()
  local function table_t(db)
    db:execute("drop table if exists x; create table x (i int unique deferrable initially deferred)")
  end
  local function count(db) return db:value("select count(*) from x") end

  test("commit, or roll back", connected(function(db)
    table_t(db)
    assert.equal(7, db:transaction(function(tx)
      tx:query("insert into x values (1)")
      db:query("insert into x values (2)") -- its own task: the same transaction
      return 7
    end))
    assert.equal(2, count(db))
    local ok, err = pcall(db.transaction, db, function(tx)
      tx:query("insert into x values (3)")
      error("stop", 0)
    end)
    assert.is_false(ok)
    assert.equal("stop", err)
    assert.equal(2, count(db))
    raises("postgres", "42703", db.transaction, db, function(tx)
      tx:query("insert into x values (4)")
      pcall(tx.query, tx, "select nosuch")
      return "unseen"
    end)
    assert.equal(2, count(db))
    raises("postgres", "23505", db.transaction, db, function(tx) tx:query("insert into x values (1)") end)
    assert.equal(2, count(db))
    local kept
    db:transaction(function(tx) kept = tx end)
    raises("misuse", nil, kept.query, kept, "select 1")
  end))

  test("have savepoints inside", connected(function(db)
    table_t(db)
    db:transaction(function(tx)
      tx:query("insert into x values (1)")
      local ok = pcall(tx.transaction, tx, function(inner)
        inner:query("insert into x values (2)")
        inner:query("select nosuch")
      end)
      assert.is_false(ok)
      tx:transaction(function(inner)
        inner:query("insert into x values (3)")
        tx:transaction(function(third) third:query("insert into x values (4)") end)
        pcall(inner.transaction, inner, function(third) third:query("insert into x values (5)") error("no") end)
      end)
    end)
    assert.same({ 1, 3, 4 }, (function()
      local list = {}
      for row in db:rows("select i from x order by i") do list[#list + 1] = row.i end
      return list
    end)())
  end))

  test("let others wait until their end", connected(function(db)
    table_t(db)
    local order = {}
    local first = braid.spawn(function()
      db:transaction(function(tx)
        tx:query("insert into x values (1)")
        braid.sleep(0.05)
        order[#order + 1] = "transaction"
      end)
    end)
    braid.sleep(0.01)
    local n = count(db)
    order[#order + 1] = "other"
    first:result()
    assert.equal(1, n)
    assert.same({ "transaction", "other" }, order)
  end))

  test("that are cancelled are rolled back, and the connection is good", connected(function(db)
    table_t(db)
    local pid = db:value("select pg_backend_pid()")
    assert.is_false(braid.move_on_after(0.05, db.transaction, db, function(tx)
      tx:query("insert into x values (1)")
      tx:query("select pg_sleep(60)")
    end))
    assert.is_false(braid.move_on_after(0.05, db.transaction, db, function(tx)
      tx:query("insert into x values (1)")
      braid.sleep(60)
    end))
    assert.equal(0, count(db))
    assert.equal(pid, db:value("select pg_backend_pid()"))
    raises("postgres", "57014", db.transaction, db, function(tx)
      tx:query("insert into x values (1)")
      assert.is_false(braid.move_on_after(0.05, tx.query, tx, "select pg_sleep(60)"))
    end)
    assert.equal(0, count(db))
  end))

  test("are run again after serialization failures", pooled(function(pool)
    pool:execute("drop table if exists c; create table c (n int); insert into c values (0)")
    local runs, jobs = 0, {}
    for i = 1, 4 do
      jobs[i] = function()
        pool:transaction(function(tx)
          runs = runs + 1
          local n = tx:value("select n from c")
          braid.sleep(0.005)
          tx:query("update c set n = $1", n + 1)
        end, { isolation = "serializable", retry = 50 })
      end
    end
    braid.gather(jobs)
    assert.equal(4, pool:value("select n from c"))
    assert.is_true(runs > 4)
  end))

  test("refuse options that they do not know", connected(function(db)
    raises("misuse", nil, db.transaction, db, function() end, { isolation = "snapshot" })
    raises("misuse", nil, db.transaction, db, function() end, { isolatoin = "x" })
    raises("misuse", nil, db.transaction, db)
    assert.equal("serializable", db:transaction(function(tx)
      return tx:value("show transaction_isolation")
    end, { isolation = "serializable", read_only = true }))
  end))
end)

describe("postgres copies", function()
  test("go both ways", connected(function(db)
    db:execute("drop table if exists k; create table k (a int, b text)")
    assert.equal(2, db:copy_in("copy k from stdin", "1\tone\n2\ttwo\n"))
    local i = 2
    assert.equal(1000, db:copy_in("copy k from stdin", function()
      i = i + 1
      if i <= 1002 then return { i, i % 2 == 0 and braid.null or "tab\tnew\nback\\" } end
    end))
    assert.equal("tab\tnew\nback\\", db:value("select b from k where a = 3"))
    assert.is_nil(db:value("select b from k where a = 4"))
    local lines = {}
    for line in db:copy_out("copy (select * from k where a < 4 order by a) to stdout (format csv)") do
      lines[#lines + 1] = line
    end
    assert.equal("1,one\n", lines[1])
    assert.equal(3, #lines)
    local large = ("x"):rep(3000000)
    assert.equal(1, db:copy_in("copy k (b) from stdin", large .. "\n"))
    assert.equal(3000000, db:value("select max(length(b)) from k"))
  end))

  test("that fail or are cancelled leave nothing, and a good connection", connected(function(db)
    db:execute("drop table if exists k; create table k (a int, b text)")
    raises("postgres", "22P02", db.copy_in, db, "copy k from stdin", "no number\tx\n")
    local ok, err = pcall(db.copy_in, db, "copy k from stdin", function() error("source", 0) end)
    assert.is_false(ok)
    assert.equal("source", err)
    assert.is_false(braid.move_on_after(0.05, db.copy_in, db, "copy k from stdin", function()
      braid.sleep(0.01)
      return "1\tx\n"
    end))
    assert.equal(0, db:value("select count(*) from k"))
    raises("misuse", nil, db.copy_in, db, "copy k from stdin", function() db:query("select 1") end)
    raises("misuse", nil, db.copy_in, db, "select 1", "")
    raises("misuse", nil, db.copy_out, db, "select 1")
    raises("misuse", nil, db.execute, db, "copy k from stdin")
    raises("misuse", nil, db.execute, db, "copy k to stdout")
    raises("misuse", nil, db.copy_in, db, "copy k to stdout", "")
    raises("misuse", nil, db.copy_out, db, "copy k from stdin")
    raises("postgres", "42P01", db.copy_in, db, "copy nosuch from stdin", "")
    raises("postgres", "42P01", db.copy_out, db, "copy nosuch to stdout")
    for _ in db:copy_out("copy (select i from generate_series(1, 1000000) i) to stdout") do break end -- luacheck: ignore
    assert.is_false(braid.move_on_after(0.05, function()
      for _ in db:copy_out("copy (select pg_sleep(0.01) from generate_series(1, 10000) i) to stdout") do end -- luacheck: ignore
    end))
    assert.equal(1, db:value("select 1"))
    assert.equal(0, db:value("select count(*) from k"))
  end))
end)

describe("postgres notifications", function()
  test("come in order, and end with their connection", connected(function(db)
    local items <close> = db:listen('Weird "channel"')
    db:notify('Weird "channel"', "one")
    db:notify('Weird "channel"')
    local item = items()
    assert.equal("one", item.payload)
    assert.equal('Weird "channel"', item.channel)
    assert.equal(db:value("select pg_backend_pid()"), item.pid)
    assert.equal("", items().payload)
    assert.is_false(braid.move_on_after(0.02, items))
    db:notify('Weird "channel"', "three")
    assert.equal("three", items().payload)
    local waits = braid.spawn(items)
    braid.sleep(0.01)
    items:close()
    assert.is_nil(waits:result())
    local lost <close> = db:listen("lost")
    local reader = braid.spawn(function() return pcall(lost) end)
    braid.sleep(0.02)
    db:query("select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN %'")
    local ok, err = reader:result()
    assert.is_false(ok)
    assert.equal("closed", err.kind)
  end))
end)

describe("postgres pipelines", function()
  test("return futures and all results", connected(function(db)
    local results = db:pipeline(function(p)
      local first = p:query("select 1 as a")
      p:value("select $1::int", 2)
      p:row("select 3 as c where false")
      assert.equal(1, first:result()[1].a)
    end)
    assert.equal(1, results[1][1].a)
    assert.equal(2, results[2])
    assert.equal(braid.null, results[3])
    results = db:pipeline(function(p) for i = 1, 5000 do p:value("select $1::int", i) end end)
    assert.equal(5000, #results)
    assert.equal(4999, results[4999])
  end), { deadline = 30 })

  test("return futures also of statements that are wrong", connected(function(db)
    raises("postgres", "42601", db.pipeline, db, function(p)
      local wrong = p:query("selct")
      assert.equal(2, p:value("select 2"):result())
      raises("postgres", "42601", wrong.result, wrong)
    end)
    raises("misuse", nil, db.pipeline, db, function() db:query("select 1") end)
    assert.equal(1, db:value("select 1"))
  end))

  test("raise the first failure, after all others are done", connected(function(db)
    raises("postgres", "22012", db.pipeline, db, function(p)
      p:value("select 1")
      p:value("select 1 / $1::int", 0)
      p:value("select 2")
    end)
    local ok, err = pcall(db.pipeline, db, function(p) p:value("select 1") error("mine", 0) end)
    assert.is_false(ok)
    assert.equal("mine", err)
    assert.is_false(braid.move_on_after(0.05, db.pipeline, db, function(p)
      for _ = 1, 5 do p:query("select pg_sleep(30)") end
    end))
    assert.equal(1, db:value("select 1"))
  end))
end)

describe("postgres.pool", function()
  test("shares its connections", pooled(function(pool)
    local jobs = {}
    for i = 1, 64 do
      jobs[i] = function()
        for k = 1, 30 do assert.equal(i * 100 + k, pool:value("select $1::int", i * 100 + k)) end
      end
    end
    braid.gather(jobs)
    assert.is_true(pool:stats().open <= 4)
  end, { max = 4 }))

  test("does not let a slow statement hold up others", pooled(function(pool)
    for _ = 1, 5 do pool:value("select 1") end
    local slow = braid.spawn(pool.query, pool, "select pg_sleep(0.5)")
    braid.sleep(0.05)
    local start = braid.now()
    for _ = 1, 20 do pool:value("select 1") end
    assert.is_true(braid.now() - start < 0.3 * helper.slowness)
    slow:result()
  end, { max = 2 }))

  test("is fair, and waits as long as it may", pooled(function(pool)
    local held = braid.event()
    local first = braid.spawn(pool.transaction, pool, function(tx) tx:query("select 1") held:wait() end)
    braid.sleep(0.05)
    raises("timeout", nil, pool.query, pool, "select 2")
    local order, waits = {}, {}
    for i = 1, 3 do
      waits[i] = braid.spawn(function()
        pool:value("select $1::int", i)
        order[#order + 1] = i
      end)
      braid.checkpoint()
    end
    braid.sleep(0.02)
    held:set()
    for i = 1, 3 do waits[i]:result() end
    first:result()
    assert.same({ 1, 2, 3 }, order)
  end, { max = 1, timeout = 0.1 }))

  test("gives exclusive users a connection although quick statements never stop", pooled(function(pool)
    local stop = false
    local busy = {}
    for i = 1, 8 do
      busy[i] = braid.spawn(function() while not stop do pool:value("select 1") end end)
    end
    braid.sleep(0.05)
    for _ = 1, 5 do
      braid.timeout(3 * helper.slowness, function()
        pool:transaction(function(tx) assert.equal(1, tx:value("select 1")) end)
        for row in pool:rows("select 2 as a") do assert.equal(2, row.a) end
      end)
    end
    stop = true
    for i = 1, 8 do busy[i]:result() end
  end, { max = 2 }))

  test("keeps its connections good through cancels, errors and open transactions", pooled(function(pool)
    for i = 1, 20 do
      braid.move_on_after(0.01, pool.query, pool, "select pg_sleep(30)")
      raises("postgres", "42703", pool.query, pool, "select nosuch")
      braid.move_on_after(0.005, pool.transaction, pool, function(tx) tx:query("select pg_sleep(30)") end)
      if i % 5 == 0 then pool:execute("begin; select 1") end
      assert.equal("idle", pool:transaction(function() return "idle" end))
    end
    local stats = pool:stats()
    assert.equal(0, stats.leased)
    assert.is_true(stats.open <= 2)
  end, { max = 2 }), { deadline = 20 })

  test("survives changes of tables under quick statements", pooled(function(pool)
    pool:execute("drop table if exists q; create table q (a int); insert into q values (1)")
    for _ = 1, 10 do pool:query("select * from q") end
    pool:execute("alter table q add b int default 2")
    local jobs = {}
    for i = 1, 10 do jobs[i] = function() return pool:query("select * from q")[1].b end end
    for _, b in ipairs(braid.gather(jobs)) do assert.equal(2, b) end
  end, { max = 3 }))

  test("has no connection left after close, and refuses calls", function()
    run(function()
      local admin <close> = assert(postgres.connect(server.options()))
      local pool = postgres.pool(server.options { max = 3, application_name = "closed pool" })
      local jobs = {}
      for i = 1, 9 do jobs[i] = function() pool:value("select 1") end end
      braid.gather(jobs)
      pool:close()
      raises("closed", nil, pool.query, pool, "select 1")
      soon(function()
        return admin:value("select count(*) from pg_stat_activity where application_name = 'closed pool'") == 0
      end)
    end)
  end)

  test("cancels on the server what others wait behind, and loses none of them", pooled(function(pool)
    pool:execute("drop table if exists l; create table l (id int primary key, n int)")
    pool:execute("insert into l values (1, 0), (2, 0)")
    local update = "update l set n = n + 1 where id = $1"
    for _ = 1, 10 do pool:query(update, 2) pool:value("select $1::int", 0) end
    local other <close> = assert(postgres.connect(server.options()))
    local locked, held = braid.event(), braid.event()
    local holder = braid.spawn(other.transaction, other, function(tx)
      tx:query("select * from l where id = 1 for update")
      locked:set()
      held:wait()
    end)
    locked:wait()
    local blocked = braid.spawn(pool.query, pool, update, 1)
    local behind = {}
    for i = 1, 10 do behind[i] = braid.spawn(pool.value, pool, "select $1::int", i) end
    braid.sleep(0.05)
    blocked:cancel()
    blocked:wait()
    for i = 1, 10 do assert.equal(i, behind[i]:result(5 * helper.slowness)) end
    held:set()
    holder:result()
    assert.equal(0, pool:value("select n from l where id = 1"))
  end, { max = 1 }))

  test("need not be closed before the script ends", function()
    local _, stderr, code = helper.lua_process([[
      local braid = require "braid"
      local pool = braid.postgres.pool(arg[1])
      braid.run(function()
        local jobs = {}
        for i = 1, 20 do jobs[i] = function() for _ = 1, 10 do pool:value("select 1") end end end
        braid.gather(jobs)
      end)
    ]], { args = { ("host=%s port=%d user=braid dbname=postgres"):format(server.folder, server.port) } })
    assert.equal("", stderr)
    assert.equal(0, code)
  end)

  test("raises where there is no server", function()
    run(function()
      local pool <close> = postgres.pool { host = "/nowhere", user = "x" }
      raises("system", nil, pool.query, pool, "select 1")
    end)
  end)
end)

describe("postgres and fork", function()
  test("a child's end does not end its parent's connections", function()
    local conninfo = ("host=%s port=%d user=braid dbname=postgres"):format(server.folder, server.port)
    local out, err, code = helper.lua_process(([[
      local braid = require "braid"
      local forker = require "forker"
      braid.run(function()
        local db = assert(braid.postgres.connect(%q))
        local pool = assert(braid.postgres.pool { conninfo = %q, max = 2 })
        pool:value "select 1"
        for _, closes in ipairs { true, false } do
          local pid = forker.fork()
          if pid == 0 then
            local ok, reason = pcall(db.value, db, "select 1")
            io.stdout:write(tostring(ok), " ", tostring(braid.is_error(reason, "misuse")), "\n")
            io.stdout:flush()
            pcall(db.close, db)
            db, pool = nil, nil
            collectgarbage()
            os.exit(7, closes)
          end
          print(forker.wait(pid), db:value "select 2", pool:value "select 3")
        end
        db:close()
        pool:close()
      end)
    ]]):format(conninfo, conninfo), { env = { ASAN_OPTIONS = "detect_leaks=0" } })
    assert.equal("", err)
    assert.equal(("false true\n7\t2\t3\n"):rep(2), out)
    assert.equal(0, code)
  end)
end)

describe("postgres over TLS", function()
  test("is the same, and checks the server's certificate", function()
    local pem = certificates.open()
    server.use_tls(pem "server.pem", pem "server.key")
    run(function()
      local place = { host = "localhost", port = server.port, user = "braid", dbname = "postgres",
        sslmode = "verify-full", sslrootcert = pem "ca.pem" }
      local db <close> = soon(function() return postgres.connect(place) end)
      assert.is_true(db:value("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
      local size = 0
      for row in db:rows("select repeat('x', 1000) as t from generate_series(1, 3000)") do size = size + #row.t end
      assert.equal(3000000, size)
      assert.is_false(braid.move_on_after(0.05, db.query, db, "select pg_sleep(30)"))
      assert.equal(1, db:value("select 1"))
      place.sslrootcert = pem "stranger.pem"
      local refused, err = postgres.connect(place)
      assert.is_nil(refused)
      assert.is_truthy(err.message:find("certificate", 1, true), err.message)
    end)
    certificates.close()
  end)
end)

describe("a postgres server", function()
  test("that is stopped holds nobody longer than it may", connected(function(db)
    local pid = db:value("select pg_backend_pid()")
    local other <close> = assert(postgres.connect(server.options()))
    os.execute("kill -STOP " .. pid)
    local start = braid.now()
    assert.is_false(braid.move_on_after(0.1, db.query, db, "select 1 as stopped"))
    assert.is_true(braid.now() - start < 8 * helper.slowness)
    os.execute("kill -CONT " .. pid)
    assert.equal(1, other:value("select 1"))
    assert.equal(1, db:value("select 1"))
  end), { deadline = 30 })

  test("that restarts is found again", pooled(function(pool)
    for _ = 1, 5 do pool:value("select 1") end
    local doomed = {}
    for i, call in ipairs {
      function() pool:query("select pg_sleep(30)") end,
      function() pool:transaction(function(tx) tx:query("select 1") tx:query("select pg_sleep(30)") end) end,
      function() for _ in pool:rows("select pg_sleep(0.01) from generate_series(1, 10000)") do end end, -- luacheck: ignore
      function()
        for _ in pool:copy_out("copy (select pg_sleep(0.01) from generate_series(1, 10000)) to stdout") do end -- luacheck: ignore
      end,
      function() pool:pipeline(function(p) p:query("select pg_sleep(30)") p:query("select 1") end) end,
      function() pool:listen("x")() end,
    } do
      doomed[i] = braid.spawn(function() return pcall(call) end)
    end
    braid.sleep(0.1)
    server.down("immediate")
    for i, task in ipairs(doomed) do
      local ok, err = task:result()
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "closed") or braid.is_error(err, "postgres"), i .. tostring(err))
    end
    raises("system", nil, pool.query, pool, "select 1")
    server.up()
    assert.equal(1, pool:value("select 1"))
    for _ = 1, 10 do pool:value("select 1") end
  end, { max = 10 }), { deadline = 30 })
end)
