/* SPDX-License-Identifier: MIT
 * Each thread that runs Lua has one loop: deadlines, descriptors, and an inbox to which other threads post. The loop
 * knows no Lua; it yields waiters that are ready to be resumed. Only its own thread may use it, except where noted. */
#ifndef BRAID_LOOP_H
#define BRAID_LOOP_H

#include "core/base/virtual_clock.h"
#include "core/loop/wakeup.h"
#include "core/base/deadlines.h"
#include "core/base/list.h"
#include "core/loop/poller.h"
#include "core/loop/waiter.h"

/* Interest in events of a descriptor. The loop calls `fire` in its turn. It never calls Lua; it may start and stop
 * watches. */
struct braid_watch {
  void (*fire)(struct braid_watch *watch, int events);
  struct braid_watch *next; /* the next watch of the same descriptor */
  int fd, events;
};

/* The loop calls `fire` in its turn after the deadline. It never calls Lua. */
struct braid_alarm {
  void (*fire)(struct braid_alarm *alarm);
  uint32_t place;
};

/* Something that can be looked at without a system call: what the loop waits for may be there already. When the loop
 * spins before it sleeps, it calls `look` with BRAID_LOOK_BEGIN, then again and again, then with BRAID_LOOK_END. It
 * never calls Lua. */
enum braid_look { BRAID_LOOK_BEGIN, BRAID_LOOK_AGAIN, BRAID_LOOK_END };

struct braid_lookout {
  struct braid_list sibling;
  bool (*look)(struct braid_lookout *lookout, enum braid_look how); /* AGAIN: true if something has come */
};

struct braid_slot { /* one for each descriptor number */
  struct braid_watch *watches;
  int8_t polled; /* the events that the poller was last told to report */
};

struct braid_loop {
  struct braid_poller poller;
  struct braid_wakeup wakeup;
  struct braid_deadlines sleepers; /* waiters' deadlines */
  struct braid_deadlines alarms;
  struct braid_list lookouts;
  struct braid_wake_list ready; /* claimed waiters, oldest first */
  struct braid_slot *slots;
  int slot_count;
  unsigned watch_count;
  struct braid_watch *cursor; /* the watch to serve next, while an event is served */
  pthread_mutex_t inbox_mutex;
  struct braid_wake_list inbox; /* guarded by inbox_mutex, as is `asleep` */
  bool asleep;
  bool social;            /* other threads answer this one: after a short sleep it spins before it sleeps again */
  int64_t patience;       /* ns that it may spin next time; 0: it does not */
  bool modest;            /* it does not spin while others want the cores */
  int64_t crowded;        /* until then a modest loop does not spin */
  int64_t idle;           /* total ns asleep */
  atomic_bool sleeping;   /* it waits for events now; for others to look at */
  atomic_bool mail;       /* the inbox is not empty; read without the mutex */
  atomic_bool rests;      /* for its owner: nothing has come in or run since it was set; cleared before `mail` is */
  atomic_uint interrupts; /* how often braid_loop_interrupt was called */
};

/* 0 or an error number. */
int braid_loop_open(struct braid_loop *loop);
/* True in a process that was forked while there were loops. There the descriptors are shared with the parent, the other
 * threads do not exist, and locks may be held for ever. Loops, and all that threads share, must not be used then. */
extern atomic_bool braid_loop_is_fork;

void braid_loop_close(struct braid_loop *loop);

/* Collects what is ready: events, deadlines, posted waiters. Sleeps until something is ready or `deadline` passes (0:
 * does not sleep). Does not sleep while a waiter is ready. */
void braid_loop_poll(struct braid_loop *loop, int64_t deadline);

/* The same, but leaves alone the loop's own deadlines, even if one has passed. */
void braid_loop_collect(struct braid_loop *loop, int64_t deadline);

/* The earliest deadline; BRAID_NEVER: there is none. */
int64_t braid_loop_first_deadline(const struct braid_loop *loop);

/* Ends the wait, or fires the alarm, whose deadline is the earliest and has passed. False when there is none. */
bool braid_loop_fire(struct braid_loop *loop);

/* True when no deadline, descriptor or ready waiter is left: only another thread or a signal could end a sleep. */
bool braid_loop_barren(const struct braid_loop *loop);

/* Moves what other threads have posted to the ready list. */
void braid_loop_take_mail(struct braid_loop *loop);

/* The next waiter that is ready, or NULL. */
static inline struct braid_waiter *braid_loop_next(struct braid_loop *loop) {
  return braid_wake_list_pop(&loop->ready);
}

/* Posts a claimed waiter to its home loop. Any thread; does not block; cannot fail. */
void braid_loop_post(struct braid_waiter *waiter);

/* The same for all in the list. */
void braid_loop_post_all(struct braid_wake_list *woken);

/* Blocks until the waiter, which another thread is just posting, has come home. It stays in the ready list. */
void braid_loop_await(struct braid_loop *loop, const struct braid_waiter *waiter);

/* Takes those waiters out of the ready list for which `belongs` is true. For an owner that ends before they were taken.
 */
void braid_loop_withdraw(struct braid_loop *loop, bool (*belongs)(const struct braid_waiter *waiter, void *context),
                         void *context);

/* Gives a waiting waiter a deadline, at which it is claimed with BRAID_TIMEOUT. False when memory is out. */
bool braid_loop_sleep(struct braid_loop *loop, struct braid_waiter *waiter, int64_t deadline);
void braid_loop_unsleep(struct braid_loop *loop, struct braid_waiter *waiter);

/* Claims a waiter of this loop, removes it from its wait queue and makes it ready. For timeouts and cancels, which the
 * home thread performs. False when something else has ended the wait first. */
bool braid_loop_end_wait(struct braid_loop *loop, struct braid_waiter *waiter, enum braid_status status);

/* Starts the alarm, or moves it if it is started. False when memory is out. */
bool braid_alarm_start(struct braid_loop *loop, struct braid_alarm *alarm, int64_t deadline);
void braid_alarm_stop(struct braid_loop *loop, struct braid_alarm *alarm);

/* From now on the loop uses the lookout, or no longer. */
static inline void braid_lookout_start(struct braid_loop *loop, struct braid_lookout *lookout) {
  braid_list_push(&loop->lookouts, &lookout->sibling);
}
static inline void braid_lookout_stop(struct braid_lookout *lookout) { braid_list_remove(&lookout->sibling); }

/* Watches `fd` for `events`. Returns 0 or an error number; EPERM: the descriptor is always ready and cannot be watched
 * (a regular file). */
int braid_watch_start(struct braid_loop *loop, struct braid_watch *watch, int fd, int events);

/* The same for a descriptor that the caller has watched in this loop before, and that was open ever since: then the
 * system need not be told again what it knows. */
int braid_watch_resume(struct braid_loop *loop, struct braid_watch *watch, int fd, int events);

/* Changes the events of a started watch; 0 stops it. Returns 0 or an error number. */
int braid_watch_change(struct braid_loop *loop, struct braid_watch *watch, int events);

/* Does nothing when the watch is not started. */
void braid_watch_stop(struct braid_loop *loop, struct braid_watch *watch);

/* Nobody watches the descriptor any more, and another thread is going to close it: the poller must not meet its number
 * then. Where the loop's own thread closes it, this is not necessary. */
void braid_loop_forget(struct braid_loop *loop, int fd);

/* Makes the loop run a turn soon. Any thread, and signal handlers; does not block. */
void braid_loop_interrupt(struct braid_loop *loop);

#endif
