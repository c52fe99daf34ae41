/* SPDX-License-Identifier: MIT
 * The parent's side of shared objects: does for a worker process what it calls for. The broker's thread. */
#ifndef BRAID_EXPORT_H
#define BRAID_EXPORT_H

#include "ledger.h"

/* A link to a worker is opened: sets its handlers. link->objects is its ledger. */
void braid_export_begin(struct braid_link *link);

/* The worker has gone, nothing more comes from it: its waits end, what it had ahead comes back, its locks are
 * abandoned. May be called again. */
void braid_export_end(struct braid_link *link);

#endif
