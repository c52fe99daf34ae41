/* SPDX-License-Identifier: MIT
 * The loop's turn: mail from other threads, deadlines, descriptors, and attention from signals. */
#include "core/loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include "check.h"
#include "refusal.h"

static struct braid_loop loop;

static void open_loop(void) { check(braid_loop_open(&loop) == 0); }

/* The next waiter that comes home. */
static struct braid_waiter *await_one(void) {
  struct braid_waiter *waiter;
  while (!(waiter = braid_loop_next(&loop))) braid_loop_poll(&loop, BRAID_NEVER);
  return waiter;
}

/* ---- posts ---------------------------------------------------------------------------------------------------- */

enum { POSTERS = 4, POSTS = 20000 };

static struct poster {
  struct braid_guard guard;
  struct braid_wait_queue queue;
  struct braid_waiter waiters[POSTS];
  int arrived[POSTS];
  uint32_t random;
  int pause; /* a pause comes after about so many posts */
} posters[POSTERS];

static void *post_all(void *argument) {
  struct poster *poster = argument;
  for (;;) {
    braid_guard_enter(&poster->guard);
    struct braid_wait_node *node = braid_wait_queue_claim(&poster->queue, BRAID_OK);
    braid_guard_leave(&poster->guard);
    if (!node) return NULL;
    braid_loop_post(braid_wait_node_waiter(node));
    if (check_random(&poster->random) % (uint32_t)poster->pause == 0) usleep(100); /* the loop falls asleep */
  }
}

static void open_poster(struct poster *poster, int number, int pause) {
  poster->random = (uint32_t)number + 77;
  poster->pause = pause;
  braid_guard_init(&poster->guard, true);
  braid_wait_queue_init(&poster->queue, &poster->guard);
  for (int i = 0; i < POSTS; i++) {
    poster->arrived[i] = 0;
    braid_waiter_init(&poster->waiters[i], &loop, BRAID_WAITER_TASK);
    poster->waiters[i].flags = (uint32_t)(number * POSTS + i);
    braid_waiter_arm(&poster->waiters[i]);
    braid_wait_node_join(&poster->waiters[i].node, &poster->queue);
  }
}

static void check_no_post_is_lost(int pause) {
  pthread_t threads[POSTERS];
  int last[POSTERS];
  open_loop();
  for (int i = 0; i < POSTERS; i++) {
    open_poster(&posters[i], i, pause);
    check(braid_thread_start(&threads[i], post_all, &posters[i]) == 0);
    last[i] = -1;
  }
  for (int count = 0; count < POSTERS * POSTS; count++) {
    uint32_t number = await_one()->flags;
    int sender = (int)(number / POSTS), place = (int)(number % POSTS);
    check(++posters[sender].arrived[place] == 1);
    check(place == last[sender] + 1); /* and each poster's come in its order */
    last[sender] = place;
  }
  for (int i = 0; i < POSTERS; i++) {
    pthread_join(threads[i], NULL);
    braid_guard_term(&posters[i].guard);
  }
  braid_loop_poll(&loop, 0);
  check(braid_loop_next(&loop) == NULL);
  braid_loop_close(&loop);
}

static void no_post_is_lost(void) { check_no_post_is_lost(1000); }

static void no_post_to_a_sleeper_is_lost(void) { check_no_post_is_lost(20); }

/* ---- deadlines ------------------------------------------------------------------------------------------------ */

enum { SLEEPERS = 300 };

static void deadlines_come_in_order(void) {
  static struct braid_waiter sleepers[SLEEPERS];
  static int64_t deadlines[SLEEPERS];
  uint32_t random = 4711;
  open_loop();
  for (int i = 0; i < SLEEPERS; i++) {
    deadlines[i] = braid_clock_now() + (int64_t)(check_random(&random) % 50000) * 1000;
    braid_waiter_init(&sleepers[i], &loop, BRAID_WAITER_TASK);
    braid_waiter_arm(&sleepers[i]);
    check(braid_loop_sleep(&loop, &sleepers[i], deadlines[i]));
  }
  for (int i = 0; i < SLEEPERS; i += 3) braid_loop_unsleep(&loop, &sleepers[i]);
  int64_t last = 0;
  for (int i = 0; i < SLEEPERS - SLEEPERS / 3; i++) {
    struct braid_waiter *waiter = await_one();
    long which = waiter - sleepers;
    check(waiter->status == BRAID_TIMEOUT && which % 3 != 0);
    check(deadlines[which] >= last && deadlines[which] <= braid_clock_now());
    last = deadlines[which];
  }
  check(braid_loop_barren(&loop));
  braid_loop_close(&loop);
}

static void what_came_first_ends_the_wait(void) {
  struct braid_waiter waiter;
  open_loop();
  braid_waiter_init(&waiter, &loop, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_loop_sleep(&loop, &waiter, braid_clock_now()));
  check(braid_loop_end_wait(&loop, &waiter, BRAID_CANCELLED));
  check(!braid_loop_end_wait(&loop, &waiter, BRAID_INTERRUPTED));
  braid_loop_poll(&loop, 0); /* the deadline finds it claimed */
  check(braid_loop_next(&loop) == &waiter && waiter.status == BRAID_CANCELLED);
  check(braid_loop_next(&loop) == NULL);
  braid_loop_close(&loop);
}

static void sleeps_no_longer_than_asked(void) {
  open_loop();
  int64_t start = braid_clock_now();
  braid_loop_poll(&loop, start + BRAID_SECOND / 50);
  int64_t passed = braid_clock_now() - start;
  check(passed >= BRAID_SECOND / 50 && passed < 5 * BRAID_SECOND);
  start = braid_clock_now();
  braid_loop_poll(&loop, 0);
  check(braid_clock_now() - start < 5 * BRAID_SECOND);
  braid_loop_close(&loop);
}

static void does_not_sleep_while_one_is_ready(void) {
  struct braid_waiter waiter;
  open_loop();
  braid_waiter_init(&waiter, &loop, BRAID_WAITER_TASK);
  braid_waiter_arm(&waiter);
  check(braid_waiter_claim(&waiter, BRAID_OK));
  braid_loop_post(&waiter);
  check(!braid_loop_barren(&loop));
  braid_loop_poll(&loop, BRAID_NEVER);
  check(braid_loop_next(&loop) == &waiter);
  check(braid_loop_barren(&loop));
  braid_loop_close(&loop);
}

static struct clockwork {
  struct braid_alarm alarm;
  int64_t deadline;
  int fired, again;
} clockwork;

static void strike(struct braid_alarm *alarm) {
  struct clockwork *work = braid_container(alarm, struct clockwork, alarm);
  check(braid_clock_now() >= work->deadline);
  work->fired++;
  if (work->fired > work->again) return;
  work->deadline = braid_clock_now() + 1000000;
  check(braid_alarm_start(&loop, alarm, work->deadline));
}

static void alarms_fire_move_and_stop(void) {
  open_loop();
  clockwork = (struct clockwork){.alarm.fire = strike, .again = 2};
  check(braid_alarm_start(&loop, &clockwork.alarm, BRAID_NEVER));
  check(braid_loop_barren(&loop));
  check(braid_alarm_start(&loop, &clockwork.alarm, braid_clock_now() + 1000 * BRAID_SECOND));
  clockwork.deadline = braid_clock_now() + 1000000;
  check(braid_alarm_start(&loop, &clockwork.alarm, clockwork.deadline)); /* moved */
  check(!braid_loop_barren(&loop));
  while (clockwork.fired < 3) braid_loop_poll(&loop, BRAID_NEVER);
  check(braid_loop_barren(&loop));
  check(braid_alarm_start(&loop, &clockwork.alarm, braid_clock_now()));
  braid_alarm_stop(&loop, &clockwork.alarm);
  braid_alarm_stop(&loop, &clockwork.alarm); /* twice: harmless */
  braid_loop_poll(&loop, 0);
  check(clockwork.fired == 3);
  braid_loop_close(&loop);
}

/* ---- descriptors ---------------------------------------------------------------------------------------------- */

static struct spy {
  struct braid_watch watch;
  struct spy *stops; /* stopped by this one's fire */
  int fired, events;
} spies[3];

static void notice(struct braid_watch *watch, int events) {
  struct spy *spy = braid_container(watch, struct spy, watch);
  spy->fired++;
  spy->events |= events;
  if (spy->stops) braid_watch_stop(&loop, &spy->stops->watch);
}

static int ends[2]; /* of the test's pipe */

static void open_pipe(void) {
  for (int i = 0; i < 3; i++) spies[i] = (struct spy){.watch.fire = notice};
  check(pipe(ends) == 0);
}

static void close_pipe(void) {
  close(ends[0]);
  close(ends[1]);
}

static void feed(void) { check(write(ends[1], "x", 1) == 1); }

static int times_fired(struct spy *spy) {
  int before = spy->fired;
  braid_loop_poll(&loop, 0);
  return spy->fired - before;
}

static void watches_one_direction_or_both(void) {
  open_loop();
  open_pipe();
  check(braid_watch_start(&loop, &spies[0].watch, ends[0], BRAID_READ) == 0);
  check(braid_watch_start(&loop, &spies[1].watch, ends[1], BRAID_BOTH) == 0);
  check(!braid_loop_barren(&loop));
  check(times_fired(&spies[0]) == 0);
  check(spies[1].fired == 1 && spies[1].events == BRAID_WRITE);
  feed();
  check(times_fired(&spies[0]) == 1 && spies[0].events == BRAID_READ);
  check(times_fired(&spies[0]) == 1); /* as long as it is not read */
  braid_watch_stop(&loop, &spies[0].watch);
  braid_watch_stop(&loop, &spies[0].watch); /* twice: harmless */
  check(times_fired(&spies[0]) == 0);
  braid_watch_stop(&loop, &spies[1].watch);
  check(braid_loop_barren(&loop));
  close_pipe();
  braid_loop_close(&loop);
}

static void wakes_for_an_event(void) {
  open_loop();
  open_pipe();
  check(braid_watch_start(&loop, &spies[0].watch, ends[0], BRAID_READ) == 0);
  feed();
  while (spies[0].fired == 0) braid_loop_poll(&loop, BRAID_NEVER);
  braid_watch_stop(&loop, &spies[0].watch);
  close_pipe();
  braid_loop_close(&loop);
}

static void tells_that_the_other_end_has_gone(void) {
  open_loop();
  open_pipe();
  check(braid_watch_start(&loop, &spies[0].watch, ends[0], BRAID_READ) == 0);
  close(ends[1]);
  check(times_fired(&spies[0]) == 1 && spies[0].events == BRAID_READ);
  braid_watch_stop(&loop, &spies[0].watch);
  close(ends[0]);
  braid_loop_close(&loop);
}

static void several_watch_one_descriptor(void) {
  open_loop();
  open_pipe();
  for (int i = 0; i < 3; i++) check(braid_watch_start(&loop, &spies[i].watch, ends[0], BRAID_READ) == 0);
  feed();
  braid_loop_poll(&loop, 0);
  check(spies[0].fired == 1 && spies[1].fired == 1 && spies[2].fired == 1);
  spies[2].stops = &spies[1]; /* the latest is asked first, and stops its successor */
  braid_loop_poll(&loop, 0);
  check(spies[2].fired == 2 && spies[1].fired == 1 && spies[0].fired == 2);
  spies[0].stops = &spies[0]; /* itself */
  braid_loop_poll(&loop, 0);
  check(spies[2].fired == 3 && spies[0].fired == 3);
  check(times_fired(&spies[0]) == 0);
  check(loop.watch_count == 1 && spies[2].fired == 4);
  braid_watch_stop(&loop, &spies[2].watch);
  check(loop.watch_count == 0);
  close_pipe();
  braid_loop_close(&loop);
}

static void changes_what_it_waits_for(void) {
  int pair[2];
  open_loop();
  spies[0] = (struct spy){.watch.fire = notice};
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  check(braid_watch_start(&loop, &spies[0].watch, pair[0], BRAID_WRITE) == 0);
  check(times_fired(&spies[0]) == 1);
  check(braid_watch_change(&loop, &spies[0].watch, BRAID_READ) == 0);
  check(times_fired(&spies[0]) == 0);
  check(braid_watch_change(&loop, &spies[0].watch, BRAID_BOTH) == 0);
  check(times_fired(&spies[0]) == 1 && spies[0].events == BRAID_WRITE);
  check(write(pair[1], "x", 1) == 1);
  check(times_fired(&spies[0]) == 1 && spies[0].events == BRAID_BOTH);
  braid_watch_stop(&loop, &spies[0].watch);
  close(pair[0]);
  close(pair[1]);
  braid_loop_close(&loop);
}

static void a_number_is_given_out_anew(void) {
  open_loop();
  for (int i = 0; i < 10; i++) {
    open_pipe(); /* the same two numbers each time */
    check(braid_watch_start(&loop, &spies[0].watch, ends[0], BRAID_READ) == 0);
    check(times_fired(&spies[0]) == 0);
    feed();
    check(times_fired(&spies[0]) == 1);
    braid_watch_stop(&loop, &spies[0].watch);
    if (i % 2) braid_loop_poll(&loop, 0); /* a turn in between, or none */
    close_pipe();
  }
  check(loop.watch_count == 0);
  braid_loop_close(&loop);
}

static void a_number_was_for_writing(void) {
  open_loop();
  open_pipe();
  int number = ends[1];
  check(braid_watch_start(&loop, &spies[0].watch, number, BRAID_WRITE) == 0);
  check(times_fired(&spies[0]) == 1);
  braid_watch_stop(&loop, &spies[0].watch);
  close(number);
  check(dup2(ends[0], number) == number); /* the number is a reading end now */
  check(braid_watch_start(&loop, &spies[1].watch, number, BRAID_READ) == 0);
  check(times_fired(&spies[1]) == 1 && spies[1].events == BRAID_READ); /* nobody can write any more */
  braid_watch_stop(&loop, &spies[1].watch);
  close(number);
  close(ends[0]);
  braid_loop_close(&loop);
}

static void refuses_what_cannot_be_watched(void) {
  struct braid_watch watch = {.fire = notice};
  open_loop();
  FILE *file = tmpfile();
  check(file != NULL);
  if (file) check(braid_watch_start(&loop, &watch, fileno(file), BRAID_READ) == EPERM);
  if (file) fclose(file);
  check(braid_watch_start(&loop, &watch, -1, BRAID_READ) == EBADF);
  check(braid_watch_start(&loop, &watch, 1000, BRAID_READ) == EBADF);
  check(braid_watch_start(&loop, &watch, INT_MAX, BRAID_READ) == EBADF);
  check(loop.watch_count == 0 && loop.slot_count < 10000);
  braid_watch_stop(&loop, &watch);
  braid_loop_close(&loop);
}

static void sleeps_though_a_closed_descriptor_lives_on(void) {
  open_loop();
  open_pipe();
  check(braid_watch_start(&loop, &spies[0].watch, ends[0], BRAID_READ) == 0);
  braid_watch_stop(&loop, &spies[0].watch);
  int other = dup(ends[0]); /* as a child process may hold it */
  close(ends[0]);
  feed();
  int turns = 0;
  for (int64_t end = braid_clock_now() + BRAID_SECOND / 20; braid_clock_now() < end; turns++)
    braid_loop_poll(&loop, end);
  check(turns < 10);
  close(other);
  close(ends[1]);
  braid_loop_close(&loop);
}

/* ---- attention ------------------------------------------------------------------------------------------------ */

static void *interrupt_soon(void *argument) {
  usleep(5000);
  braid_loop_interrupt(argument);
  return NULL;
}

static void another_thread_interrupts(void) {
  pthread_t thread;
  open_loop();
  check(braid_thread_start(&thread, interrupt_soon, &loop) == 0);
  while (atomic_load(&loop.interrupts) == 0) braid_loop_poll(&loop, BRAID_NEVER);
  pthread_join(thread, NULL);
  braid_loop_close(&loop);
}

static void interrupt(int signal) {
  (void)signal;
  braid_loop_interrupt(&loop);
}

static void a_signal_interrupts(void) {
  open_loop();
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART}, before;
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1); /* before the sleep: it must end all the same */
  braid_loop_poll(&loop, BRAID_NEVER);
  check(atomic_load(&loop.interrupts) == 1);
  sigaction(SIGUSR1, &before, NULL);
  braid_loop_close(&loop);
}

static void a_loop_leaves_nothing_open(void) {
  int before = dup(0);
  close(before);
  for (int i = 0; i < 100; i++) {
    open_loop();
    braid_loop_close(&loop);
  }
  int after = dup(0);
  close(after);
  check(before == after);
}

#ifdef __linux__
static void cannot_open(void) { check(braid_loop_open(&loop) == EMFILE); }

static void cannot_watch(void) {
  struct braid_watch watch = {.fire = NULL};
  check(pipe(ends) == 0);
  check(braid_watch_start(&loop, &watch, ends[0], BRAID_READ) == ENOSPC && loop.watch_count == 0);
  close(ends[0]);
  close(ends[1]);
}

/* An older system sleeps in milliseconds. */
static void sleeps_in_milliseconds(void) {
  open_loop();
  int64_t begin = braid_clock_now();
  braid_loop_poll(&loop, begin + 1500000);
  check(braid_clock_now() - begin >= 1500000);
  braid_loop_close(&loop);
}

static void refusals_are_told(void) {
  refuse_call(SYS_epoll_create1, EMFILE, cannot_open);
  refuse_call(SYS_eventfd2, EMFILE, cannot_open);
  refuse_call(SYS_epoll_ctl, EMFILE, cannot_open);
  open_loop();
  refuse_call(SYS_epoll_ctl, ENOSPC, cannot_watch);
  braid_loop_close(&loop);
  refuse_call(SYS_epoll_pwait2, ENOSYS, sleeps_in_milliseconds);
}
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"loop: no post is lost", no_post_is_lost},
           {"loop: no post to a sleeper is lost", no_post_to_a_sleeper_is_lost},
           {"loop: deadlines come in order", deadlines_come_in_order},
           {"loop: what came first ends the wait", what_came_first_ends_the_wait},
           {"loop: sleeps no longer than asked", sleeps_no_longer_than_asked},
           {"loop: does not sleep while one is ready", does_not_sleep_while_one_is_ready},
           {"loop: alarms fire, move and stop", alarms_fire_move_and_stop},
           {"loop: watches one direction or both", watches_one_direction_or_both},
           {"loop: wakes for an event", wakes_for_an_event},
           {"loop: tells that the other end has gone", tells_that_the_other_end_has_gone},
           {"loop: several watch one descriptor", several_watch_one_descriptor},
           {"loop: changes what it waits for", changes_what_it_waits_for},
           {"loop: a number is given out anew", a_number_is_given_out_anew},
           {"loop: a number was for writing, is for reading", a_number_was_for_writing},
           {"loop: refuses what cannot be watched", refuses_what_cannot_be_watched},
           {"loop: sleeps though a closed descriptor lives on", sleeps_though_a_closed_descriptor_lives_on},
           {"loop: another thread interrupts", another_thread_interrupts},
           {"loop: a signal interrupts", a_signal_interrupts},
           {"loop: leaves nothing open", a_loop_leaves_nothing_open}, {"loop: refusals are told", refusals_are_told})
