/* SPDX-License-Identifier: MIT
 * States that are asked what they do: those that answer, those that cannot, those that leave; and the pokes by which
 * they are reached. */
#include "core/inspect/states.h"

#include <pthread.h>
#include <sched.h>

#include "core/base/clock.h"
#include "core/inspect/answer.h"
#include "core/inspect/inspect.h"
#include "core/inspect/poke.h"
#include "check.h"

/* A thread with a state, which answers as long as it goes on. */
struct teller {
  pthread_t thread;
  struct braid_state state;
  struct braid_loop loop;
  struct braid_poke_target target;
  atomic_int pokes;
  atomic_bool known, answers, leaves, left;
};

static void on_poke(struct braid_poke_target *target) {
  atomic_fetch_add(&braid_container(target, struct teller, target)->pokes, 1);
}

static void answer(struct teller *teller) {
  struct braid_buffer text;
  if (!(atomic_exchange(&teller->state.asked, 0) & BRAID_STATE_TELL)) return;
  braid_buffer_init(&text);
  braid_buffer_append(&text, teller->state.name, strlen(teller->state.name));
  braid_buffer_append(&text, " works\n", 7);
  braid_state_tell(&teller->state, &text);
}

static void *tell(void *context) {
  struct teller *teller = context;
  braid_poke_add(&teller->target);
  braid_state_enter(&teller->state, &teller->loop);
  braid_state_name(&teller->state, "worker \n%d", 7);
  atomic_store(&teller->known, true);
  while (!atomic_load(&teller->leaves)) {
    if (atomic_load(&teller->answers)) answer(teller);
    sched_yield();
  }
  braid_state_leave(&teller->state);
  atomic_store(&teller->left, true);
  braid_poke_remove(&teller->target);
  return NULL;
}

static void begin(struct teller *teller, bool answers) {
  memset(teller, 0, sizeof *teller);
  teller->target.poked = on_poke;
  atomic_store(&teller->answers, answers);
  check(braid_loop_open(&teller->loop) == 0);
  check(pthread_create(&teller->thread, NULL, tell, teller) == 0);
  while (!atomic_load(&teller->known)) sched_yield();
}

static void end(struct teller *teller) {
  atomic_store(&teller->leaves, true);
  pthread_join(teller->thread, NULL);
  braid_loop_close(&teller->loop);
}

/* What all states tell, in memory that the next call takes again. */
static const char *told(const pthread_t *except) {
  static char kept[1024];
  struct braid_buffer text;
  braid_buffer_init(&text);
  check(braid_states_ask(&text, except));
  check(text.size < sizeof kept);
  if (text.size) memcpy(kept, text.data, text.size);
  kept[text.size] = 0;
  braid_buffer_term(&text);
  return kept;
}

static void who_answers_is_heard(void) {
  struct teller teller;
  check(strcmp(told(NULL), "") == 0);
  begin(&teller, true);
  check(strcmp(told(NULL), "worker \n7 works\n") == 0);
  check(strcmp(told(&teller.thread), "") == 0);
  end(&teller);
  check(strcmp(told(NULL), "") == 0);
}

static void who_does_not_answer_is_named(void) {
  struct teller teller;
  char expected[128];
  begin(&teller, false);
  snprintf(expected, sizeof expected, "worker \\x0a7 (thread %d): inside a C function, or starting\n",
           teller.state.thread_number);
  check(strcmp(told(NULL), expected) == 0);
  atomic_store(&teller.answers, true); /* too late: it is kept for nobody */
  while (atomic_load(&teller.state.asked)) sched_yield();
  check(strcmp(told(NULL), "worker \n7 works\n") == 0);
  end(&teller);
}

static void who_is_looked_at_does_not_leave(void) {
  struct teller tellers[2];
  for (int i = 0; i < 2; i++) begin(&tellers[i], true);
  struct braid_state *first = braid_states_next(NULL);
  check(first == &tellers[0].state);
  atomic_store(&tellers[0].leaves, true);
  usleep(10000);
  check(!atomic_load(&tellers[0].left));
  struct braid_state *second = braid_states_next(first);
  check(second == &tellers[1].state);
  check(braid_states_next(second) == NULL);
  for (int i = 0; i < 2; i++) end(&tellers[i]);
}

static void *ask(void *stop) {
  struct braid_buffer text;
  while (!atomic_load((atomic_bool *)stop)) {
    braid_buffer_init(&text);
    braid_states_tell(&text);
    braid_buffer_term(&text);
  }
  return NULL;
}

static void states_come_and_go_while_they_are_asked(void) {
  pthread_t askers[2];
  atomic_bool stop = false;
  for (int i = 0; i < 2; i++) check(pthread_create(&askers[i], NULL, ask, &stop) == 0);
  for (int i = 0; i < 100; i++) {
    struct teller teller;
    begin(&teller, true);
    for (struct braid_state *state = NULL; (state = braid_states_next(state));) check(state == &teller.state);
    end(&teller);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 2; i++) pthread_join(askers[i], NULL);
  check(braid_states_next(NULL) == NULL);
}

static void a_poke_reaches_its_thread(void) {
  struct teller tellers[2];
  for (int i = 0; i < 2; i++) begin(&tellers[i], true);
  braid_state_poke(&tellers[1].state);
  while (atomic_load(&tellers[1].pokes) == 0) sched_yield();
  check(atomic_load(&tellers[0].pokes) == 0);
  for (int i = 0; i < 2; i++) end(&tellers[i]);
}

static void targets_of_a_thread_are_all_reached(void) {
  struct teller tellers[3] = {0};
  for (int i = 0; i < 3; i++) {
    tellers[i].target.poked = on_poke;
    braid_poke_add(&tellers[i].target);
  }
  braid_poke_remove(&tellers[1].target);
  braid_poke(pthread_self());
  check(tellers[0].pokes == 1 && tellers[1].pokes == 0 && tellers[2].pokes == 1);
  for (int i = 0; i < 3; i++) braid_poke_remove(&tellers[i].target); /* one of them for the second time */
  braid_poke(pthread_self());
  check(tellers[0].pokes == 1 && tellers[1].pokes == 0 && tellers[2].pokes == 1);
}

static void tell_states(enum braid_question_kind kind, struct braid_buffer *text) {
  (void)kind;
  braid_states_tell(text);
}

static void the_signal_is_ours(void) {
  check(!braid_answer_is_asked());
  braid_inspect_open();
  check(braid_answer_is_asked());
}

static void a_handler_of_the_hosts_stays(void) {
  signal(BRAID_POKE_SIGNAL, SIG_DFL);
  struct sigaction host = {.sa_handler = check_too_slow}, now;
  sigaction(BRAID_POKE_SIGNAL, &host, NULL);
  braid_answer_open(tell_states);
  check(!braid_answer_is_asked());
  sigaction(BRAID_POKE_SIGNAL, NULL, &now);
  check(now.sa_handler == check_too_slow);
  struct teller teller;
  begin(&teller, true);
  braid_state_poke(&teller.state); /* which ends the program when it comes */
  check(strcmp(told(NULL), "worker \n7 works\n") == 0);
  check(atomic_load(&teller.pokes) == 0);
  end(&teller);
  signal(BRAID_POKE_SIGNAL, SIG_DFL);
}

CHECK_MAIN({"poke: the signal is ours", the_signal_is_ours}, {"states: who answers is heard", who_answers_is_heard},
           {"states: who does not answer is named", who_does_not_answer_is_named},
           {"states: who is looked at does not leave", who_is_looked_at_does_not_leave},
           {"states: they come and go while they are asked", states_come_and_go_while_they_are_asked},
           {"states: a poke reaches its thread", a_poke_reaches_its_thread},
           {"poke: all targets of a thread are reached", targets_of_a_thread_are_all_reached},
           {"poke: a handler of the host's stays", a_handler_of_the_hosts_stays})
