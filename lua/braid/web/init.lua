-- SPDX-License-Identifier: MIT
-- braid.web: the server's side of HTTP. Names only.
local app = require "braid.web.app"
local response = require "braid.web.response"

local M = {}

M.app = app.new
M.response = response.response
M.abort = response.abort
M.events = response.events

return M
