/* SPDX-License-Identifier: MIT
 * The one way of waiting. A *waiter* is one suspension: it belongs to a loop's thread. It stands in *lines* by its
 * hooks: one hook when it waits for one thing, several when it selects. Whoever can end the wait *claims* the
 * waiter; only the first claim succeeds. The claimer then *posts* the waiter: it travels home to its loop, which
 * resumes whoever waits. A waiter is used again only after all its hooks have left their lines and it has come
 * home, so no wake can be stale. */
#ifndef BRAID_WAITER_H
#define BRAID_WAITER_H

#include <stdatomic.h>

#include "core/base/list.h"
#include "core/base/status.h"
#include "core/base/thread.h"

struct braid_loop;
struct braid_waiter;

/* A waiting line: first come, first served. The guard is that of the object it belongs to; NULL for what only one
 * loop's thread ever touches. */
struct braid_line {
  struct braid_list hooks;
  struct braid_guard *guard;
};

/* What travels through a hook or a queue: a small value itself, an owned reference to a message, or a number by
 * which one Lua state knows a value of its own. */
enum braid_item_tag {
  BRAID_ITEM_NONE,
  BRAID_ITEM_FALSE,
  BRAID_ITEM_TRUE,
  BRAID_ITEM_NULL,
  BRAID_ITEM_INTEGER,
  BRAID_ITEM_NUMBER,
  BRAID_ITEM_REFERENCE,
  BRAID_ITEM_MESSAGE,
  BRAID_ITEM_PLACE /* in a queue's lines: of another process, whose put comes later, or whose get is a lease */
};

struct braid_item {
  uint64_t bits;
  uint8_t tag; /* enum braid_item_tag */
};

/* A place in a line. Guarded by the line's guard while it stands there. */
struct braid_hook {
  struct braid_list link;
  _Atomic(struct braid_line *) line; /* NULL: it stands in none. At home it is looked at without the guard, too */
  double key;                        /* the priority of an item that a put brings */
  uint64_t bits;                     /* with tag: the item that a put brings or a get received */
  uint8_t tag;
  uint8_t chosen;    /* this hook's claim was the one */
  uint16_t position; /* in a select: which case; 0: the waiter's own hook */
  uint32_t place;    /* of the waiter's own hook: where its deadline stands in the loop's heap */
};

enum braid_waiter_kind { BRAID_WAITER_TASK, BRAID_WAITER_JOB, BRAID_WAITER_ERRAND };

struct braid_waiter {
  union {
    struct braid_hook hook;    /* while it waits */
    struct braid_waiter *road; /* the next one on the way home; the hook has left its line by then */
  };
  struct braid_loop *home;
  atomic_uchar claimed;
  uint8_t status; /* enum braid_status, written by the claimer before it posts */
  uint8_t kind;   /* enum braid_waiter_kind: what the loop's owner makes of it */
  uint8_t state;  /* the owner's */
  uint32_t flags; /* the owner's */
};

/* One case of a select: a hook that is not its waiter's own. */
struct braid_case {
  struct braid_hook hook;
  struct braid_waiter *waiter;
};

void braid_line_init(struct braid_line *line, struct braid_guard *guard);

/* The object ends while somebody stands in its line, as happens when a Lua state closes: they will not be woken. */
void braid_line_dissolve(struct braid_line *line);

/* Home thread. After this the waiter counts as claimed: nobody can wake it until it is armed. */
void braid_waiter_init(struct braid_waiter *waiter, struct braid_loop *home, enum braid_waiter_kind kind);

/* Home thread: a new wait begins. */
static inline void braid_waiter_arm(struct braid_waiter *waiter) {
  waiter->status = BRAID_OK;
  waiter->hook.chosen = 0;
  atomic_store_explicit(&waiter->claimed, 0, memory_order_release);
}

/* The right to end the wait: true for exactly one caller per arming. Any thread that may touch the waiter: its home,
 * or one that holds the guard of a line in which it stands. Does not block. */
bool braid_waiter_claim(struct braid_waiter *waiter, enum braid_status status);

static inline bool braid_waiter_waiting(const struct braid_waiter *waiter) {
  return atomic_load_explicit(&waiter->claimed, memory_order_acquire) == 0;
}

void braid_hook_init(struct braid_hook *hook, uint16_t position);

/* Joins the end of a line, under its guard. */
void braid_hook_join(struct braid_hook *hook, struct braid_line *line);

/* Leaves its line, O(1); nothing happens when it stands in none. Enters the line's guard. */
void braid_hook_leave(struct braid_hook *hook);

struct braid_waiter *braid_hook_waiter(struct braid_hook *hook);

/* Whether an object that is ready at once may serve this hook: always, but for a case of a select, whose waiter has
 * to be claimed first: another case may have come before. Under the object's guard. */
static inline bool braid_hook_may_take(struct braid_hook *hook);

/* The first of the line whose waiter could be claimed with `status`, out of the line; NULL when there is none. Under
 * the line's guard; the caller posts the waiter when it has left the guard. */
struct braid_hook *braid_line_claim(struct braid_line *line, enum braid_status status);

static inline bool braid_hook_may_take(struct braid_hook *hook) {
  if (!hook || hook->position == 0) return true;
  hook->chosen = braid_waiter_claim(braid_hook_waiter(hook), BRAID_OK);
  return hook->chosen;
}

static inline struct braid_item braid_hook_item(const struct braid_hook *hook) {
  return (struct braid_item){hook->bits, hook->tag};
}
static inline void braid_hook_set_item(struct braid_hook *hook, struct braid_item item) {
  hook->bits = item.bits;
  hook->tag = item.tag;
}

/* Claimed waiters on their way: a singly linked row. */
struct braid_road {
  struct braid_waiter *first, *last;
};

static inline void braid_road_push(struct braid_road *road, struct braid_waiter *waiter) {
  waiter->road = NULL;
  if (road->last)
    road->last->road = waiter;
  else
    road->first = waiter;
  road->last = waiter;
}

static inline struct braid_waiter *braid_road_pop(struct braid_road *road) {
  struct braid_waiter *waiter = road->first;
  if (!waiter) return NULL;
  road->first = waiter->road;
  if (!road->first) road->last = NULL;
  braid_list_init(&waiter->hook.link);
  return waiter;
}

/* Claims everyone in the line with `status` and puts them on the road. Under the line's guard. */
void braid_line_claim_all(struct braid_line *line, enum braid_status status, struct braid_road *road);

#endif
