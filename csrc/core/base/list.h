/* SPDX-License-Identifier: MIT
 * A circular list whose links are fields of its members. So it needs no allocation, and a member is removed in O(1)
 * without knowing its list. A link outside any list points to itself. The owner of the list guards it. */
#ifndef BRAID_LIST_H
#define BRAID_LIST_H

#include "core/base/base.h"

struct braid_list {
  struct braid_list *next, *prev;
};

static inline void braid_list_init(struct braid_list *list) { list->next = list->prev = list; }

static inline bool braid_list_empty(const struct braid_list *list) { return list->next == list; }

static inline void braid_list_push(struct braid_list *list, struct braid_list *link) {
  link->prev = list->prev;
  link->next = list;
  list->prev->next = link;
  list->prev = link;
}

static inline void braid_list_remove(struct braid_list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  braid_list_init(link);
}

/* Moves a member to the front. */
static inline void braid_list_raise(struct braid_list *list, struct braid_list *link) {
  braid_list_remove(link);
  braid_list_push(list->next, link);
}

static inline struct braid_list *braid_list_pop(struct braid_list *list) {
  struct braid_list *first = list->next;
  if (first == list) return NULL;
  braid_list_remove(first);
  return first;
}

/* Moves all members of `from` to the end of `to`. */
static inline void braid_list_move(struct braid_list *from, struct braid_list *to) {
  if (braid_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  braid_list_init(from);
}

#endif
