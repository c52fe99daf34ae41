/* SPDX-License-Identifier: MIT
 * Methods of a server for one exchange, which is given by its number. The state's own thread. */
#ifndef BRAID_LEXCHANGE_H
#define BRAID_LEXCHANGE_H

#include <lauxlib.h>

extern const luaL_Reg lexchange_methods[];

#endif
