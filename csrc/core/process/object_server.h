/* SPDX-License-Identifier: MIT
 * The home's side of shared objects: runs the calls of other processes. The I/O thread; nothing blocks. */
#ifndef BRAID_OBJECT_SERVER_H
#define BRAID_OBJECT_SERVER_H

#include "core/process/connection.h"

/* The connection opens: sets its handlers. connection->objects must be its object table. */
void braid_object_server_begin(struct braid_connection *connection);

/* The neighbour has ended, and no more frames come. Ends its waits, takes back the items and places that it had, and
 * abandons its locks. May be called again. */
void braid_object_server_end(struct braid_connection *connection);

#endif
