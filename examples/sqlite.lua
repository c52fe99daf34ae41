-- SPDX-License-Identifier: MIT
-- SQLite: many tasks write in transactions, readers read beside them, the loop stays free, and a backup is made.
local braid = require "braid"

if not pcall(require, "braid.sqlite_core") then
  print("This example needs SQLite (Debian: apt-get install libsqlite3-dev, then build braid again).")
  return
end

local path = os.tmpname()

local function main()
  local db <close> = assert(braid.sqlite.open(path, { readers = 2 }))
  db:execute [[
    create table page (url text primary key, size int not null, body blob);
    create index page_size on page (size);
  ]]

  -- Ten tasks write, each in a transaction of its own; another one reads meanwhile; a third counts the loop's turns.
  local turns, seen = 0, 0
  local ticker = braid.spawn(function() while true do braid.sleep(0.001) turns = turns + 1 end end)
  local reader = braid.spawn(function()
    while true do
      seen = math.max(seen, db:value("select count(*) from page"))
      braid.sleep(0.001)
    end
  end)
  local writers = {}
  for w = 1, 10 do
    writers[w] = function()
      db:transaction(function()
        for i = 1, 20 do
          db:query("insert into page values (:url, :size, :body)", {
            url = ("http://%d.example/%d"):format(w, i), size = w * i, body = braid.sqlite.blob(("\0"):rep(w * i)),
          })
        end
      end, "immediate")
    end
  end
  braid.gather(writers)
  ticker:cancel()
  reader:cancel()
  print(("%d pages; the reader saw only whole transactions: %s; the loop has turned: %s"):format(
    db:value("select count(*) from page"), tostring(seen % 20 == 0), tostring(turns > 0)))

  -- What one statement undoes, the others undo with it.
  local ok, err = pcall(db.transaction, db, function()
    db:query("update page set size = size + 1")
    db:query("insert into page (url, size) values ('http://1.example/1', 0)")
  end)
  print("the second insert:", ok, err.code)

  for row in db:rows("select url, size from page order by size desc limit 2") do print(row.url, row.size) end

  db:backup(path .. ".copy")
  local copy <close> = assert(braid.sqlite.open(path .. ".copy", { read_only = true }))
  print("the copy has " .. copy:value("select count(*) from page") .. " pages")
end

local ok, err = pcall(braid.run, main)
for _, ending in ipairs { "", "-wal", "-shm", ".copy", ".copy-wal", ".copy-shm" } do os.remove(path .. ending) end
if not ok then error(err, 0) end

--[[ prints:
200 pages; the reader saw only whole transactions: true; the loop has turned: true
the second insert:	false	SQLITE_CONSTRAINT_PRIMARYKEY
http://10.example/20	200
http://10.example/19	190
the copy has 200 pages
]]
