/* SPDX-License-Identifier: MIT
 * The home's side of queues: batches of items and places (docs/CONCURRENCY.md, section 9). The I/O thread; nothing
 * blocks. */
#ifndef BRAID_QUEUE_SERVER_H
#define BRAID_QUEUE_SERVER_H

#include "core/process/client.h"

/* The connection opens: sets its handlers. */
void braid_queue_server_begin(struct braid_connection *connection);

/* The client has ended; NULL: the other end has dropped the entry. Takes back items and places. */
void braid_queue_server_end(struct braid_entry *entry, const struct braid_client *client);

#endif
