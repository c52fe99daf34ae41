/* SPDX-License-Identifier: MIT
 * The home's side of queues: batches of items and places (docs/CONCURRENCY.md, section 9). The broker's thread. */
#ifndef BRAID_QUEUE_SERVER_H
#define BRAID_QUEUE_SERVER_H

#include "core/process/object_server.h"

/* A link is opened: sets its handlers. */
void braid_export_queue_begin(struct braid_link *link);

/* The client has gone, or (NULL) the other end knows the entry no more: what was ahead comes back. */
void braid_export_queue_end(struct braid_entry *entry, const struct braid_client *client);

#endif
