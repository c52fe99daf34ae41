/* SPDX-License-Identifier: MIT
 * Deadlocks in lists of waits: what is one, and what only looks like one. */
#include "core/inspect/wait_graph.h"

#include <stdlib.h>

#include "check.h"

enum {
  HERE = 100,
  CHILD = 200,
  GRANDCHILD = 300,
  STATE = 8,
  OTHER = 16,
  A = 32,
  B = 40,
  C = 48,
  LOCK = 64,
  QUEUE = 72,
  POOL = 80,
  JOB = 88
};

static struct braid_buffer list;

static void put(struct braid_wait_record record) { braid_wait_record_add(&list, record); }
static void process(uint64_t pid, uint32_t states) {
  put((struct braid_wait_record){.kind = BRAID_WAIT_PROCESS, .who = pid, .count = states});
}
static void state(uint64_t number, uint8_t flags) {
  put((struct braid_wait_record){.kind = BRAID_WAIT_STATE, .who = number, .flags = flags, .other = 7});
}
static void task(uint64_t number, uint64_t in) {
  put((struct braid_wait_record){.kind = BRAID_WAIT_TASK, .who = number, .what = in, .count = 5});
}
static void waits(uint64_t number, enum braid_wait_kind kind, uint64_t what, uint64_t other) {
  put((struct braid_wait_record){.kind = (uint8_t)kind, .who = number, .what = what, .other = other});
}

/* Waits for a lock that another task holds. */
static void waits_for_lock(uint64_t number, uint64_t lock, uint64_t holder) {
  waits(number, BRAID_WAIT_FOR_LOCK, lock, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_OWNER, .what = lock, .other = holder});
}

/* How many tasks never go on. */
static size_t stuck(void) {
  size_t count;
  free(braid_wait_graph_find(&list, &list, &count));
  return count;
}

static void begin(void) {
  braid_buffer_term(&list);
  braid_buffer_init(&list);
  process(HERE, 1);
  state(STATE, 0);
}

static void a_ring_of_locks_is_one(void) {
  begin();
  task(A, STATE);
  task(B, STATE);
  task(C, STATE);
  waits_for_lock(A, LOCK, B);
  waits_for_lock(B, LOCK + 8, C);
  check(stuck() == 0); /* C may go on */
  waits_for_lock(C, LOCK + 16, A);
  check(stuck() == 3);
}

static void an_open_state_wakes_what_it_knows(void) {
  begin();
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_LOCAL, QUEUE, 0);
  check(stuck() == 1);
  task(B, STATE);
  check(stuck() == 0);
  braid_buffer_term(&list);
  braid_buffer_init(&list);
  process(HERE, 1);
  state(STATE, BRAID_WAIT_OPEN);
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_LOCAL, QUEUE, 0);
  check(stuck() == 0);
}

static void who_is_not_known_may_wake(void) {
  begin();
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_OBJECT, QUEUE, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_HOLD, .who = STATE, .what = QUEUE, .count = 1});
  put((struct braid_wait_record){.kind = BRAID_WAIT_REFS, .what = QUEUE, .count = 2});
  check(stuck() == 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_HOLD, .who = OTHER, .what = QUEUE, .count = 1});
  check(stuck() == 0); /* the other state has not told */
  state(OTHER, 0);
  check(stuck() == 1);
}

static void what_has_moved_goes_on(void) {
  struct braid_buffer before;
  size_t count;
  begin();
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_TASK, A, 0);
  before = list;
  braid_buffer_init(&list);
  process(HERE, 1);
  state(STATE, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_TASK, .who = A, .what = STATE, .count = 6});
  waits(A, BRAID_WAIT_FOR_TASK, A, 0);
  free(braid_wait_graph_find(&list, &before, &count));
  check(count == 0);
  free(braid_wait_graph_find(&before, &before, &count));
  check(count == 1);
  braid_buffer_term(&before);
}

static void a_lock_that_changes_hands_is_held_by_nobody(void) {
  struct braid_buffer before;
  size_t count;
  begin();
  task(A, STATE);
  waits_for_lock(A, LOCK, A);
  check(stuck() == 1);
  before = list;
  braid_buffer_init(&list);
  process(HERE, 1);
  state(STATE, 0);
  task(A, STATE);
  task(B, STATE);
  waits(B, BRAID_WAIT_FOR_TASK, B, 0);
  waits_for_lock(A, LOCK, B);
  free(braid_wait_graph_find(&list, &before, &count));
  check(count == 0);
  braid_buffer_term(&before);
}

static void a_scope_waits_for_all_its_children(void) {
  begin();
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_SCOPE, 256, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_TASK, .who = B, .what = STATE, .other = 256, .count = 5});
  put((struct braid_wait_record){.kind = BRAID_WAIT_TASK, .who = C, .what = STATE, .other = 256, .count = 5});
  check(stuck() == 0);
  waits(B, BRAID_WAIT_FOR_TASK, B, 0);
  check(stuck() == 2); /* C goes on, but the scope does not end */
}

static void jobs_are_followed_into_processes(void) {
  begin();
  task(A, STATE);
  put((struct braid_wait_record){.kind = BRAID_WAIT_FOR_FAR_JOB, .who = A, .what = 9, .count = CHILD});
  put((struct braid_wait_record){.kind = BRAID_WAIT_EXPORT, .who = 8, .what = LOCK, .other = CHILD, .count = 1});
  put((struct braid_wait_record){.kind = BRAID_WAIT_OWNER, .what = LOCK, .other = A});
  check(stuck() == 0); /* the child has not told */
  process(CHILD, 1);
  state(OTHER, 0);
  task(B, OTHER);
  put((struct braid_wait_record){.kind = BRAID_WAIT_RUN, .who = B, .what = JOB, .other = POOL, .count = 9});
  put((struct braid_wait_record){.kind = BRAID_WAIT_FOR_FAR_LOCK, .who = B, .what = 8, .count = CHILD});
  check(stuck() == 2);
}

/* A worker process whose own state is not there yet: the job has not begun. */
static void a_process_that_starts_goes_on(void) {
  for (uint32_t states = 0; states < 2; states++) {
    begin();
    task(A, STATE);
    put((struct braid_wait_record){.kind = BRAID_WAIT_FOR_POOL, .who = A, .what = POOL, .count = 1});
    put((struct braid_wait_record){.kind = BRAID_WAIT_CHILD, .who = CHILD, .what = POOL});
    process(CHILD, states);
    if (states) state(OTHER, 0);
    check(stuck() == states);
  }
}

/* A queue of this process, which the child's child waits for. */
static void objects_are_followed_through_a_process_in_the_middle(void) {
  begin();
  put((struct braid_wait_record){.kind = BRAID_WAIT_EXPORT, .who = 8, .what = QUEUE, .other = CHILD, .count = 1});
  put((struct braid_wait_record){.kind = BRAID_WAIT_REFS, .what = QUEUE, .count = 1});
  process(GRANDCHILD, 1);
  state(OTHER, 0);
  task(A, OTHER);
  put((struct braid_wait_record){.kind = BRAID_WAIT_FOR_FAR_OBJECT, .who = A, .what = 16, .count = GRANDCHILD});
  process(CHILD, 1);
  state(STATE, 0);
  check(stuck() == 0); /* it is not known what 16 is */
  put((struct braid_wait_record){.kind = BRAID_WAIT_RELAY, .who = 16, .what = 8, .other = GRANDCHILD, .count = CHILD});
  check(stuck() == 1);
  task(B, STATE);
  check(stuck() == 0); /* the process in the middle goes on */
}

/* A queue of the child: its number has the lowest bit. */
static void objects_of_children_are_followed(void) {
  begin();
  task(A, STATE);
  put((struct braid_wait_record){.kind = BRAID_WAIT_FOR_FAR_OBJECT, .who = A, .what = 9, .count = CHILD});
  check(stuck() == 0);
  process(CHILD, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_EXPORT, .who = 9, .what = QUEUE, .other = HERE, .count = 1});
  put((struct braid_wait_record){.kind = BRAID_WAIT_REFS, .what = QUEUE, .count = 1});
  check(stuck() == 1);
  put((struct braid_wait_record){.kind = BRAID_WAIT_REFS, .what = QUEUE, .count = 2});
  check(stuck() == 0); /* somebody unknown */
}

static void a_list_that_is_cut_short_is_read_as_far_as_it_goes(void) {
  begin();
  task(A, STATE);
  waits(A, BRAID_WAIT_FOR_TASK, A, 0);
  put((struct braid_wait_record){.kind = BRAID_WAIT_TEXT, .who = A, .count = UINT32_MAX});
  check(stuck() == 1);
  list.size -= sizeof(struct braid_wait_record) + 1;
  check(stuck() == 0);
  list.size = 0;
  check(stuck() == 0);
}

CHECK_MAIN({"wait graph: a ring of locks is a deadlock", a_ring_of_locks_is_one},
           {"wait graph: an open state wakes what it knows", an_open_state_wakes_what_it_knows},
           {"wait graph: who is not known may wake", who_is_not_known_may_wake},
           {"wait graph: what has moved goes on", what_has_moved_goes_on},
           {"wait graph: a lock that changes hands", a_lock_that_changes_hands_is_held_by_nobody},
           {"wait graph: a scope waits for all its children", a_scope_waits_for_all_its_children},
           {"wait graph: jobs are followed into processes", jobs_are_followed_into_processes},
           {"wait graph: a process that starts goes on", a_process_that_starts_goes_on},
           {"wait graph: objects are followed through a process in the middle",
            objects_are_followed_through_a_process_in_the_middle},
           {"wait graph: objects of children are followed", objects_of_children_are_followed},
           {"wait graph: a list that is cut short", a_list_that_is_cut_short_is_read_as_far_as_it_goes})
