/* SPDX-License-Identifier: MIT
 * Sockets that listen. */
#ifndef BRAID_LISTEN_H
#define BRAID_LISTEN_H

#include "core/base/base.h"

/* A bound TCP socket that listens on the address that `host` stands for; *port is set when it was 0. With `shared`,
 * others may listen on the same port, and the system spreads connections over them. Returns 0 or an error number, or
 * when the name could not be resolved -1 and *problem. Any thread; may block while it resolves a name. */
int braid_listen(const char *host, unsigned *port, bool shared, int *listener, const char **problem);

#endif
