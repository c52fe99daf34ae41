/* SPDX-License-Identifier: MIT
 * One loop for each thread that runs Lua: deadlines, descriptors, and an inbox that other threads post to. It knows
 * no Lua: what it yields are waiters that are ready to go on. The loop's thread only, except where said otherwise. */
#ifndef BRAID_LOOP_H
#define BRAID_LOOP_H

#include "core/base/clock.h"
#include "core/loop/wakeup.h"
#include "core/base/heap.h"
#include "core/loop/poller.h"
#include "core/loop/waiter.h"

/* Interest in a descriptor. `fire` runs in the loop's turn and never calls Lua; it may start and stop watches. */
struct braid_watch {
  void (*fire)(struct braid_watch *watch, int events);
  struct braid_watch *next; /* on the same descriptor */
  int fd, events;
};

/* A callback at a deadline, in the loop's turn. It never calls Lua. */
struct braid_alarm {
  void (*fire)(struct braid_alarm *alarm);
  uint32_t place;
};

struct braid_slot { /* one for each descriptor number */
  struct braid_watch *watches;
  int8_t polled; /* what the poller was last told */
};

struct braid_loop {
  struct braid_poller poller;
  struct braid_wakeup wakeup;
  struct braid_heap sleepers; /* waiters' deadlines */
  struct braid_heap alarms;
  struct braid_wake_list ready; /* waiters that have come home, oldest first */
  struct braid_slot *slots;
  int slot_count;
  unsigned watch_count;
  struct braid_watch *cursor; /* the next watch of the descriptor that is being served */
  pthread_mutex_t inbox_mutex;
  struct braid_wake_list inbox; /* guarded by inbox_mutex, as is `asleep` */
  bool asleep;
  bool social;            /* other threads answer this one: it is worth trying for a moment before it sleeps */
  int64_t patience;       /* ns: how long the next try may take */
  int64_t idle;           /* ns that it has slept */
  atomic_bool mail;       /* the inbox is not empty: a look without the mutex */
  atomic_uint interrupts; /* signals that asked for attention */
};

/* 0 or an error number. */
int braid_loop_open(struct braid_loop *loop);
/* Set in a process that was forked while there were loops: their descriptors are the parent's, too, their threads are
 * not there, and locks may be held for ever. Nothing of the loops, or of what threads share, may be used then. */
extern bool braid_loop_is_fork;

void braid_loop_close(struct braid_loop *loop);

/* Collects all that is ready: events, deadlines, mail. Sleeps until something is, at most until `deadline`
 * (0: does not sleep), and not at all while a waiter is ready. */
void braid_loop_poll(struct braid_loop *loop, int64_t deadline);

/* True when nothing in this process could ever end a sleep of this loop, other threads and signals aside. */
bool braid_loop_barren(const struct braid_loop *loop);

/* What other threads have posted is ready from now on. */
void braid_loop_take_mail(struct braid_loop *loop);

/* The next waiter that is ready, or NULL. */
static inline struct braid_waiter *braid_loop_next(struct braid_loop *loop) {
  return braid_wake_list_pop(&loop->ready);
}

/* Sends a claimed waiter home. Any thread; does not block. Cannot fail. */
void braid_loop_post(struct braid_waiter *waiter);

/* The same for all in the list. */
void braid_loop_post_all(struct braid_wake_list *woken);

/* A deadline for a waiter that waits: it is claimed with BRAID_TIMEOUT then. False when memory is out. */
bool braid_loop_sleep(struct braid_loop *loop, struct braid_waiter *waiter, int64_t deadline);
void braid_loop_unsleep(struct braid_loop *loop, struct braid_waiter *waiter);

/* Claims a waiter of this loop, takes it out of its wait queue and makes it ready: for timeouts and cancels, which
 * happen at home. False when another end of the wait came first. */
bool braid_loop_end_wait(struct braid_loop *loop, struct braid_waiter *waiter, enum braid_status status);

/* False when memory is out. Starting one that stands moves it. */
bool braid_alarm_start(struct braid_loop *loop, struct braid_alarm *alarm, int64_t deadline);
void braid_alarm_stop(struct braid_loop *loop, struct braid_alarm *alarm);

/* Watches `fd` for `events`; 0 or an error number. Where the descriptor is one that cannot be watched because it is
 * always ready (a regular file), the answer is EPERM. */
int braid_watch_start(struct braid_loop *loop, struct braid_watch *watch, int fd, int events);

/* 0 or an error number. The watch has been started. No events: it is stopped. */
int braid_watch_change(struct braid_loop *loop, struct braid_watch *watch, int events);

/* Nothing happens when it is not started. */
void braid_watch_stop(struct braid_loop *loop, struct braid_watch *watch);

/* Asks the loop for a turn from a signal handler or another thread; does not block. */
void braid_loop_interrupt(struct braid_loop *loop);

#endif
