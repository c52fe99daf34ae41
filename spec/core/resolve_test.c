/* SPDX-License-Identifier: MIT
 * What is answered at once, what a thread answers, and questions that are given up. */
#include "core/net/resolve.h"

#include <string.h>

#include "actor.h"

/* "no..body" is looked for in the system's files, and is not a name that one could ask a server for. */
static struct braid_resolution *asked(const char *host) {
  struct braid_resolution *resolution = braid_resolution_new(host, 80);
  if (!resolution) abort();
  return resolution;
}

static void expect_text(const struct braid_address *address, const char *expected) {
  char text[BRAID_ADDRESS_TEXT];
  int port;
  braid_address_text(address, text, &port);
  check(strcmp(text, expected) == 0 && port == 80);
}

static void numbers_need_no_thread(void) {
  static const char *const hosts[] = {"127.0.0.1", "::1", "255.255.255.255"};
  for (int i = 0; i < 3; i++) {
    struct braid_resolution *resolution = asked(hosts[i]);
    check(braid_blocking_wait(&resolution->work, NULL) == BRAID_OK && resolution->error == 0 && resolution->count == 1);
    expect_text(&resolution->addresses[0], hosts[i]);
    braid_object_unref(&resolution->work.object);
  }
  struct braid_resolution *resolution = asked("localhost");
  check(braid_blocking_wait(&resolution->work, NULL) == BRAID_OK && resolution->count == 2);
  expect_text(&resolution->addresses[0], "127.0.0.1");
  braid_object_unref(&resolution->work.object);
}

/* By then the thread has let go of it, or is about to: whoever is last frees it. */
static void a_thread_answers_who_waits(void) {
  struct actor actor;
  actor_open(&actor, 1);
  for (int i = 0; i < 50; i++) {
    struct braid_resolution *resolution = asked("no..body");
    check(actor_await(&actor, braid_blocking_wait(&resolution->work, actor_arm(&actor)), BRAID_NEVER) == BRAID_OK);
    check(resolution->error != 0 && resolution->count == 0);
    braid_object_unref(&resolution->work.object);
  }
  actor_close(&actor);
}

static void many_ask_and_some_give_up(void) {
  enum { QUESTIONS = 300 };
  struct actor actor;
  actor_open(&actor, 2);
  for (int i = 0; i < QUESTIONS; i++) {
    struct braid_resolution *resolution = asked("no..body");
    enum braid_status status = actor_await_rashly(&actor, braid_blocking_wait(&resolution->work, actor_arm(&actor)));
    check(status == BRAID_OK || actor_gave_up(status));
    braid_object_unref(&resolution->work.object);
  }
  actor_close(&actor);
}

CHECK_MAIN({"resolve: numbers need no thread", numbers_need_no_thread},
           {"resolve: a thread answers who waits", a_thread_answers_who_waits},
           {"resolve: many ask, and some give up", many_ask_and_some_give_up})
