/* SPDX-License-Identifier: MIT
 * The parts of the module braid.tls_core. Each adds its functions to the table on the top of the stack. */
#ifndef BRAID_LTLSOPEN_H
#define BRAID_LTLSOPEN_H

#include <lua.h>

void lx509_open(lua_State *L);
void lluasec_open(lua_State *L);

#endif
