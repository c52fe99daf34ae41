/* SPDX-License-Identifier: MIT
 * The home's side of shared objects: runs the calls of other processes. The I/O thread; nothing blocks. */
#ifndef BRAID_OBJECT_SERVER_H
#define BRAID_OBJECT_SERVER_H

#include "core/process/connection.h"
#include "core/sync/primitives.h"

/* The connection opens: sets its handlers. connection->objects must be its object table. */
void braid_object_server_begin(struct braid_connection *connection);

/* The neighbour has ended, and no more frames come. Ends its waits, takes back the items and places that it had, and
 * abandons its locks. May be called again. */
void braid_object_server_end(struct braid_connection *connection);

/* The holder of a lock: a task of this process, or of the worker process *process (0: of this one). 0: there is none,
 * or it is not known. Any thread; does not block. */
uint64_t braid_object_server_owner(struct braid_primitive *lock, uint64_t *process);

/* Appends which worker processes know which objects (wait_record.h). Any thread; does not block. */
void braid_object_server_tell(struct braid_buffer *list);

/* Blocks until what other processes have sent was handled. False: that takes too long. Any thread but the I/O thread.
 */
bool braid_object_server_settle(void);

#endif
