/* SPDX-License-Identifier: MIT
 * A message owns its bytes and its references, wherever its last holder lets it go. */
#include "core/sync/message.h"

#include "check.h"

static atomic_int alive; /* objects that have not been destroyed */

static void destroy(struct braid_object *object) {
  atomic_fetch_sub(&alive, 1);
  free(object);
}

static const struct braid_class class = {"test", destroy};

static struct braid_object *object_new(void) {
  struct braid_object *object = malloc(sizeof *object);
  if (!object) abort();
  braid_object_init(object, &class);
  atomic_fetch_add(&alive, 1);
  return object;
}

static void copies_its_bytes(void) {
  char bytes[] = "abc\0def";
  struct braid_message *message = braid_message_new(bytes, sizeof bytes, NULL, 0);
  memset(bytes, 'x', sizeof bytes);
  check(message && message->size == sizeof bytes && memcmp(message->bytes, "abc\0def", sizeof bytes) == 0);
  braid_message_unref(message);
  message = braid_message_new(NULL, 0, NULL, 0);
  check(message && message->size == 0);
  braid_message_unref(message);
}

static void owns_its_objects(void) {
  struct braid_object *objects[2] = {object_new(), object_new()};
  struct braid_message *message = braid_message_new("", 0, objects, 2);
  braid_object_unref(objects[0]);
  braid_object_unref(objects[1]);
  check(atomic_load(&alive) == 2);
  braid_message_ref(message);
  braid_message_unref(message);
  check(atomic_load(&alive) == 2);
  braid_message_unref(message);
  check(atomic_load(&alive) == 0);
}

static void is_dropped_as_an_item(void) {
  struct braid_object *object = object_new();
  struct braid_message *message = braid_message_new("x", 1, &object, 1);
  braid_object_unref(object);
  struct braid_item item = {.tag = BRAID_ITEM_MESSAGE, .bits = (uint64_t)(uintptr_t)message};
  braid_item_drop((struct braid_item){.tag = BRAID_ITEM_INTEGER, .bits = 7});
  check(atomic_load(&alive) == 1);
  braid_item_drop(item);
  check(atomic_load(&alive) == 0);
}

static void *hold(void *argument) {
  struct braid_message *message = argument;
  for (int i = 0; i < 50000; i++) {
    braid_message_ref(message);
    check(message->bytes[0] == 'x');
    braid_message_unref(message);
  }
  braid_message_unref(message);
  return NULL;
}

static void is_let_go_once(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  struct braid_object *object = object_new();
  braid_object_share(object);
  struct braid_message *message = braid_message_new("x", 1, &object, 1);
  braid_object_unref(object);
  for (int i = 0; i < THREADS; i++) {
    braid_message_ref(message);
    check(braid_thread_start(&threads[i], hold, message) == 0);
  }
  braid_message_unref(message);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  check(atomic_load(&alive) == 0);
}

static void *signals_blocked(void *argument) {
  (void)argument;
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  check(sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) && sigismember(&mask, SIGALRM));
  return NULL;
}

static void threads_block_signals(void) {
  pthread_t thread;
  check(braid_thread_start(&thread, signals_blocked, NULL) == 0);
  pthread_join(thread, NULL);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  check(!sigismember(&mask, SIGINT)); /* ours is as it was */
}

CHECK_MAIN({"message: copies its bytes", copies_its_bytes}, {"message: owns its objects", owns_its_objects},
           {"message: is dropped as an item", is_dropped_as_an_item}, {"message: is let go once", is_let_go_once},
           {"thread: blocks signals", threads_block_signals})
