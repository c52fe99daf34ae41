-- SPDX-License-Identifier: MIT
-- The module that `require "socket.unix"` gives after install: Unix sockets for streams.
local tcp = require "braid.luasocket.tcp"

return setmetatable({ stream = tcp.unix, tcp = tcp.unix }, { __call = function() return tcp.unix() end })
