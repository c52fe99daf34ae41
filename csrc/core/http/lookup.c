/* SPDX-License-Identifier: MIT
 * A linear list: few names are looked up at the same time. */
#include "core/http/lookup.h"

#include <stdlib.h>
#include <string.h>

struct braid_lookup {
  struct braid_list link; /* in the list of all look-ups */
  struct braid_list held;
  size_t size;
  char origin[];
};

static struct braid_lookup *find(struct braid_list *lookups, const char *origin, size_t size) {
  for (struct braid_list *link = lookups->next; link != lookups; link = link->next) {
    struct braid_lookup *lookup = braid_container(link, struct braid_lookup, link);
    if (lookup->size == size && memcmp(lookup->origin, origin, size) == 0) return lookup;
  }
  return NULL;
}

/* NULL when memory is out; then no transfer is held for it. */
static struct braid_lookup *begin(struct braid_list *lookups, const char *origin, size_t size) {
  struct braid_lookup *lookup = malloc(sizeof *lookup + size);
  if (!lookup) return NULL;
  lookup->size = size;
  memcpy(lookup->origin, origin, size);
  braid_list_init(&lookup->held);
  braid_list_push(lookups, &lookup->link);
  return lookup;
}

struct braid_lookup *braid_lookup_join(struct braid_list *lookups, const char *origin, size_t size,
                                       struct braid_list *turn, struct braid_list *admitted) {
  struct braid_lookup *lookup = find(lookups, origin, size);
  braid_list_push(lookup ? &lookup->held : admitted, turn);
  return lookup ? NULL : begin(lookups, origin, size);
}

void braid_lookup_answer(struct braid_lookup *lookup, struct braid_list *admitted) {
  braid_list_move(&lookup->held, admitted);
  braid_lookup_end(lookup);
}

struct braid_list *braid_lookup_pop(struct braid_lookup *lookup) {
  return braid_list_pop(&lookup->held);
}

void braid_lookup_end(struct braid_lookup *lookup) {
  braid_list_remove(&lookup->link);
  free(lookup);
}

void braid_lookup_end_all(struct braid_list *lookups) {
  while (!braid_list_empty(lookups)) braid_lookup_end(braid_container(lookups->next, struct braid_lookup, link));
}
