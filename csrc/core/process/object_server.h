/* SPDX-License-Identifier: MIT
 * The home's side of shared objects: does for other processes what they call for. The I/O thread. */
#ifndef BRAID_OBJECT_SERVER_H
#define BRAID_OBJECT_SERVER_H

#include "core/process/connection.h"

/* A connection is opened: sets its handlers. connection->objects is its object table. */
void braid_object_server_begin(struct braid_connection *connection);

/* The neighbour has gone, nothing more comes from it: its waits end, what it had ahead comes back, its locks are
 * abandoned. May be called again. */
void braid_object_server_end(struct braid_connection *connection);

#endif
