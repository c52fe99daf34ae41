-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.sqlite.open
local db <close> = assert(braid.sqlite.open())            -- ":memory:"
db:execute "create table page (url text primary key, size integer)"
db:query("insert into page values (?, ?)", "http://a", 100)
assert(db:value "select sum(size) from page" == 100)
for row in db:rows "select * from page" do assert(row.url == "http://a") end
