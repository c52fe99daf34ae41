-- SPDX-License-Identifier: MIT
-- PostgreSQL: a pool for many tasks, a transaction, rows that stream, a query that is cancelled on the server. Makes a
-- cluster of its own in a temporary folder.
local braid = require "braid"

local function output(command)
  local handle <close> = assert(io.popen(command))
  return (handle:read("a"):gsub("%s+$", ""))
end

local bin = output "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1"
if bin == "" or not pcall(require, "braid.postgres_core") then
  print("This example needs PostgreSQL and libpq (Debian: apt-get install postgresql libpq-dev).")
  return
end

-- The server refuses root, so it runs as another user there.
local folder = output "mktemp -d /tmp/braid_pg_XXXXXX"
local as = ""
if output "id -u" == "0" then
  as = "setpriv --reuid postgres --regid postgres --clear-groups "
  os.execute("chown postgres " .. folder)
end
local function server(words) assert(os.execute(("cd %s && %s%s/%s >>log 2>&1"):format(folder, as, bin, words))) end
server("initdb -D data -U braid -A trust --no-sync -E UTF8 --locale C")
local settings = "-c listen_addresses='' -c fsync=off -c unix_socket_directories=" .. folder
server(('pg_ctl -D data -w -o "%s" start'):format(settings))

local function main()
  local db <close> = braid.postgres.pool { host = folder, user = "braid", dbname = "postgres", max = 5 }
  db:execute [[
    create table account (name text primary key, balance int not null check (balance >= 0));
    insert into account select 'account ' || i, 100 from generate_series(1, 100) i;
  ]]

  -- A hundred tasks, five connections.
  local start = braid.now()
  local sum = 0
  local tasks = {}
  for i = 1, 100 do
    tasks[i] = function()
      local balance = db:value("select balance from account where name = $1", "account " .. i)
      sum = sum + balance
    end
  end
  braid.gather(tasks)
  print(("100 tasks have read %d in %.0f ms"):format(sum, (braid.now() - start) * 1000))

  -- All or nothing.
  local function transfer(from, to, amount)
    db:transaction(function(tx)
      tx:query("update account set balance = balance + $2 where name = $1", to, amount)
      tx:query("update account set balance = balance - $2 where name = $1", from, amount)
    end)
  end
  transfer("account 1", "account 2", 60)
  local ok, err = pcall(transfer, "account 1", "account 2", 60)
  print("a second transfer:", ok, err.sqlstate, err.constraint)
  print("account 2 has " .. db:value("select balance from account where name = 'account 2'"))

  -- Rows are read while they come.
  local count = 0
  for row in db:rows("select generate_series(1, 100000) as i") do count = count + row.i end
  print("the sum of 100000 rows: " .. count)

  local in_time = braid.move_on_after(0.1, db.query, db, "select pg_sleep(60)")
  print("waited for 60 s: " .. tostring(in_time) .. "; queries still running on the server: " ..
    db:value("select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"))
end

local ok, err = pcall(braid.run, main)
server("pg_ctl -D data -m immediate -w stop")
os.execute("rm -rf " .. folder)
if not ok then error(err, 0) end

--[[ prints:
100 tasks have read 10000 in 70 ms
a second transfer:	false	23514	account_balance_check
account 2 has 160
the sum of 100000 rows: 5000050000
waited for 60 s: false; queries still running on the server: 0
]]
