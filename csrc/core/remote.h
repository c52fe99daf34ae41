/* SPDX-License-Identifier: MIT
 * A worker process's side of shared objects: stubs, and calls to the parent. Any thread of the worker; nothing blocks,
 * except where said otherwise. A worker process ends with its link, so a stub's link is always there. */
#ifndef BRAID_REMOTE_H
#define BRAID_REMOTE_H

#include "ledger.h"

enum { BRAID_REMOTE_AHEAD = 256 }; /* most places and most leases at a time */

struct braid_remote {
  struct braid_object object;
  enum braid_remote_kind kind;
  struct braid_link *link;
  struct braid_array_keeper *keeper; /* told when nobody has the stub any more */
  uint64_t id;
  struct braid_remote *lock; /* of a condition or a dict, with a reference */
  uint64_t maxsize;          /* of a queue */
  unsigned order;            /* enum braid_queue_order */
  bool in_order;             /* it is a FIFO: one may work ahead */

  /* Guarded by object.guard: what one works ahead with. */
  struct braid_list active; /* among those that have something to give back */
  bool touched;             /* since the last tick */
  int64_t places;           /* reserved for puts; a little below 0 while an answer is on its way */
  int64_t send_at;          /* puts are sent when so few places are left */
  uint64_t unmarked;        /* puts since the last mark */
  bool marked;              /* a mark is under way */
  int64_t put_called;       /* when a put had to call last */
  uint64_t put_window;      /* places to ask for */
  struct braid_item *leases;
  unsigned lease_first, lease_count;
  bool lease_open;
  uint64_t used; /* leases, ever */
  int64_t get_called;
  uint64_t get_window;
};

extern const struct braid_class braid_remote_classes[BRAID_REMOTE_KINDS];

/* The class is that of a stub. */
static inline bool braid_remote_is(const struct braid_object *object) {
  return object->class >= braid_remote_classes && object->class < braid_remote_classes + BRAID_REMOTE_KINDS;
}

/* NULL: memory is out. The broker's thread; `keeper` and `lock` are taken over. */
struct braid_remote *braid_remote_new(struct braid_link *link, enum braid_remote_kind kind, uint64_t id,
                                      struct braid_array_keeper *keeper);

/* A link to the parent is opened: sets its handlers. */
void braid_remote_begin(struct braid_link *link);

/* ---- calls ---- */

struct braid_remote_call {
  struct braid_list row;
  struct braid_line line; /* of the one who waits for the answer */
  uint64_t number;
  enum braid_call_operation operation;
  struct braid_remote *remote; /* with a reference */
  bool answered;
  enum braid_status status; /* of the answer; BRAID_CANCELLED: it was cancelled in time */
  enum braid_status end;    /* how the caller's own wait ended, before the answer came */
  int64_t extra;            /* of the answer */
  struct braid_item item;   /* the caller's */
};

/* Sends a call; the hook will be claimed when the answer is there, or is NULL: there will be none. The call's item
 * stays the caller's. NULL: memory is out, or hook was NULL. */
struct braid_remote_call *braid_remote_call(struct braid_remote *remote, enum braid_call_operation operation,
                                            struct braid_call *call, const char *key, struct braid_item item,
                                            struct braid_hook *hook);

/* The caller's wait ended before the answer came: asks for a quick one, and waits again. False: it is there already. */
bool braid_remote_cancel(struct braid_remote_call *call, struct braid_hook *hook);
bool braid_remote_answered(struct braid_remote_call *call);

/* The answer has come, and its item is taken. */
void braid_remote_free(struct braid_remote_call *call);

/* ---- working ahead ---- */

/* False: there is no place; then a call is needed, for which *want is filled in. */
bool braid_remote_put(struct braid_remote *remote, struct braid_item item, uint64_t *want);
/* False: nothing is leased; then a call is needed, for which `call` is filled in. */
bool braid_remote_get(struct braid_remote *remote, struct braid_item *item, struct braid_call *call);
/* Gives back what it has ahead: before it closes the queue, or looks at it. */
void braid_remote_settle(struct braid_remote *remote);
/* The same for all: before a job's reply is put, so that whoever has that finds everything in its place. */
void braid_remote_settle_all(void);

/* ---- who holds which lock, in this process ---- */

bool braid_remote_hold(struct braid_remote *lock, uint64_t owner); /* false: memory is out */
bool braid_remote_holds(struct braid_remote *lock, uint64_t owner);
bool braid_remote_unhold(struct braid_remote *lock, uint64_t owner); /* false: it does not hold it */
/* The owner has ended: the parent is told. */
void braid_remote_abandon(uint64_t owner);

#endif
