/* SPDX-License-Identifier: MIT
 * The turn of the loop. When a watch stops, its descriptor stays in the poller, because most are watched again at once,
 * which then costs at most one system call. The loop removes it when it reports an event that no watch wants.
 *
 * The inbox: a post takes its mutex, and signals the loop's wakeup only when the loop has said that it goes to sleep.
 * So many posts cost one signal, and a post between the loop's last check and its sleep is not lost. */
#include "core/loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 256 };

atomic_bool braid_loop_is_fork;

static void in_child(void) { braid_loop_is_fork = true; }

static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

int braid_loop_open(struct braid_loop *loop) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  memset(loop, 0, sizeof *loop);
  braid_list_init(&loop->lookouts);
  int error = braid_poller_open(&loop->poller);
  if (error) return error;
  error = braid_wakeup_open(&loop->wakeup);
  if (!error) {
    error = braid_poller_set(&loop->poller, loop->wakeup.read_fd, 0, BRAID_READ);
    if (error) braid_wakeup_close(&loop->wakeup);
  }
  if (error) {
    braid_poller_close(&loop->poller);
    return error;
  }
  pthread_mutex_init(&loop->inbox_mutex, NULL);
  braid_here.loop = loop;
  return 0;
}

void braid_loop_close(struct braid_loop *loop) {
  if (braid_here.loop == loop) braid_here.loop = NULL;
  braid_poller_close(&loop->poller);
  braid_wakeup_close(&loop->wakeup);
  braid_deadlines_term(&loop->sleepers);
  braid_deadlines_term(&loop->alarms);
  pthread_mutex_destroy(&loop->inbox_mutex);
  free(loop->slots);
}

/* ---- posting -------------------------------------------------------------------------------------------------- */

void braid_loop_post(struct braid_waiter *waiter) {
  struct braid_loop *loop = waiter->home;
  if (loop == braid_here.loop) {
    braid_wake_list_push(&loop->ready, waiter);
    return;
  }
  pthread_mutex_lock(&loop->inbox_mutex);
  braid_wake_list_push(&loop->inbox, waiter);
  atomic_store_explicit(&loop->mail, true, memory_order_release);
  bool ring = loop->asleep;
  loop->asleep = false;
  /* Inside the mutex: once it is free, the loop may take the waiter, end, and free its memory. */
  if (ring) braid_wakeup_signal(&loop->wakeup);
  pthread_mutex_unlock(&loop->inbox_mutex);
}

void braid_loop_post_all(struct braid_wake_list *woken) {
  struct braid_waiter *waiter;
  while ((waiter = braid_wake_list_pop(woken))) braid_loop_post(waiter);
}

void braid_loop_take_mail(struct braid_loop *loop) {
  if (!atomic_load_explicit(&loop->mail, memory_order_acquire)) return;
  pthread_mutex_lock(&loop->inbox_mutex);
  struct braid_wake_list mail = loop->inbox;
  loop->inbox = (struct braid_wake_list){0};
  atomic_store_explicit(&loop->rests, false, memory_order_relaxed);
  atomic_store_explicit(&loop->mail, false, memory_order_release);
  pthread_mutex_unlock(&loop->inbox_mutex);
  if (!mail.first) return;
  if (loop->ready.last)
    loop->ready.last->next = mail.first;
  else
    loop->ready.first = mail.first;
  loop->ready.last = mail.last;
}

static bool is_ready(const struct braid_loop *loop, const struct braid_waiter *waiter) {
  const struct braid_waiter *at = loop->ready.first;
  while (at && at != waiter) at = at->next;
  return at != NULL;
}

void braid_loop_await(struct braid_loop *loop, const struct braid_waiter *waiter) {
  braid_loop_take_mail(loop);
  while (!is_ready(loop, waiter) && !braid_loop_is_fork) { /* in a fork the other thread does not exist */
    sched_yield();
    braid_loop_take_mail(loop);
  }
}

void braid_loop_withdraw(struct braid_loop *loop, bool (*belongs)(const struct braid_waiter *waiter, void *context),
                         void *context) {
  struct braid_wake_list kept = {0};
  struct braid_waiter *waiter;
  while ((waiter = braid_wake_list_pop(&loop->ready)))
    if (!belongs(waiter, context)) braid_wake_list_push(&kept, waiter);
  loop->ready = kept;
}

void braid_loop_interrupt(struct braid_loop *loop) {
  atomic_fetch_add(&loop->interrupts, 1);
  braid_wakeup_signal(&loop->wakeup);
}

/* ---- deadlines ------------------------------------------------------------------------------------------------ */

bool braid_loop_sleep(struct braid_loop *loop, struct braid_waiter *waiter, int64_t deadline) {
  return braid_deadlines_push(&loop->sleepers, deadline, &waiter->node.place);
}

void braid_loop_unsleep(struct braid_loop *loop, struct braid_waiter *waiter) {
  braid_deadlines_remove(&loop->sleepers, &waiter->node.place);
}

bool braid_loop_end_wait(struct braid_loop *loop, struct braid_waiter *waiter, enum braid_status status) {
  if (!braid_waiter_claim(waiter, status)) return false;
  braid_wait_node_leave(&waiter->node);
  braid_wake_list_push(&loop->ready, waiter);
  return true;
}

bool braid_alarm_start(struct braid_loop *loop, struct braid_alarm *alarm, int64_t deadline) {
  braid_deadlines_remove(&loop->alarms, &alarm->place);
  return deadline == BRAID_NEVER || braid_deadlines_push(&loop->alarms, deadline, &alarm->place);
}

void braid_alarm_stop(struct braid_loop *loop, struct braid_alarm *alarm) {
  braid_deadlines_remove(&loop->alarms, &alarm->place);
}

static bool fire_sleeper(struct braid_loop *loop, int64_t now) {
  uint32_t *place = braid_deadlines_pop(&loop->sleepers, now);
  if (place) braid_loop_end_wait(loop, braid_container(place, struct braid_waiter, node.place), BRAID_TIMEOUT);
  return place != NULL;
}

static bool fire_alarm(struct braid_loop *loop, int64_t now) {
  uint32_t *place = braid_deadlines_pop(&loop->alarms, now);
  if (!place) return false;
  struct braid_alarm *alarm = braid_container(place, struct braid_alarm, place);
  alarm->fire(alarm);
  return true;
}

static void fire_deadlines(struct braid_loop *loop) {
  if (loop->sleepers.count == 0 && loop->alarms.count == 0) return;
  int64_t now = braid_time_now();
  while (fire_sleeper(loop, now)) continue;
  while (fire_alarm(loop, now)) continue;
}

int64_t braid_loop_first_deadline(const struct braid_loop *loop) {
  int64_t sleeper = braid_deadlines_first(&loop->sleepers), alarm = braid_deadlines_first(&loop->alarms);
  return alarm < sleeper ? alarm : sleeper;
}

bool braid_loop_fire(struct braid_loop *loop) {
  int64_t now = braid_time_now();
  bool alarm = braid_deadlines_first(&loop->alarms) < braid_deadlines_first(&loop->sleepers);
  return alarm ? fire_alarm(loop, now) : fire_sleeper(loop, now);
}

/* ---- descriptors ---------------------------------------------------------------------------------------------- */

static struct braid_slot *slot_of(struct braid_loop *loop, int fd) {
  if (fd >= loop->slot_count) {
    if (fcntl(fd, F_GETFD) < 0) return NULL; /* the number may be arbitrarily large, so do not allocate for it */
    int count = loop->slot_count ? loop->slot_count : 64;
    while (count <= fd) count *= 2;
    struct braid_slot *slots = realloc(loop->slots, (size_t)count * sizeof *slots);
    if (!slots) return NULL;
    memset(slots + loop->slot_count, 0, (size_t)(count - loop->slot_count) * sizeof *slots);
    loop->slots = slots;
    loop->slot_count = count;
  }
  return &loop->slots[fd];
}

static int wanted(const struct braid_slot *slot) {
  int events = 0;
  for (const struct braid_watch *watch = slot->watches; watch; watch = watch->next) events |= watch->events;
  return events;
}

static int tell_poller(struct braid_loop *loop, struct braid_slot *slot, int fd, int events) {
  int error = braid_poller_set(&loop->poller, fd, slot->polled, events);
  slot->polled = error ? 0 : (int8_t)events;
  return error;
}

static void join_slot(struct braid_loop *loop, struct braid_slot *slot, struct braid_watch *watch, int fd, int events) {
  watch->fd = fd;
  watch->events = events;
  watch->next = slot->watches;
  slot->watches = watch;
  loop->watch_count++;
}

int braid_watch_start(struct braid_loop *loop, struct braid_watch *watch, int fd, int events) {
  if (fd < 0 || (fd >= loop->slot_count && fcntl(fd, F_GETFD) < 0)) return EBADF; /* before its slot is allocated */
  errno = ENOMEM;
  struct braid_slot *slot = slot_of(loop, fd);
  if (!slot) return errno;
  /* Tell the poller even if nothing seems to change: the number may have been closed and reused since. */
  int error = tell_poller(loop, slot, fd, wanted(slot) | events);
  if (!error) join_slot(loop, slot, watch, fd, events);
  return error;
}

int braid_watch_resume(struct braid_loop *loop, struct braid_watch *watch, int fd, int events) {
  struct braid_slot *slot = &loop->slots[fd];
  int all = wanted(slot) | events, error = all == slot->polled ? 0 : tell_poller(loop, slot, fd, all);
  if (!error) join_slot(loop, slot, watch, fd, events);
  return error;
}

int braid_watch_change(struct braid_loop *loop, struct braid_watch *watch, int events) {
  if (events == 0) {
    braid_watch_stop(loop, watch);
    return 0;
  }
  watch->events = events;
  struct braid_slot *slot = &loop->slots[watch->fd];
  int all = wanted(slot);
  return all == slot->polled ? 0 : tell_poller(loop, slot, watch->fd, all);
}

void braid_watch_stop(struct braid_loop *loop, struct braid_watch *watch) {
  if (watch->events == 0) return;
  watch->events = 0;
  for (struct braid_watch **at = &loop->slots[watch->fd].watches; *at; at = &(*at)->next) {
    if (*at != watch) continue;
    if (loop->cursor == watch) loop->cursor = watch->next;
    *at = watch->next;
    loop->watch_count--;
    return;
  }
}

void braid_loop_forget(struct braid_loop *loop, int fd) {
  if (fd < 0 || fd >= loop->slot_count) return;
  struct braid_slot *slot = &loop->slots[fd];
  if (slot->polled && !slot->watches) tell_poller(loop, slot, fd, 0);
}

/* A descriptor was closed here, but another process (a child, say) still holds its file: it reports events for ever,
 * and its number no longer removes it from the poller. So open a new poller. If that fails, the old one stays. */
static void renew_poller(struct braid_loop *loop) {
  struct braid_poller poller;
  if (braid_poller_open(&poller)) return;
  if (braid_poller_set(&poller, loop->wakeup.read_fd, 0, BRAID_READ)) {
    braid_poller_close(&poller);
    return;
  }
  braid_poller_close(&loop->poller);
  loop->poller = poller;
  for (int fd = 0; fd < loop->slot_count; fd++) {
    loop->slots[fd].polled = 0;
    if (loop->slots[fd].watches) tell_poller(loop, &loop->slots[fd], fd, wanted(&loop->slots[fd]));
  }
}

static void serve_event(struct braid_loop *loop, const struct braid_event *event) {
  if (event->fd == loop->wakeup.read_fd) {
    braid_wakeup_clear(&loop->wakeup);
    return;
  }
  struct braid_slot *slot = &loop->slots[event->fd];
  int want = wanted(slot);
  if ((want != slot->polled || !want) && tell_poller(loop, slot, event->fd, want)) renew_poller(loop);
  for (struct braid_watch *watch = slot->watches; watch; watch = loop->cursor) {
    loop->cursor = watch->next;
    int events = watch->events & event->events;
    if (events) watch->fire(watch, events);
    slot = &loop->slots[event->fd];
  }
  loop->cursor = NULL;
}

/* ---- the turn ------------------------------------------------------------------------------------------------- */

/* The time until `deadline` or the loop's own first deadline, whichever is earlier. */
static int64_t time_left(const struct braid_loop *loop, int64_t deadline) {
  int64_t first = braid_loop_first_deadline(loop);
  if (deadline < first) first = deadline;
  if (first == BRAID_NEVER) return BRAID_NEVER;
  int64_t left = first - braid_time_now();
  return left > 0 ? left : 0;
}

/* Marks the loop as asleep, so that every later post signals the wakeup. False when the inbox is not empty. */
static bool fall_asleep(struct braid_loop *loop) {
  pthread_mutex_lock(&loop->inbox_mutex);
  bool asleep = loop->asleep = !loop->inbox.first;
  pthread_mutex_unlock(&loop->inbox_mutex);
  return asleep;
}

static void wake_up(struct braid_loop *loop) {
  pthread_mutex_lock(&loop->inbox_mutex);
  loop->asleep = false;
  pthread_mutex_unlock(&loop->inbox_mutex);
}

static void wait_for_events(struct braid_loop *loop, int64_t timeout) {
  struct braid_event events[EVENTS];
  int count = braid_poller_wait(&loop->poller, timeout, events, EVENTS);
  for (int i = 0; i < count; i++) serve_event(loop, &events[i]);
}

static bool look(struct braid_loop *loop, enum braid_look how) {
  bool came = false;
  for (struct braid_list *at = loop->lookouts.next; at != &loop->lookouts; at = at->next) {
    struct braid_lookout *lookout = braid_container(at, struct braid_lookout, sibling);
    if (lookout->look(lookout, how)) came = true;
  }
  return came;
}

/* Yields, because the thread that it waits for may need this core. False: a modest loop finds that others need it. */
static bool yield(struct braid_loop *loop, int64_t *now) {
  enum { LONG = 100 * 1000, MEANWHILE = 20 * 1000 * 1000 };
  int64_t before = *now;
  sched_yield();
  *now = braid_clock_now();
  if (!loop->modest || *now - before < LONG) return true;
  loop->crowded = *now + MEANWHILE;
  return false;
}

static bool spin(struct braid_loop *loop) {
  enum { LOOKS = 32 };
  int64_t now = braid_clock_now(), end = now + loop->patience;
  do {
    for (int i = 0; i < LOOKS; i++) {
      if (atomic_load_explicit(&loop->mail, memory_order_acquire) || look(loop, BRAID_LOOK_AGAIN)) return true;
      braid_thread_relax();
    }
  } while (yield(loop, &now) && now < end);
  return false;
}

/* Waking a thread on another core takes longer than most answers do. So after a short sleep the loop first spins: it
 * checks its inbox and its lookouts for about the time of a wake-up. If nothing comes, it does not spin again until a
 * sleep was short. A modest loop does not spin while other threads want the cores: a sleeper gets a core back sooner
 * than one that has yielded. */
static bool try_briefly(struct braid_loop *loop) {
  if (loop->patience == 0) return false;
  if (!braid_list_empty(&loop->lookouts)) atomic_store(&loop->rests, false); /* something may come without a post */
  look(loop, BRAID_LOOK_BEGIN);
  bool came = spin(loop);
  look(loop, BRAID_LOOK_END);
  if (!came) loop->patience = 0;
  return came || loop->ready.first; /* the end of a look may post to this loop */
}

/* Sleeps. A short sleep makes the loop spin next time. */
static void sleep_socially(struct braid_loop *loop, int64_t timeout) {
  enum { SHORT = 100 * 1000, PATIENCE = 30 * 1000 };
  int64_t began = braid_clock_now();
  atomic_store_explicit(&loop->sleeping, true, memory_order_relaxed);
  wait_for_events(loop, timeout);
  atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
  int64_t now = braid_clock_now(), slept = now - began;
  loop->idle += slept;
  if (loop->social && slept < SHORT && now > loop->crowded) loop->patience = PATIENCE;
}

static void collect(struct braid_loop *loop, int64_t deadline) {
  braid_here.loop = loop;
  int64_t timeout = loop->ready.first ? 0 : time_left(loop, deadline);
  if (timeout > 0 && !try_briefly(loop) && fall_asleep(loop)) {
    sleep_socially(loop, timeout);
    wake_up(loop);
  } else if (loop->watch_count > 0) {
    wait_for_events(loop, 0);
  }
}

void braid_loop_poll(struct braid_loop *loop, int64_t deadline) {
  collect(loop, deadline);
  fire_deadlines(loop);
  braid_loop_take_mail(loop);
}

void braid_loop_collect(struct braid_loop *loop, int64_t deadline) {
  collect(loop, deadline);
  braid_loop_take_mail(loop);
}

bool braid_loop_barren(const struct braid_loop *loop) {
  return !loop->ready.first && loop->sleepers.count == 0 && loop->alarms.count == 0 && loop->watch_count == 0 &&
         !atomic_load(&loop->mail);
}
