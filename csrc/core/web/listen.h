/* SPDX-License-Identifier: MIT
 * Listening sockets. */
#ifndef BRAID_LISTEN_H
#define BRAID_LISTEN_H

#include "core/base/base.h"
#include "core/net/socket.h"

/* Makes a TCP socket that listens on the address of `host`. If *port is 0, it is set to a free port. With `shared`,
 * other sockets may listen on the same port, and the system spreads connections over them. Returns 0 or an error
 * number; -1 and *problem when the name could not be resolved. Any thread; may block while it resolves the name. */
int braid_listen(const char *host, unsigned *port, bool shared, int *listener, const char **problem);

/* A listening stream socket that this process was given, as systemd does: makes it close-on-exec and non-blocking, and
 * tells its address. Returns 0 or an error number; ENOTSOCK or EINVAL: it is something else. */
int braid_listen_inherit(int fd, struct braid_address *address);

#endif
