/* SPDX-License-Identifier: MIT
 * Proxies of objects whose home is another process, and calls to it. Any thread; nothing blocks, except where said
 * otherwise. A proxy outlives its connection: from then on it is *gone*, and every operation answers BRAID_GONE. */
#ifndef BRAID_PROXY_H
#define BRAID_PROXY_H

#include "core/process/object_table.h"

/* What a queue's proxy works with (proxy_queue.c). Guarded by the proxy's guard. */
struct braid_proxy_queue {
  struct braid_proxy *proxy;
  uint64_t maxsize; /* said once, before anybody knows the proxy; so is the next */
  enum braid_queue_order order;
  struct braid_list active;        /* among those that have something to give back; guarded by proxy_queue.c's mutex */
  bool touched;                    /* since the last tick */
  struct braid_wait_queue getters; /* they stand here only while the buffer is empty */
  struct braid_queue_cell *buffer; /* a ring of BRAID_QUEUE_AHEAD items; NULL: nobody has waited yet */
  unsigned first, count;
  uint64_t taken;                  /* items, of which the home does not know yet */
  uint64_t asked;                  /* how many items the GET that stands has asked for; 0: none stands */
  bool called_off;                 /* it was asked to end */
  int64_t get_called;              /* when the last GET was sent */
  unsigned get_window;             /* items to ask for beyond those that somebody waits for */
  struct braid_wait_queue putters; /* they stand here only while there are no places */
  uint64_t places;
  uint64_t wanted;  /* how many places the WANT that stands has asked for; 0: none stands */
  bool unwanted;    /* it was asked to end */
  uint64_t send_at; /* PUTs are sent, and more places asked for, when so few are left */
  int64_t put_called;
  unsigned put_window;
};

struct braid_proxy {
  struct braid_object object;
  enum braid_proxy_kind kind;
  struct braid_connection *connection; /* NULL: it is gone; guarded by object.guard */
  atomic_bool gone;                    /* the same, to be looked at without the guard */
  uint64_t id;                         /* at its home */
  struct braid_array_keeper *keeper;   /* told when nobody has the proxy any more */
  struct braid_proxy *lock;            /* of a condition or a dict, with a reference */
  struct braid_proxy_queue *queue;     /* of a queue */
  unsigned calls;                      /* that wait for their answers; guarded by proxy.c's guard */
};

extern const struct braid_class braid_proxy_classes[BRAID_PROXY_KINDS];

/* The class is that of a proxy. */
static inline bool braid_proxy_is(const struct braid_object *object) {
  return object->class >= braid_proxy_classes && object->class < braid_proxy_classes + BRAID_PROXY_KINDS;
}
static inline struct braid_proxy *braid_proxy_of(struct braid_object *object) {
  return braid_container(object, struct braid_proxy, object);
}

/* NULL: memory is out. The I/O thread; `keeper` is taken over when it succeeds. */
struct braid_proxy *braid_proxy_new(struct braid_connection *connection, enum braid_proxy_kind kind, uint64_t id,
                                    struct braid_array_keeper *keeper);

/* The handler of answers. */
braid_connection_handler braid_proxy_on_answer;

/* The object's home is gone: every wait ends with BRAID_GONE. The I/O thread. */
void braid_proxy_end(struct braid_proxy *proxy);

/* Leaves the proxy's guard; sends what was put, if so wanted, outside it. */
static inline void braid_proxy_go(struct braid_proxy *proxy, bool flush) {
  struct braid_connection *connection = flush ? proxy->connection : NULL;
  if (connection) braid_connection_hold(connection);
  braid_guard_leave(&proxy->object.guard);
  if (connection) braid_connection_flush_held(connection);
}

/* ---- calls ---- */

struct braid_proxy_call {
  struct braid_list row;
  struct braid_wait_queue waiters; /* of the one who waits for the answer */
  uint64_t number;
  enum braid_call_operation operation;
  struct braid_proxy *proxy; /* with a reference */
  bool asks;                 /* the caller's: it has no way to return how it ended */
  bool answered;
  enum braid_status status; /* of the answer; BRAID_CANCELLED: it was cancelled in time */
  enum braid_status end;    /* how the caller's own wait ended, before the answer came */
  int64_t extra;            /* of the answer */
  struct braid_item item;   /* the caller's */
};

/* Sends a call, with an item or BRAID_ITEM_NONE, which stays the caller's. BRAID_WAIT: the wait node will be claimed
 * when the answer is there. BRAID_OK, where there is no wait node: there will be no answer. BRAID_GONE,
 * BRAID_NO_MEMORY. */
enum braid_status braid_proxy_call(struct braid_proxy *proxy, enum braid_call_operation operation,
                                   struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                   struct braid_wait_node *node, struct braid_proxy_call **waiting);

/* The caller's wait ended before the answer came: asks for a quick one, and waits again. False: it is there already. */
bool braid_proxy_cancel(struct braid_proxy_call *call, struct braid_wait_node *node);
bool braid_proxy_answered(struct braid_proxy_call *call);

/* The answer has come, and its item is taken. */
void braid_proxy_free(struct braid_proxy_call *call);

/* ---- what this process knows of other processes' objects ---- */

enum { BRAID_PROXY_ROWS = 64 };

/* Whose task `owner` is, holds the lock. */
struct braid_proxy_hold {
  struct braid_proxy_hold *next;
  struct braid_proxy *lock; /* with a reference */
  uint64_t owner;
};

/* Each part is the named file's, no other touches it. */
extern struct braid_proxies {
  pthread_once_t once;
  struct braid_guard guard;                  /* proxy.c; guards the next three */
  struct braid_list calls[BRAID_PROXY_ROWS]; /* by number */
  uint64_t last_number;
  struct braid_proxy_hold *holds;
  struct {                  /* proxy_queue.c: those that may have to be settled */
    pthread_mutex_t mutex;  /* guards the list */
    struct braid_list list; /* each with a reference */
    int64_t settled;        /* when a tick last saw to them; the I/O thread only */
    atomic_uint count;
  } active;
  struct { /* relay.c: open connections, and channels between them; the I/O thread only */
    struct braid_list channels, links;
    uint32_t last_channel;
  } relay;
} braid_proxies;

/* ---- who holds which lock, in this process ---- */

bool braid_proxy_hold(struct braid_proxy *lock, uint64_t owner); /* false: memory is out */
bool braid_proxy_holds(struct braid_proxy *lock, uint64_t owner);
bool braid_proxy_unhold(struct braid_proxy *lock, uint64_t owner); /* false: it does not hold it */
/* The owner has ended: the homes of its locks are told. */
void braid_proxy_abandon(uint64_t owner);

#endif
