/* SPDX-License-Identifier: MIT
 * Processes that speak over a connection about objects that live here: the neighbour, or one beyond it. The I/O thread.
 */
#ifndef BRAID_CLIENT_H
#define BRAID_CLIENT_H

#include "core/process/object_table.h"

struct braid_client {
  struct braid_list row; /* among the object table's */
  struct braid_object_table *table;
  uint32_t channel;
  struct braid_list visits, holdings; /* calls that wait, and locks that it holds: object_server.c's */
};

/* The client on this channel, a new one when there is none; NULL: the connection has failed. */
struct braid_client *braid_client_on(struct braid_connection *connection, uint32_t channel);

/* The same; NULL: there is none. */
struct braid_client *braid_client_known(struct braid_object_table *table, uint32_t channel);

/* It has nothing left here. */
void braid_client_free(struct braid_client *client);

/* What a client's frame is about: the entry with its number, which is not another neighbour's. NULL: it was, and is on
 * its way there; or the connection has failed. */
struct braid_entry *braid_client_entry(struct braid_connection *connection, const struct braid_frame *frame,
                                       const char *body);

#endif
