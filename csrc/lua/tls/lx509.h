/* SPDX-License-Identifier: MIT
 * Certificates as LuaSec has them. The state's own thread; nothing blocks. */
#ifndef BRAID_LX509_H
#define BRAID_LX509_H

#include <lua.h>
#include <openssl/x509.h>

/* Pushes an object for the certificate, with a reference of its own; nil for NULL. */
void lx509_push(lua_State *L, X509 *certificate);

#endif
