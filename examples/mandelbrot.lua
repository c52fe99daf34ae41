-- SPDX-License-Identifier: MIT
-- A picture of the Mandelbrot set, drawn by all cores and written as a PPM, which every viewer knows.
--   lua5.4 examples/mandelbrot.lua [FILE] [WIDTH]      without a FILE: as text
local braid = require "braid"

local file, width = arg[1], tonumber(arg[2]) or 1200

-- Black inside; outside the colour tells how soon a point escapes.
local function palette(iterations)
  local colours = {}
  for n = 0, iterations do
    local t = (n / iterations) ^ 0.35
    local red, green, blue = 9 * (1 - t) * t ^ 3, 15 * (1 - t) ^ 2 * t ^ 2, 8.5 * (1 - t) ^ 3 * t
    colours[n] = string.char(math.floor(255 * red), math.floor(255 * green), math.floor(255 * blue))
  end
  return colours
end

local function write_picture()
  local iterations, height = 1000, width * 5 // 6
  local start = braid.now()
  local counts = braid.kernels.mandelbrot {
    width = width, height = height, left = -2.2, right = 0.8, iterations = iterations,
  }
  print(("%d x %d points: %.3f s"):format(width, height, braid.now() - start))
  local colours, pixels = palette(iterations), {}
  for i = 1, #counts do pixels[i] = colours[counts[i]] end
  local out <close> = assert(io.open(file, "wb"))
  assert(out:write(("P6\n%d %d\n255\n"):format(width, height), table.concat(pixels)))
  assert(out:close()) -- a full disk often shows only here
end

local function write_text()
  local columns, rows = 72, 24
  local counts = braid.kernels.mandelbrot { width = columns, height = rows, left = -2.2, right = 0.8, iterations = 200 }
  for row = 0, rows - 1 do
    local line = {}
    for column = 1, columns do
      local n = counts[row * columns + column]
      line[column] = n == 200 and "#" or n > 12 and "+" or n > 6 and "." or " "
    end
    print((table.concat(line):gsub("%s+$", "")))
  end
end

if file then write_picture() else write_text() end

--
--                                                ...
--                                                ..+.+.
--                                               ...+++..
--                                            ...++####+..
--                                      ...+..+..++###++........+
--                                     ...+#################++##+.
--                                   ..+++#####################+..
--                       +.....+......++########################+++
--                     ....+#++#+++...+##########################..
--                   ....++##########+###########################+.
--          .... .....+##+######################################..
--          .... .....+##+######################################..
--                   ....++##########+###########################+.
--                     ....+#++#+++...+##########################..
--                       +.....+......++########################+++
--                                   ..+++#####################+..
--                                     ...+#################++##+.
--                                      ...+..+..++###++........+
--                                            ...++####+..
--                                               ...+++..
--                                                ..+.+.
--                                                ...
--
