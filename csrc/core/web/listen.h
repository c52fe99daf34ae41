/* SPDX-License-Identifier: MIT
 * Listening sockets. */
#ifndef BRAID_LISTEN_H
#define BRAID_LISTEN_H

#include "core/base/base.h"

/* Makes a TCP socket that listens on the address of `host`. If *port is 0, it is set to a free port. With `shared`,
 * other sockets may listen on the same port, and the system spreads connections over them. Returns 0 or an error
 * number; -1 and *problem when the name could not be resolved. Any thread; may block while it resolves the name. */
int braid_listen(const char *host, unsigned *port, bool shared, int *listener, const char **problem);

#endif
