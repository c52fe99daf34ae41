/* SPDX-License-Identifier: MIT
 * Asks a PostgreSQL server to end a query. libpq's function connects to the server and blocks, so a thread of its own
 * calls it. Nobody needs to wait for this thread. */
#ifndef BRAID_POSTGRES_CANCEL_H
#define BRAID_POSTGRES_CANCEL_H

#include <libpq-fe.h>

/* Starts the thread, which takes over `cancel`. Returns a descriptor on which the end of the data can be read when the
 * server was asked; or a negative error number, and `cancel` stays the caller's. Any thread; does not block. */
int braid_postgres_cancel(PGcancel *cancel);

#endif
