/* SPDX-License-Identifier: MIT
 * Queues whose home is another process: batches of items and places (docs/CONCURRENCY.md, section 9). Any thread,
 * unless said otherwise; nothing blocks, except to enter a mutex or a guard for a short time. */
#ifndef BRAID_PROXY_QUEUE_H
#define BRAID_PROXY_QUEUE_H

#include "core/process/proxy.h"

/* False when memory is out. */
bool braid_proxy_queue_init(struct braid_proxy *proxy);
void braid_proxy_queue_term(struct braid_proxy *proxy);

/* Handle ITEMS and PLACES. Who reads from the connection. */
braid_connection_handler braid_proxy_on_items, braid_proxy_on_places;

/* The connection opens; it closes. The I/O thread. */
void braid_proxy_queue_begin(struct braid_connection *connection);
void braid_proxy_queue_stop(struct braid_connection *connection);

/* The home has ended: ends all waits. The I/O thread. */
void braid_proxy_queue_end(struct braid_proxy *proxy);

/* BRAID_OK: the caller owns *cell. BRAID_EMPTY (only without a wait node): the buffer is empty; there may be items at
 * home. BRAID_WAIT: when the wait ends with BRAID_OK, the item is in the wait node. BRAID_GONE, BRAID_NO_MEMORY. */
enum braid_status braid_proxy_get(struct braid_proxy *proxy, struct braid_queue_cell *cell,
                                  struct braid_wait_node *node);

/* To be called when a get's wait ended before an item came, and its wait node has left the queue. True: it was the last
 * getter, so the home was sent a GET_END, and the wait node waits again. That wait ends with BRAID_OK and an item, or
 * with BRAID_CANCELLED. */
bool braid_proxy_leave(struct braid_proxy *proxy, struct braid_wait_node *node);

/* BRAID_OK: the item is sent, and the caller's reference is used up. BRAID_FULL (only without a wait node): there is no
 * place here; there may be room at home. BRAID_WAIT: the wait node is in the wait queue with the item; if the wait ends
 * with another status than BRAID_OK, the caller has the item again. BRAID_GONE, BRAID_NO_MEMORY: the caller keeps
 * it. */
enum braid_status braid_proxy_put(struct braid_proxy *proxy, const struct braid_queue_cell *cell,
                                  struct braid_wait_node *node);

/* To be called when a put's wait ended before there was a place, and its wait node has left the queue. If it was the
 * last putter, the home is sent a WANT_END. */
void braid_proxy_leave_put(struct braid_proxy *proxy);

/* Gives back all items and places of the proxy. To be called before a task closes the queue or looks at its size. */
void braid_proxy_settle(struct braid_proxy *proxy);
/* The same for all proxies. To be called before a job's reply is put, so that who gets the reply finds all items in the
 * queue. */
void braid_proxy_settle_all(void);

#endif
