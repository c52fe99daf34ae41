/* SPDX-License-Identifier: MIT
 * Queues whose home is another process: batches of items and places (docs/CONCURRENCY.md, section 9). Any thread,
 * except where said otherwise; nothing blocks. */
#ifndef BRAID_PROXY_QUEUE_H
#define BRAID_PROXY_QUEUE_H

#include "core/process/proxy.h"

/* False: memory is out. */
bool braid_remote_queue_init(struct braid_remote *remote);
void braid_remote_queue_term(struct braid_remote *remote);

/* Handlers of frames from the home. */
braid_link_handler braid_remote_on_items, braid_remote_on_places;

/* A link is opened; it is closed. The broker's thread. */
void braid_remote_queue_begin(struct braid_link *link);
void braid_remote_queue_stop(struct braid_link *link);

/* The home is gone. The broker's thread. */
void braid_remote_queue_end(struct braid_remote *remote);

/* BRAID_OK: *cell is the caller's. BRAID_EMPTY (no hook): nothing is here; there may be at home. BRAID_WAIT: when the
 * wait ends BRAID_OK the item is in the hook. BRAID_GONE, BRAID_NO_MEMORY. */
enum braid_status braid_remote_get(struct braid_remote *remote, struct braid_queue_cell *cell, struct braid_hook *hook);

/* A get's wait ended before an item came, and its hook has left: true: it was the last one, so the home is asked to end
 * the request; the hook waits again, for that: BRAID_OK with an item, or BRAID_CANCELLED. */
bool braid_remote_leave(struct braid_remote *remote, struct braid_hook *hook);

/* BRAID_OK: it is on its way, and the caller's reference is used up. BRAID_FULL (no hook): there is no place here;
 * there may be at home. BRAID_WAIT: the hook stands in line with the item; when the wait ends otherwise than BRAID_OK
 * the caller has it again. BRAID_GONE, BRAID_NO_MEMORY: the caller keeps it. */
enum braid_status braid_remote_put(struct braid_remote *remote, const struct braid_queue_cell *cell,
                                   struct braid_hook *hook);

/* A put's wait ended before there was a place, and its hook has left: the last one's request is called off. */
void braid_remote_leave_put(struct braid_remote *remote);

/* Gives back what it has ahead: before it closes the queue, or looks at it. */
void braid_remote_settle(struct braid_remote *remote);
/* The same for all: before a job's reply is put, so that whoever has that finds everything in its place. */
void braid_remote_settle_all(void);

#endif
