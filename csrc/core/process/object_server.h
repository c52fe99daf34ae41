/* SPDX-License-Identifier: MIT
 * The home's side of shared objects: does for other processes what they call for. The broker's thread. */
#ifndef BRAID_OBJECT_SERVER_H
#define BRAID_OBJECT_SERVER_H

#include "core/process/object_table.h"

/* A process that speaks over a link: the neighbour, or one beyond it. */
struct braid_client {
  struct braid_list row; /* among the ledger's */
  struct braid_ledger *ledger;
  uint32_t channel;
  struct braid_list visits, holdings; /* calls that wait, and locks that it holds */
};

/* The client on this channel, a new one when there is none; NULL: the link has failed. */
struct braid_client *braid_export_client(struct braid_link *link, uint32_t channel);

/* The entry with the frame's number, which is not another neighbour's. NULL: it was, and is on its way there; or the
 * link has failed. */
struct braid_entry *braid_export_entry(struct braid_link *link, const struct braid_frame *frame, const char *body);

/* A link is opened: sets its handlers. link->objects is its ledger. */
void braid_export_begin(struct braid_link *link);

/* The neighbour has gone, nothing more comes from it: its waits end, what it had ahead comes back, its locks are
 * abandoned. May be called again. */
void braid_export_end(struct braid_link *link);

#endif
