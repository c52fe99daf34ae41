/* SPDX-License-Identifier: MIT
 * Queues whose home is another process: batches of items and places (docs/CONCURRENCY.md, section 9). Any thread,
 * except where said otherwise; nothing blocks. */
#ifndef BRAID_PROXY_QUEUE_H
#define BRAID_PROXY_QUEUE_H

#include "core/process/proxy.h"

/* False: memory is out. */
bool braid_proxy_queue_init(struct braid_proxy *proxy);
void braid_proxy_queue_term(struct braid_proxy *proxy);

/* Handlers of frames from the home. */
braid_connection_handler braid_proxy_on_items, braid_proxy_on_places;

/* A connection is opened; it is closed. The I/O thread. */
void braid_proxy_queue_begin(struct braid_connection *connection);
void braid_proxy_queue_stop(struct braid_connection *connection);

/* The home is gone. The I/O thread. */
void braid_proxy_queue_end(struct braid_proxy *proxy);

/* BRAID_OK: *cell is the caller's. BRAID_EMPTY (no wait node): nothing is here; there may be at home. BRAID_WAIT: when
 * the wait ends BRAID_OK the item is in the node. BRAID_GONE, BRAID_NO_MEMORY. */
enum braid_status braid_proxy_get(struct braid_proxy *proxy, struct braid_queue_cell *cell,
                                  struct braid_wait_node *node);

/* A get's wait ended before an item came, and its wait node has left: true: it was the last one, so the home is asked
 * to end the request; the wait node waits again, for that: BRAID_OK with an item, or BRAID_CANCELLED. */
bool braid_proxy_leave(struct braid_proxy *proxy, struct braid_wait_node *node);

/* BRAID_OK: it is on its way, and the caller's reference is used up. BRAID_FULL (no wait node): there is no place here;
 * there may be at home. BRAID_WAIT: the wait node stands in the wait queue with the item; when the wait ends otherwise
 * than BRAID_OK the caller has it again. BRAID_GONE, BRAID_NO_MEMORY: the caller keeps it. */
enum braid_status braid_proxy_put(struct braid_proxy *proxy, const struct braid_queue_cell *cell,
                                  struct braid_wait_node *node);

/* A put's wait ended before there was a place, and its wait node has left: the last one's request is called off. */
void braid_proxy_leave_put(struct braid_proxy *proxy);

/* Gives back what it has ahead: before it closes the queue, or looks at it. */
void braid_proxy_settle(struct braid_proxy *proxy);
/* The same for all: before a job's reply is put, so that whoever has that finds everything in its place. */
void braid_proxy_settle_all(void);

#endif
