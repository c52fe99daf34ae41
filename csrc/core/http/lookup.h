/* SPDX-License-Identifier: MIT
 * Look-ups of names that are joined. libcurl asks for the address of a host once for each transfer that needs it, each
 * time in a thread of its own. So the first transfer to a name asks, and those that come meanwhile are held until it
 * has its answer. They are known here by links. The loop's thread only; nothing blocks. */
#ifndef BRAID_LOOKUP_H
#define BRAID_LOOKUP_H

#include "core/base/list.h"

struct braid_lookup;

/* Who needs the address of this origin (scheme, host and port, as in the URL) and comes in by `turn`: it is held, where
 * another asks for that, or else pushed to `admitted`. Returns the look-up that it makes for others, too; NULL: none.
 */
struct braid_lookup *braid_lookup_join(struct braid_list *lookups, const char *origin, size_t size,
                                       struct braid_list *turn, struct braid_list *admitted);

/* The address is known: everyone who was held is moved to `admitted`. The look-up is over. */
void braid_lookup_answer(struct braid_lookup *lookup, struct braid_list *admitted);

/* Who has been held longest, and is not any more; NULL: nobody is left. */
struct braid_list *braid_lookup_pop(struct braid_lookup *lookup);

/* Ends it, or all of them; nobody is held. */
void braid_lookup_end(struct braid_lookup *lookup);
void braid_lookup_end_all(struct braid_list *lookups);

#endif
