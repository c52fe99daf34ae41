-- SPDX-License-Identifier: MIT
-- A service: items in SQLite, users with sessions, photos that are uploaded, a chat by WebSocket, documents, metrics.
--   SERVICE_SECRET=... SERVICE_FOLDER=... braid serve examples/service.lua --port 8000
--   lua5.4 examples/service.lua          runs the tests at the end of this file
local braid = require "braid"
local web = braid.web

local SCHEMA = [[
  pragma journal_mode = wal;
  create table if not exists user (id integer primary key, name text unique not null, password text not null);
  create table if not exists item (id integer primary key, owner int not null references user,
    name text unique not null, price real not null, kind text not null, made text not null, photo text);
]]

-- ---- passwords ------------------------------------------------------------------------------------------------------

-- SHA-512 crypt with many rounds, by the program openssl: it computes in a process of its own, so the loop is free.
local function crypt(password, salt)
  local command = { "openssl", "passwd", "-6", "-stdin" }
  if salt then table.move({ "-salt", salt }, 1, 2, #command + 1, command) end
  local result = assert(braid.process.run(command, { stdin = password .. "\n" }))
  return assert(result.code == 0 and result.stdout:match "^(%S+)")
end

local function is_password(password, stored)
  return crypt(password, stored:match "^%$6%$([^$]+)%$") == stored
end

-- ---- what requests and answers are ----------------------------------------------------------------------------------

local credentials = {
  name = { "string", min = 2, max = 30, pattern = "^[%w_.-]+$", example = "ada" },
  password = { "string", min = 8, max = 100, format = "password", example = "correct horse" },
}

local new_item = { "object", title = "NewItem", fields = {
  name = { "string", min = 1, max = 60, example = "Hammer" },
  price = { "number", min = 0, max = 1e6, example = 12.5 },
  kind = { "string", enum = { "tool", "toy", "book" }, default = "tool" },
} }

local item = { "object", title = "Item", fields = {
  id = "integer", owner = "string", name = "string", price = "number", kind = "string",
  made = { "string", format = "date-time" }, photo = { "string?", description = "the path of its picture" },
} }

local failure = { error = "string" }

local ITEMS = "select item.*, user.name as owner from item join user on user.id = item.owner "

-- ---- users ----------------------------------------------------------------------------------------------------------

-- Middleware for routes of users only.
local function members(request, next)
  if not request.session.user then web.abort(401, "log in first") end
  return next(request)
end

local function add_users(app, state)
  -- Attempts of one address, so that passwords cannot be tried out.
  local slowly = web.limiter { rate = 20, per = 60 }

  app:post("/users", {
    summary = "Register", tags = { "users" }, body = { "object", title = "Credentials", fields = credentials },
    use = { slowly }, response = { [201] = { id = "integer", name = "string" }, [409] = failure }, status = 201,
  }, function(request)
    local user = request.valid.body
    local ok, err = pcall(state.db.query, state.db, "insert into user (name, password) values (?, ?)", user.name,
      crypt(user.password))
    if not ok and braid.is_error(err, "sqlite") and err.code == "SQLITE_CONSTRAINT_UNIQUE" then
      web.abort(409, "this name is taken")
    end
    if not ok then error(err, 0) end
    return { id = state.db:value("select id from user where name = ?", user.name), name = user.name }
  end)

  app:post("/login", {
    summary = "Begin a session", tags = { "users" }, form = { name = "string", password = credentials.password },
    use = { slowly }, response = { [200] = { name = "string" }, [401] = failure },
  }, function(request)
    local form = request.valid.form
    local user = state.db:row("select * from user where name = ?", form.name)
    if not (user and is_password(form.password, user.password)) then web.abort(401, "wrong name or password") end
    request.session.user, request.session.name = user.id, user.name
    return { name = user.name }
  end)

  app:post("/logout", { summary = "End the session", tags = { "users" }, status = 204 }, function(request)
    for key in pairs(request.session) do request.session[key] = nil end
  end)

  app:get("/me", { summary = "Who am I", tags = { "users" }, use = { members }, response = { name = "string" } },
    function(request) return { name = request.session.name } end)
end

-- ---- items ----------------------------------------------------------------------------------------------------------

local function item_of(state, id)
  return state.db:row(ITEMS .. "where item.id = ?", id) or web.abort(404, "no such item")
end

-- The item, which must be the user's own.
local function own_item(state, request)
  local id = request.params.id
  local owner = state.db:value("select owner from item where id = ?", id)
  if not owner then web.abort(404, "no such item") end
  if owner ~= request.session.user then web.abort(403, "this item is somebody else's") end
  return id
end

local function add_items(items, state)
  items:get("", {
    summary = "Find items", tags = { "items" }, response = { "array", items = item },
    query = {
      q = { "string?", max = 60, description = "a part of the name" },
      kind = { "array?", items = new_item.fields.kind },
      limit = { "integer", min = 1, max = 100, default = 20 }, after = { "integer", min = 0, default = 0 },
    },
  }, function(request)
    local query = request.valid.query
    return state.db:query(ITEMS .. [[where item.id > :after and instr(item.name, :q) > 0
        and (:kinds = '' or instr(:kinds, ',' || kind || ',') > 0) order by item.id limit :limit]], {
      after = query.after, limit = query.limit, q = query.q or "",
      kinds = query.kind and "," .. table.concat(query.kind, ",") .. "," or "",
    })
  end)

  items:post("", {
    summary = "Make an item", tags = { "items" }, body = new_item, use = { members }, status = 201,
    response = { [201] = item, [409] = failure },
  }, function(request)
    local made = request.valid.body
    return state.db:transaction(function(db)
      if db:value("select 1 from item where name = ?", made.name) then web.abort(409, "there is such an item") end
      db:query("insert into item (owner, name, price, kind, made) values (?, ?, ?, ?, ?)", request.session.user,
        made.name, made.price, made.kind, os.date "!%Y-%m-%dT%H:%M:%SZ")
      return item_of({ db = db }, db:value "select last_insert_rowid()")
    end, "immediate")
  end)

  items:get("/{id:int}", { summary = "One item", tags = { "items" }, response = { [200] = item, [404] = failure } },
    function(request) return item_of(state, request.params.id) end)

  items:patch("/{id:int}", {
    summary = "Change an item", tags = { "items" }, use = { members }, response = { [200] = item, [403] = failure },
    body = { name = { "string?", min = 1, max = 60 }, price = { "number?", min = 0, max = 1e6 } },
  }, function(request)
    local id, change = own_item(state, request), request.valid.body
    state.db:query("update item set name = coalesce(?, name), price = coalesce(?, price) where id = ?",
      change.name or braid.null, change.price or braid.null, id)
    return item_of(state, id)
  end)

  items:delete("/{id:int}", { summary = "Remove an item", tags = { "items" }, use = { members }, status = 204 },
    function(request) state.db:query("delete from item where id = ?", own_item(state, request)) end)

  items:put("/{id:int}/photo", {
    summary = "Upload a photo", tags = { "items" }, use = { members }, stream_body = true, max_body = 50 << 20,
    form = { photo = { "string", format = "binary" } }, response = { [200] = item, [415] = failure },
  }, function(request)
    local id = own_item(state, request)
    for file in request:files() do
      local kind = file.type:match "^image/(%l+)$"
      if kind ~= "png" and kind ~= "jpeg" then web.abort(415, "a PNG or JPEG is expected") end
      local name = ("%d.%s"):format(id, kind)
      assert(file:save(state.folder .. "/photos/" .. name))
      state.db:query("update item set photo = ? where id = ?", "/photos/" .. name, id)
    end
    return item_of(state, id)
  end)
end

-- ---- the chat -------------------------------------------------------------------------------------------------------

-- The members of each room. A message goes to all of this process; a member that does not read loses its connection.
local function add_chat(app)
  local rooms = {}

  local function tell(room, message)
    local text = braid.json.encode(message)
    for ws in pairs(room) do
      braid.spawn(function()
        if not ws:send(text, 5) then ws:close(1008, "too slow", 0) end
      end)
    end
  end

  app:websocket("/chat/{room}", { use = { members }, max_message = 4096 }, function(ws, request)
    local name, place = request.session.name, request.params.room
    local room = rooms[place] or {}
    rooms[place], room[ws] = room, true
    local _ <close> = setmetatable({}, { __close = function()
      room[ws] = nil
      tell(room, { kind = "left", name = name })
      if not next(room) then rooms[place] = nil end
    end })
    tell(room, { kind = "joined", name = name })
    for text, kind in ws:messages() do
      if kind == "text" then tell(room, { kind = "said", name = name, text = text }) end
    end
  end)
end

-- ---- the application ------------------------------------------------------------------------------------------------

local function make_app(folder, secret)
  local app, state = web.app(), { folder = folder }
  app:on_start(function()
    assert(braid.file.mkdir(folder .. "/photos", { parents = true }))
    state.db = assert(braid.sqlite.open(folder .. "/service.db", { readers = 2 }))
    state.db:execute(SCHEMA)
  end)
  app:on_stop(function() state.db:close() end)
  app:use(web.compress())
  app:use(web.sessions { secret = secret, max_age = 86400 })
  app:openapi { title = "Service", version = "1.0", description = "Items, their owners, and a chat." }
  app:metrics()
  app:health("/health", function() return { items = state.db:value "select count(*) from item" } end)
  add_users(app, state)
  app:group("/items", function(items) add_items(items, state) end)
  add_chat(app)
  braid.file.mkdir(folder .. "/photos", { parents = true })
  app:static("/photos", folder .. "/photos", { max_age = 60 })
  return app
end

if not (arg and arg[0] and arg[0]:find "service%.lua$") then
  local secret = os.getenv "SERVICE_SECRET" or error "SERVICE_SECRET is needed: 32 random bytes or more"
  return make_app(os.getenv "SERVICE_FOLDER" or "service-data", secret)
end

-- ---- tests ----------------------------------------------------------------------------------------------------------

local function expect(status, answer, err)
  assert(answer, err)
  assert(answer.status == status, ("%d expected, got %d: %s"):format(status, answer.status, answer.body))
  return answer.status ~= 204 and answer:json()
end

local tests = {}

function tests.users(visitor)
  expect(401, visitor:get "/me")
  assert(#expect(422, visitor:post("/users", { json = { name = "a b", password = "short" } })).errors == 2)
  expect(201, visitor:post("/users", { json = { name = "ada", password = "correct horse" } }))
  expect(409, visitor:post("/users", { json = { name = "ada", password = "battery staple" } }))
  expect(401, visitor:post("/login", { form = { name = "ada", password = "wrong wrong" } }))
  expect(200, visitor:post("/login", { form = { name = "ada", password = "correct horse" } }))
  assert(expect(200, visitor:get "/me").name == "ada")
end

function tests.items(ada, server)
  local hammer = expect(201, ada:post("/items", { json = { name = "Hammer", price = 12, secret = true } }))
  assert(hammer.owner == "ada" and hammer.kind == "tool" and hammer.secret == nil)
  expect(201, ada:post("/items", { json = { name = "Doll", price = 8, kind = "toy" } }))
  expect(409, ada:post("/items", { json = { name = "Doll", price = 8 } }))
  local wrong = expect(422, ada:post("/items", { json = { name = "", price = -1, kind = "car" } })).errors
  assert(#wrong == 3 and wrong[1].at == "/body/kind")
  assert(#expect(200, ada:get "/items") == 2)
  assert(expect(200, ada:get("/items", { query = { kind = "toy", q = "ol" } }))[1].name == "Doll")
  expect(422, ada:get "/items?limit=1000")
  local place = "/items/" .. hammer.id
  assert(expect(200, ada:patch(place, { json = { price = 10 } })).price == 10)
  local stranger <close> = braid.http.session { base_url = server.url }
  expect(401, stranger:patch(place, { json = { price = 1 } }))
  expect(201, stranger:post("/users", { json = { name = "bob", password = "battery staple" } }))
  expect(200, stranger:post("/login", { form = { name = "bob", password = "battery staple" } }))
  expect(403, stranger:delete(place))
  expect(204, ada:delete(place))
  expect(404, ada:get(place))
end

function tests.photos(ada)
  local id = expect(201, ada:post("/items", { json = { name = "Camera", price = 99 } })).id
  local picture = "\137PNG" .. ("\0\1\2\3"):rep(1 << 18)
  local path = ("/items/%d/photo"):format(id)
  local changed = expect(200, ada:put(path, { multipart = {
    { name = "photo", filename = "../me.png", type = "image/png", body = picture },
  } }))
  assert(changed.photo == ("/photos/%d.png"):format(id))
  assert(assert(ada:get(changed.photo)).body == picture)
  expect(415, ada:put(path, { multipart = { { name = "photo", filename = "x.exe", body = "MZ" } } }))
end

-- The next message of a chat.
local function heard(ws) return braid.json.decode((assert(ws:receive(5)))) end

function tests.chat(_, server)
  local address = server.url:gsub("^http", "ws") .. "/chat/lobby"
  local refused, why = braid.websocket.connect(address)
  assert(not refused and why.status == 401)
  local form = { name = "ada", password = "correct horse" }
  local login = assert(braid.http.post(server.url .. "/login", { form = form }))
  local headers = { Cookie = login.headers["set-cookie"]:match "^[^;]+" }
  local one <close> = assert(braid.websocket.connect(address, { headers = headers }))
  assert(heard(one).kind == "joined")
  local two <close> = assert(braid.websocket.connect(address, { headers = headers }))
  assert(heard(one).kind == "joined")
  two:send "hello"
  local message = heard(one)
  assert(message.kind == "said" and message.text == "hello" and message.name == "ada")
  two:close()
  assert(heard(one).kind == "left")
end

function tests.documents(visitor)
  local document = expect(200, visitor:get "/openapi.json")
  assert(document.paths["/items/{id}"].patch and document.components.schemas.Item)
  assert(assert(visitor:get "/docs").body:find("<title>Service", 1, true))
  assert(expect(200, visitor:get "/health").items > 0)
  assert(assert(visitor:get "/metrics").body:find "braid_")
end

braid.run(function()
  if not pcall(require, "braid.sqlite_core") or not pcall(require, "braid.tls_core") then
    print "This example needs SQLite and OpenSSL (Debian: libsqlite3-dev, libssl-dev, then build braid again)."
    return
  end
  local folder <close> = assert(braid.file.temporary { folder = true })
  local server <close> = assert(make_app(folder.path, ("s"):rep(32)):start { port = 0 })
  local session <close> = braid.http.session { base_url = server.url }
  for _, name in ipairs { "users", "items", "photos", "chat", "documents" } do
    tests[name](session, server)
    print("ok " .. name)
  end
end)

--[[ prints:
ok users
ok items
ok photos
ok chat
ok documents
]]
