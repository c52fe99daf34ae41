/* SPDX-License-Identifier: MIT
 * Clients: processes that use our objects over a connection. That is the neighbour, and processes behind it whose
 * frames it relays; each has a channel. The I/O thread; nothing blocks. */
#ifndef BRAID_CLIENT_H
#define BRAID_CLIENT_H

#include "core/process/object_table.h"

struct braid_client {
  struct braid_list row; /* link in the object table's list */
  struct braid_object_table *table;
  uint32_t channel;
  struct braid_list visits, holdings; /* waiting calls, and locks that it holds; for object_server.c */
};

/* Returns the client on this channel; makes it when there is none. NULL: the connection has failed. */
struct braid_client *braid_client_on(struct braid_connection *connection, uint32_t channel);

/* Returns the client on this channel; NULL: there is none. */
struct braid_client *braid_client_known(struct braid_object_table *table, uint32_t channel);

/* It must have no visits and holdings left. */
void braid_client_free(struct braid_client *client);

/* Returns the entry that a client's frame is about. When the object is a proxy, it relays the frame to the object's
 * home and returns NULL. NULL also when the connection has failed. */
struct braid_entry *braid_client_entry(struct braid_connection *connection, const struct braid_frame *frame,
                                       const char *body);

#endif
