-- SPDX-License-Identifier: MIT
-- braid.web: the HTTP server. This module only collects the names.
local app = require "braid.web.app"
local response = require "braid.web.response"

local M = {}

M.app = app.new
M.response = response.response
M.abort = response.abort
M.events = response.events

return M
