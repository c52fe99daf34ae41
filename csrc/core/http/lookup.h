/* SPDX-License-Identifier: MIT
 * Joins look-ups of the same host name. libcurl looks the address up once for each transfer that needs it, each time in
 * a new thread. So only the first transfer to a name goes to libcurl, and later ones are held until it has its address.
 * This file knows transfers only as list links. The loop's thread only; nothing blocks. */
#ifndef BRAID_LOOKUP_H
#define BRAID_LOOKUP_H

#include "core/base/list.h"

struct braid_lookup;

/* For a transfer, known by its link `turn`, that needs the address of this origin (scheme, host and port, as in the
 * URL). If another transfer is looking it up, the transfer is held. Else it is pushed to `admitted`, and a new look-up
 * is returned, for which later ones are held. NULL: the transfer is held, or memory is out. */
struct braid_lookup *braid_lookup_join(struct braid_list *lookups, const char *origin, size_t size,
                                       struct braid_list *turn, struct braid_list *admitted);

/* The address is known: moves all that are held to `admitted`, and ends the look-up. */
void braid_lookup_answer(struct braid_lookup *lookup, struct braid_list *admitted);

/* Takes out the one that has been held longest. NULL: none is left. */
struct braid_list *braid_lookup_pop(struct braid_lookup *lookup);

/* Ends a look-up; the same for all of them. No transfer may be held by one that is ended. */
void braid_lookup_end(struct braid_lookup *lookup);
void braid_lookup_end_all(struct braid_list *lookups);

#endif
