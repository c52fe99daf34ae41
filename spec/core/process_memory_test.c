/* SPDX-License-Identifier: MIT
 * Every allocation fails once (see allocator.h) while objects cross from process to process and are used there. Who
 * calls is told, or the connection ends; and nothing is left behind. One thread. */
#include "core/process/process_pool.h"
#include "core/process/proxy_queue.h"

#include <errno.h>

#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/primitives.h"
#include "allocator.h"
#include "neighbours.h"

static struct neighbours n;
static enum braid_proxy_kind kind;

static void open_in_peace(void) {
  long before = allocator_pause();
  neighbours_open(&n);
  allocator_resume(before);
}

static struct braid_object *new_object(void) {
  struct braid_object *object = NULL;
  struct braid_primitive *lock;
  switch (kind) {
    case BRAID_PROXY_QUEUE: object = &braid_queue_new(0, BRAID_PRIORITY)->object; break;
    case BRAID_PROXY_COUNTER: object = &braid_counter_new(0)->object; break;
    case BRAID_PROXY_DICT: object = &braid_dict_new()->object; break;
    case BRAID_PROXY_CONDITION:
      lock = braid_primitive_new(&braid_lock_class, 0, 0);
      braid_object_share(&lock->object);
      object = &braid_condition_new(lock)->object;
      braid_object_unref(&lock->object);
      break;
    case BRAID_PROXY_ARRAY: object = &braid_array_new(BRAID_F64, 100)->object; break;
    default: object = &braid_primitive_new(&braid_lock_class, 0, 0)->object;
  }
  braid_object_share(object);
  return object;
}

/* What stands for the object at the other end, which keeps it; NULL: it did not come. */
static struct braid_object *send_object(int end, struct braid_object *object) {
  struct braid_message *message = braid_message_new("", 0, &object, 1);
  if (!message) return NULL;
  bool put = braid_connection_put_message(&n.connections[end], (struct braid_frame){.kind = BRAID_FRAME_JOB}, NULL, 0,
                                          message);
  braid_message_unref(message);
  if (!put) return NULL;
  braid_connection_flush(&n.connections[end]);
  neighbours_settle(&n);
  return n.came[end ^ 1];
}

/* ---- calls ----------------------------------------------------------------------------------------------------- */

/* True: answered, and as it should be. The wait ends in the end: by the answer, or because the connection has ended. */
static bool ask(struct braid_proxy *proxy, enum braid_call_operation operation, struct braid_call call, const char *key,
                struct braid_item item) {
  struct braid_waiter waiter;
  struct braid_queue_cell cell = {.item = item};
  struct braid_proxy_call *waiting;
  waiter.state = 0;
  struct braid_wait_node *node = neighbours_arm(&n, &waiter);
  enum braid_status status = braid_proxy_call(proxy, operation, &call, key, &cell, node, &waiting);
  if (status != BRAID_WAIT) {
    check(status == BRAID_NO_MEMORY || status == BRAID_GONE);
    return false;
  }
  neighbours_settle(&n);
  if (!braid_proxy_answered(waiting)) { /* the answer was lost: the home is asked to end it, or it ends */
    for (int end = HOME; end <= FAR; end++) neighbours_close_end(&n, end);
    check(braid_proxy_answered(waiting));
  }
  status = waiting->status;
  braid_item_drop(waiting->item);
  braid_proxy_free(waiting);
  check(status == BRAID_OK || status == BRAID_NO_MEMORY || status == BRAID_GONE || status == BRAID_SYSTEM);
  return status == BRAID_OK;
}

static bool use_dict(struct braid_proxy *proxy) {
  static char key[1000] = {BRAID_ITEM_NONE};
  uint64_t size = sizeof key - 9;
  memcpy(key + 1, &size, sizeof size);
  struct braid_message *message = braid_message_new("value", 5, NULL, 0);
  if (!message) return false;
  struct braid_item value = {(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
  struct braid_call call = {.key_size = sizeof key}, plain = {0};
  bool done = ask(proxy, BRAID_DICT_SET, call, key, value) &&
              ask(proxy, BRAID_DICT_GET, call, key, (struct braid_item){0}) &&
              ask(proxy, BRAID_DICT_KEYS, plain, NULL, (struct braid_item){0});
  braid_message_unref(message);
  return done;
}

static bool use_lock(struct braid_proxy *proxy) {
  struct braid_call call = {.owner = 1};
  if (!ask(proxy, BRAID_LOCK_ACQUIRE, call, NULL, (struct braid_item){0}) || !braid_proxy_hold(proxy, 1)) return false;
  bool done = ask(proxy, BRAID_LOCK_RELEASE, call, NULL, (struct braid_item){0});
  check(braid_proxy_unhold(proxy, 1));
  return done;
}

/* ---- queues ---------------------------------------------------------------------------------------------------- */

/* Waits for the end of a wait. If what ends it was lost for want of memory, the connections end, and so does it. */
static enum braid_status settle(struct braid_waiter *waiter) {
  neighbours_settle(&n);
  if (waiter->state != 1) {
    for (int end = HOME; end <= FAR; end++) neighbours_close_end(&n, end);
    check(waiter->state == 1);
  }
  return (enum braid_status)waiter->status;
}

static bool put(struct braid_proxy *proxy, const char *text) {
  struct braid_waiter waiter;
  struct braid_message *message = braid_message_new(text, strlen(text), NULL, 0);
  if (!message) return false;
  struct braid_queue_cell cell = {.item = {(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE}};
  waiter.state = 0;
  struct braid_wait_node *node = neighbours_arm(&n, &waiter);
  enum braid_status status = braid_proxy_put(proxy, &cell, node);
  if (status == BRAID_WAIT) status = settle(&waiter);
  if (status != BRAID_OK) braid_message_unref(message); /* it stays ours */
  return status == BRAID_OK;
}

static bool get(struct braid_proxy *proxy) {
  struct braid_waiter waiter;
  struct braid_queue_cell cell = {.item = {0}};
  waiter.state = 0;
  struct braid_wait_node *node = neighbours_arm(&n, &waiter);
  enum braid_status status = braid_proxy_get(proxy, &cell, node);
  if (status == BRAID_WAIT) {
    status = settle(&waiter);
    if (status == BRAID_OK) cell.item = braid_wait_node_item(&waiter.node);
  }
  if (status == BRAID_OK) braid_item_drop(cell.item);
  return status == BRAID_OK;
}

static bool use_queue(struct braid_proxy *proxy) {
  bool done = put(proxy, "one") && put(proxy, "two") && put(proxy, "three") && get(proxy);
  braid_proxy_settle(proxy);
  neighbours_settle(&n);
  return done && get(proxy) && get(proxy);
}

static bool use(struct braid_object *object) {
  struct braid_call one = {.number = 1};
  if (kind == BRAID_PROXY_ARRAY) return object->class == &braid_array_class;
  struct braid_proxy *proxy = braid_proxy_of(object);
  switch (kind) {
    case BRAID_PROXY_QUEUE: return use_queue(proxy);
    case BRAID_PROXY_DICT: return use_dict(proxy);
    case BRAID_PROXY_CONDITION: return use_lock(proxy->lock);
    case BRAID_PROXY_LOCK: return use_lock(proxy);
    default: return ask(proxy, BRAID_COUNTER_ADD, one, NULL, (struct braid_item){0});
  }
}

/* There, on to the next, used in both places, and home again. */
static bool go_around(void) {
  open_in_peace();
  long before = allocator_pause();
  struct braid_object *object = new_object();
  allocator_resume(before);
  struct braid_object *middle = send_object(HOME, object);
  struct braid_object *far = middle ? send_object(MIDDLE_FAR, middle) : NULL;
  bool through =
      far && use(middle) && use(far) && send_object(FAR, far) == middle && send_object(MIDDLE_HOME, middle) == object;
  neighbours_close(&n);
  check(atomic_load(&object->refs) == 1);
  before = allocator_pause();
  braid_object_unref(object);
  allocator_resume(before);
  return through;
}

static void objects_survive(void) {
  static const enum braid_proxy_kind kinds[] = {BRAID_PROXY_COUNTER, BRAID_PROXY_LOCK,  BRAID_PROXY_CONDITION,
                                                BRAID_PROXY_DICT,    BRAID_PROXY_QUEUE, BRAID_PROXY_ARRAY};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    kind = kinds[i];
    check(go_around()); /* what is kept for the next time does not count */
    braid_block_trim();
    memory.living = 0;
    survive_each_failure(go_around);
  }
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static bool join_both(void) {
  struct braid_io_thread io_thread = {.users = 1};
  static struct braid_connection connection;
  int ends[2];
  memset(&connection, 0, sizeof connection);
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  check(braid_loop_open(&io_thread.loop) == 0);
  int error = braid_connection_open(&connection, &io_thread, ends[0], &braid_marshal);
  check(error == 0 || error == ENOMEM);
  if (!error)
    braid_connection_close(&connection);
  else
    close(ends[0]);
  close(ends[1]);
  braid_loop_close(&io_thread.loop);
  return !error;
}

static void connections_survive(void) { fail_each_once(join_both); }

/* ---- workers ---------------------------------------------------------------------------------------------------- */

static char *program[] = {"true", NULL};

static bool start_worker(void) {
  struct braid_io_thread io_thread = {.users = 1};
  static struct braid_worker_handle worker;
  struct braid_process_plan plan = {.argv = program, .settings = "settings", .settings_size = 9, .tasks = 1};
  memset(&worker, 0, sizeof worker);
  check(braid_loop_open(&io_thread.loop) == 0);
  braid_children_init(&io_thread.children, &io_thread.loop);
  plan.table = braid_message_new("table", 6, NULL, 0);
  bool through = braid_worker_handle_init(&worker, NULL, 0, 4) && plan.table;
  int error = through ? braid_worker_handle_start(&worker, &io_thread, &plan) : ENOMEM;
  check(error == 0 || error == ENOMEM);
  if (!error) {
    braid_child_await(worker.child);
    braid_worker_handle_close(&worker);
  }
  if (plan.table) braid_message_unref(plan.table);
  braid_worker_handle_term(&worker);
  while (!braid_list_empty(&io_thread.children.running)) { /* one that was killed */
    braid_loop_poll(&io_thread.loop, BRAID_NEVER);
    while (braid_loop_next(&io_thread.loop)) continue;
  }
  braid_children_term(&io_thread.children);
  braid_loop_close(&io_thread.loop);
  return !error;
}

static void workers_survive(void) {
  survive_each_failure(start_worker); /* where its connection fails for that it is the worker that ends */
}

enum { POOL_WORKERS = 2, POOL_ALLOCATIONS = 1 + 2 * POOL_WORKERS };

/* Its own allocations: before it has started anything. The plan is used up all the same. */
static bool make_pool(void) {
  long before = allocator_pause();
  struct braid_process_plan plan = {.argv = malloc(sizeof program), .settings = malloc(9), .tasks = 1};
  memcpy(plan.argv, program, sizeof program);
  plan.table = braid_message_new("table", 6, NULL, 0);
  allocator_resume(before);
  errno = 0;
  check(braid_process_pool_new(POOL_WORKERS, plan) == NULL && errno == ENOMEM);
  return false;
}

static void pools_survive(void) {
  bool through;
  for (long which = 0; which < POOL_ALLOCATIONS; which++) check(fail_once(make_pool, which, &through));
}

CHECK_MAIN({"memory is out: a connection", connections_survive},
           {"memory is out: objects of other processes", objects_survive},
           {"memory is out: a worker process", workers_survive}, {"memory is out: a pool of processes", pools_survive})
