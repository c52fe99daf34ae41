/* SPDX-License-Identifier: MIT
 * For C tests with neighbours: one call of a proxy to its home, and what came of it. */
#ifndef BRAID_CALLER_H
#define BRAID_CALLER_H

#include "core/process/proxy.h"
#include "neighbours.h"

struct caller {
  struct neighbours *n;
  struct braid_waiter waiter;
  struct braid_proxy_call *call; /* NULL: it is over */
  struct braid_item item;        /* of the answer; the test's */
  int64_t extra;
};

/* How the call ended; BRAID_WAIT: it is not answered yet. */
static inline enum braid_status caller_look(struct caller *caller) {
  neighbours_settle(caller->n);
  if (!caller->call || !braid_proxy_answered(caller->call)) return BRAID_WAIT;
  check(caller->waiter.state == 1);
  enum braid_status status = caller->call->status;
  caller->item = caller->call->item;
  caller->extra = caller->call->extra;
  braid_proxy_free(caller->call);
  caller->call = NULL;
  return status;
}

static inline enum braid_status caller_begin(struct caller *caller, struct braid_proxy *proxy,
                                             enum braid_call_operation operation, struct braid_call call,
                                             const char *key, struct braid_item item) {
  struct braid_queue_cell cell = {.item = item};
  caller->call = NULL;
  caller->item = (struct braid_item){0};
  caller->waiter.state = 0;
  struct braid_wait_node *node = neighbours_arm(caller->n, &caller->waiter);
  enum braid_status status = braid_proxy_call(proxy, operation, &call, key, &cell, node, &caller->call);
  return status == BRAID_WAIT ? caller_look(caller) : status;
}

/* With an owner and a number. */
static inline enum braid_status caller_ask(struct caller *caller, struct braid_proxy *proxy,
                                           enum braid_call_operation operation, uint64_t owner, int64_t number) {
  return caller_begin(caller, proxy, operation, (struct braid_call){.owner = owner, .number = number}, NULL,
                      (struct braid_item){0});
}

/* The wait ends before the answer, as by a timeout. */
static inline enum braid_status caller_cancel(struct caller *caller) {
  check(braid_loop_end_wait(&caller->n->io_thread.loop, &caller->waiter, BRAID_TIMEOUT));
  neighbours_settle(caller->n);
  caller->waiter.state = 0;
  if (braid_proxy_cancel(caller->call, neighbours_arm(caller->n, &caller->waiter))) return caller_look(caller);
  caller->waiter.state = 1;
  return caller_look(caller);
}

#endif
