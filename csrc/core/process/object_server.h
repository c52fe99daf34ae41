/* SPDX-License-Identifier: MIT
 * The home's side of shared objects: does for other processes what they call for. The I/O thread. */
#ifndef BRAID_OBJECT_SERVER_H
#define BRAID_OBJECT_SERVER_H

#include "core/process/object_table.h"

/* A process that speaks over a connection: the neighbour, or one beyond it. */
struct braid_client {
  struct braid_list row; /* among the object table's */
  struct braid_object_table *table;
  uint32_t channel;
  struct braid_list visits, holdings; /* calls that wait, and locks that it holds */
};

/* The client on this channel, a new one when there is none; NULL: the connection has failed. */
struct braid_client *braid_object_server_client(struct braid_connection *connection, uint32_t channel);

/* The entry with the frame's number, which is not another neighbour's. NULL: it was, and is on its way there; or the
 * connection has failed. */
struct braid_entry *braid_object_server_entry(struct braid_connection *connection, const struct braid_frame *frame,
                                              const char *body);

/* A connection is opened: sets its handlers. connection->objects is its object table. */
void braid_object_server_begin(struct braid_connection *connection);

/* The neighbour has gone, nothing more comes from it: its waits end, what it had ahead comes back, its locks are
 * abandoned. May be called again. */
void braid_object_server_end(struct braid_connection *connection);

#endif
