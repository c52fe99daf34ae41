/* SPDX-License-Identifier: MIT
 * Proxies of objects whose home is another process, and calls to it. A proxy may outlive its connection. Then it is
 * *gone*, and every operation returns BRAID_GONE. Any thread, unless said otherwise; nothing blocks. */
#ifndef BRAID_PROXY_H
#define BRAID_PROXY_H

#include "core/process/object_table.h"

/* The state of a queue's proxy, for proxy_queue.c. Under the proxy's guard. */
struct braid_proxy_queue {
  struct braid_proxy *proxy;
  uint64_t maxsize; /* set once, before others know the proxy; so is `order` */
  enum braid_queue_order order;
  struct braid_list active;        /* in the list of those to be settled; under its mutex */
  bool touched;                    /* used since the last tick */
  struct braid_wait_queue getters; /* they wait only while the buffer is empty */
  struct braid_queue_cell *buffer; /* a ring of BRAID_QUEUE_AHEAD items; NULL until the first get waits */
  unsigned first, count;
  uint64_t taken;                  /* items taken that the home does not know of yet */
  uint64_t asked;                  /* items that the pending GET asked for; 0: none is pending */
  bool called_off;                 /* GET_END was sent for it */
  int64_t get_called;              /* when the last GET was sent */
  unsigned get_window;             /* items to ask for beyond those that getters wait for */
  struct braid_wait_queue putters; /* they wait only while there are no places */
  uint64_t places;
  uint64_t wanted;  /* places that the pending WANT asked for; 0: none is pending */
  bool unwanted;    /* WANT_END was sent for it */
  uint64_t send_at; /* PUTs are flushed, and more places asked for, when so few places are left */
  int64_t put_called;
  unsigned put_window;
};

struct braid_proxy {
  struct braid_object object;
  enum braid_proxy_kind kind;
  struct braid_connection *connection; /* NULL: gone; under object.guard */
  atomic_bool gone;                    /* the same, to be read without the guard */
  uint64_t id;                         /* its number at its home */
  struct braid_array_keeper *keeper;   /* told when the proxy is destroyed */
  struct braid_proxy *lock;            /* of a condition or a dict; with a reference */
  struct braid_proxy_queue *queue;     /* of a queue; else NULL */
  unsigned calls;                      /* calls that wait for answers; under proxy.c's guard */
};

extern const struct braid_class braid_proxy_classes[BRAID_PROXY_KINDS];

/* Whether the object is a proxy. */
static inline bool braid_proxy_is(const struct braid_object *object) {
  return object->class >= braid_proxy_classes && object->class < braid_proxy_classes + BRAID_PROXY_KINDS;
}
static inline struct braid_proxy *braid_proxy_of(struct braid_object *object) {
  return braid_container(object, struct braid_proxy, object);
}

/* NULL when memory is out. Takes over `keeper` when it succeeds. The I/O thread. */
struct braid_proxy *braid_proxy_new(struct braid_connection *connection, enum braid_proxy_kind kind, uint64_t id,
                                    struct braid_array_keeper *keeper);

/* Handles answers. The I/O thread. */
braid_connection_handler braid_proxy_on_answer;

/* The object's home has ended: ends every wait with BRAID_GONE. The I/O thread. */
void braid_proxy_end(struct braid_proxy *proxy);

/* Leaves the proxy's guard; with `flush` it then sends the frames that were put. */
static inline void braid_proxy_go(struct braid_proxy *proxy, bool flush) {
  struct braid_connection *connection = flush ? proxy->connection : NULL;
  if (connection) braid_connection_hold(connection);
  braid_guard_leave(&proxy->object.guard);
  if (connection) braid_connection_flush_held(connection);
}

/* ---- calls ---- */

struct braid_proxy_call {
  struct braid_list row;
  struct braid_wait_queue waiters; /* the one that waits for the answer */
  uint64_t number;
  enum braid_call_operation operation;
  struct braid_proxy *proxy; /* with a reference */
  bool asks;                 /* for the caller: its results cannot report an error */
  bool answered;
  enum braid_status status; /* of the answer; BRAID_CANCELLED: the home cancelled it */
  enum braid_status end;    /* how the caller's wait ended before the answer came */
  int64_t extra;            /* of the answer */
  struct braid_item item;   /* of the answer; the caller takes it */
};

/* Sends a call. `cell` has the item, or is NULL; it stays the caller's. With a wait node: BRAID_WAIT, and the node's
 * waiter will be claimed when the answer has come. Without a wait node: BRAID_OK, and there is no answer. BRAID_GONE,
 * BRAID_NO_MEMORY. */
enum braid_status braid_proxy_call(struct braid_proxy *proxy, enum braid_call_operation operation,
                                   struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                   struct braid_wait_node *node, struct braid_proxy_call **waiting);

/* The caller's wait has ended before the answer came. Asks the home to answer soon, and joins the wait node again.
 * False: the answer has come already. */
bool braid_proxy_cancel(struct braid_proxy_call *call, struct braid_wait_node *node);
bool braid_proxy_answered(struct braid_proxy_call *call);

/* To be called after the answer has come and its item is taken. */
void braid_proxy_free(struct braid_proxy_call *call);

/* ---- all proxies of the process ---- */

enum { BRAID_PROXY_ROWS = 64 };

/* The task with the number `owner` holds the lock. */
struct braid_proxy_hold {
  struct braid_proxy_hold *next;
  struct braid_proxy *lock; /* with a reference */
  uint64_t owner;
};

/* The named file alone uses each part. */
extern struct braid_proxies {
  pthread_once_t once;
  struct braid_guard guard;                  /* for proxy.c; protects the next three */
  struct braid_list calls[BRAID_PROXY_ROWS]; /* by number */
  uint64_t last_number;
  struct braid_proxy_hold *holds;
  struct {                  /* for proxy_queue.c: proxies that may have something to give back */
    pthread_mutex_t mutex;  /* protects the list */
    struct braid_list list; /* with a reference to each */
    int64_t settled;        /* when a tick last ran settle_idle; the I/O thread only */
    atomic_uint count;
  } active;
  struct { /* for relay.c: channels, and open connections; the I/O thread only */
    struct braid_list channels, links;
    uint32_t last_channel;
  } relay;
} braid_proxies;

/* ---- which locks the tasks of this process hold ---- */

bool braid_proxy_hold(struct braid_proxy *lock, uint64_t owner); /* false when memory is out */
bool braid_proxy_holds(struct braid_proxy *lock, uint64_t owner);
bool braid_proxy_unhold(struct braid_proxy *lock, uint64_t owner); /* false: it does not hold it */
/* The owner has ended: tells the homes of all its locks. */
void braid_proxy_abandon(uint64_t owner);

#endif
