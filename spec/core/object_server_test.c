/* SPDX-License-Identifier: MIT
 * What a home does for other processes: every operation of every object, calls that wait, and clients that end. */
#include "core/process/object_server.h"

#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/primitives.h"
#include "caller.h"

static struct neighbours n;
static struct caller first, second;

static void begin(void) {
  neighbours_open(&n);
  first.n = second.n = &n;
}

/* The object becomes the neighbours'; its proxy in the middle. */
static struct braid_proxy *proxy_of(struct braid_object *object) {
  struct braid_object *proxy = neighbours_send(&n, HOME, object);
  check(proxy && braid_proxy_is(proxy));
  return braid_proxy_of(proxy);
}

static void end(struct braid_object *object) {
  neighbours_close(&n);
  check(atomic_load(&object->refs) == 1);
  braid_object_unref(object);
}

static struct braid_primitive *new_gate(const struct braid_class *class, int64_t count, int64_t limit) {
  struct braid_primitive *primitive = braid_primitive_new(class, count, limit);
  braid_object_share(&primitive->object);
  return primitive;
}

static struct braid_object *new_of(enum braid_proxy_kind kind) {
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0);
  struct braid_object *object = NULL;
  switch (kind) {
    case BRAID_PROXY_QUEUE: object = &braid_queue_new(1, BRAID_FIFO)->object; break;
    case BRAID_PROXY_SEMAPHORE: object = &new_gate(&braid_semaphore_class, 0, 5)->object; break;
    case BRAID_PROXY_EVENT: object = &new_gate(&braid_event_class, 0, 1)->object; break;
    case BRAID_PROXY_CONDITION: object = &braid_condition_new(lock)->object; break;
    case BRAID_PROXY_BARRIER: object = &new_gate(&braid_barrier_class, 0, 2)->object; break;
    case BRAID_PROXY_COUNTER: object = &braid_counter_new(0)->object; break;
    case BRAID_PROXY_DICT: object = &braid_dict_new()->object; break;
    default: return &lock->object;
  }
  braid_object_share(object);
  braid_object_unref(&lock->object);
  return object;
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

static bool fits(enum braid_proxy_kind kind, unsigned operation) {
  static const struct {
    unsigned first, last;
  } range[BRAID_PROXY_KINDS] = {
      [BRAID_PROXY_QUEUE] = {BRAID_QUEUE_TRY_PUT, BRAID_QUEUE_LOOK},
      [BRAID_PROXY_LOCK] = {BRAID_LOCK_ACQUIRE, BRAID_LOCK_ABANDON},
      [BRAID_PROXY_SEMAPHORE] = {BRAID_SEMAPHORE_ACQUIRE, BRAID_SEMAPHORE_RELEASE},
      [BRAID_PROXY_EVENT] = {BRAID_EVENT_WAIT, BRAID_EVENT_SET},
      [BRAID_PROXY_CONDITION] = {BRAID_CONDITION_WAIT, BRAID_CONDITION_NOTIFY},
      [BRAID_PROXY_BARRIER] = {BRAID_BARRIER_WAIT, BRAID_BARRIER_RESET},
      [BRAID_PROXY_COUNTER] = {BRAID_COUNTER_ADD, BRAID_COUNTER_SET},
      [BRAID_PROXY_DICT] = {BRAID_DICT_GET, BRAID_DICT_KEYS},
  };
  bool is_gate = kind >= BRAID_PROXY_LOCK && kind <= BRAID_PROXY_BARRIER;
  return (operation >= range[kind].first && operation <= range[kind].last) ||
         (operation == BRAID_PRIMITIVE_LOOK && is_gate);
}

/* Another object's operation is misuse, and nothing more happens. */
static void only_its_own_operations(void) {
  static const char key[9] = {BRAID_ITEM_TRUE};
  for (unsigned kind = 0; kind < BRAID_PROXY_KINDS; kind++) {
    begin();
    struct braid_object *object = new_of((enum braid_proxy_kind)kind);
    struct braid_proxy *proxy = proxy_of(object);
    for (unsigned operation = 0; operation < BRAID_CALL_OPERATIONS; operation++) {
      if (fits((enum braid_proxy_kind)kind, operation)) continue;
      struct braid_call call = {.owner = 1, .number = 1, .key_size = sizeof key, .once = 1};
      bool takes_item = operation == BRAID_QUEUE_TRY_PUT || operation == BRAID_DICT_SET;
      struct braid_item item = {.tag = takes_item ? BRAID_ITEM_TRUE : BRAID_ITEM_NONE};
      enum braid_status status = caller_begin(&first, proxy, (enum braid_call_operation)operation, call, key, item);
      if (status != BRAID_MISUSE) printf("# kind %u, operation %u\n", kind, operation);
      check(status == BRAID_MISUSE && first.item.tag == BRAID_ITEM_NONE);
    }
    check(!n.ended[HOME]);
    end(object);
  }
}

static void a_queue_is_asked(void) {
  begin();
  struct braid_queue *queue = braid_queue_new(1, BRAID_FIFO);
  braid_object_share(&queue->object);
  struct braid_proxy *proxy = proxy_of(&queue->object);
  struct braid_call none = {0};
  struct braid_item five = {5, BRAID_ITEM_INTEGER};
  check(caller_begin(&first, proxy, BRAID_QUEUE_TRY_PUT, none, NULL, five) == BRAID_OK);
  check(caller_begin(&first, proxy, BRAID_QUEUE_TRY_PUT, none, NULL, five) == BRAID_FULL);
  check(caller_ask(&first, proxy, BRAID_QUEUE_LOOK, 0, 0) == BRAID_OK && first.item.bits == 1 && first.extra == 0);
  check(caller_ask(&second, proxy, BRAID_QUEUE_JOIN, 0, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_QUEUE_TRY_GET, 0, 0) == BRAID_OK && first.item.bits == 5);
  check(caller_ask(&first, proxy, BRAID_QUEUE_TRY_GET, 0, 0) == BRAID_EMPTY);
  check(caller_ask(&first, proxy, BRAID_QUEUE_DONE, 0, 0) == BRAID_OK);
  check(caller_look(&second) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_QUEUE_DONE, 0, 0) == BRAID_MISUSE);
  check(caller_ask(&first, proxy, BRAID_QUEUE_CLOSE, 0, 0) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_QUEUE_LOOK, 0, 0) == BRAID_OK && first.extra == 1);
  check(caller_ask(&first, proxy, BRAID_QUEUE_TRY_GET, 0, 0) == BRAID_CLOSED);
  end(&queue->object);
}

static void a_lock_is_held_by_owners(void) {
  begin();
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0);
  struct braid_proxy *proxy = proxy_of(&lock->object);
  check(caller_ask(&first, proxy, BRAID_LOCK_RELEASE, 1, 0) == BRAID_MISUSE);
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_MISUSE);
  check(caller_ask(&first, proxy, BRAID_PRIMITIVE_LOOK, 0, 0) == BRAID_OK && first.item.bits == 1);
  check(caller_ask(&second, proxy, BRAID_LOCK_ACQUIRE, 2, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_LOCK_RELEASE, 2, 0) == BRAID_MISUSE);
  check(caller_ask(&first, proxy, BRAID_LOCK_RELEASE, 1, 0) == BRAID_OK);
  check(caller_look(&second) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_LOCK_ABANDON, 1, 0) == BRAID_OK); /* it holds nothing */
  check(caller_ask(&first, proxy, BRAID_LOCK_ABANDON, 2, 0) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 3, 0) == BRAID_OWNER_DIED); /* told once */
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 3, 0) == BRAID_OK);
  end(&lock->object);
}

static void a_condition_gives_its_lock_up(void) {
  begin();
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0), *condition = braid_condition_new(lock);
  braid_object_share(&condition->object);
  struct braid_proxy *proxy = proxy_of(&condition->object);
  check(proxy->lock != NULL);
  check(caller_ask(&first, proxy, BRAID_CONDITION_WAIT, 1, 0) == BRAID_MISUSE); /* without the lock */
  check(caller_ask(&first, proxy->lock, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_OK);
  struct braid_call once = {.owner = 1, .once = 1};
  check(caller_begin(&first, proxy, BRAID_CONDITION_WAIT, once, NULL, (struct braid_item){0}) == BRAID_EMPTY);
  check(caller_ask(&second, proxy, BRAID_CONDITION_WAIT, 1, 0) == BRAID_WAIT);
  check(braid_lock_owner(lock) == 0);
  check(caller_ask(&first, proxy, BRAID_CONDITION_NOTIFY, 2, 1) == BRAID_OK);
  check(caller_look(&second) == BRAID_OK);
  end(&condition->object);
  check(atomic_load(&lock->object.refs) == 1);
  braid_object_unref(&lock->object);
}

static void semaphore_event_and_barrier_wait(void) {
  begin();
  struct braid_primitive *semaphore = new_gate(&braid_semaphore_class, 1, 1),
                         *event = new_gate(&braid_event_class, 0, 1);
  struct braid_primitive *barrier = new_gate(&braid_barrier_class, 0, 2);
  struct braid_proxy *proxy = proxy_of(&semaphore->object);
  check(caller_ask(&first, proxy, BRAID_SEMAPHORE_ACQUIRE, 0, 0) == BRAID_OK);
  check(caller_ask(&second, proxy, BRAID_SEMAPHORE_ACQUIRE, 0, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_SEMAPHORE_RELEASE, 0, 1) == BRAID_OK);
  check(caller_look(&second) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_SEMAPHORE_RELEASE, 0, 2) == BRAID_MISUSE);
  proxy = proxy_of(&event->object);
  check(caller_ask(&second, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_EVENT_SET, 0, 1) == BRAID_OK && caller_look(&second) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_PRIMITIVE_LOOK, 0, 0) == BRAID_OK && first.item.bits == 1);
  check(caller_ask(&first, proxy, BRAID_EVENT_SET, 0, 0) == BRAID_OK && event->count == 0);
  proxy = proxy_of(&barrier->object);
  check(caller_ask(&second, proxy, BRAID_BARRIER_WAIT, 0, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_BARRIER_WAIT, 0, 0) == BRAID_OK && first.item.bits == 2);
  check(caller_look(&second) == BRAID_OK && second.item.bits == 1);
  check(caller_ask(&second, proxy, BRAID_BARRIER_WAIT, 0, 0) == BRAID_WAIT);
  check(caller_ask(&first, proxy, BRAID_BARRIER_ABORT, 0, 0) == BRAID_OK && caller_look(&second) == BRAID_BROKEN);
  check(caller_ask(&first, proxy, BRAID_BARRIER_WAIT, 0, 0) == BRAID_BROKEN);
  check(caller_ask(&first, proxy, BRAID_BARRIER_RESET, 0, 0) == BRAID_OK);
  check(caller_ask(&second, proxy, BRAID_BARRIER_WAIT, 0, 0) == BRAID_WAIT);
  check(caller_cancel(&second) == BRAID_CANCELLED && barrier->broken); /* the others would wait in vain */
  braid_object_unref(&event->object);
  braid_object_unref(&barrier->object);
  end(&semaphore->object);
}

static void counters_count(void) {
  begin();
  struct braid_counter *counter = braid_counter_new(40);
  braid_object_share(&counter->object);
  struct braid_proxy *proxy = proxy_of(&counter->object);
  check(caller_ask(&first, proxy, BRAID_COUNTER_ADD, 0, 2) == BRAID_OK && first.item.bits == 42);
  check(caller_ask(&first, proxy, BRAID_COUNTER_SET, 0, INT64_MAX) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_COUNTER_ADD, 0, 1) == BRAID_OK && (int64_t)first.item.bits == INT64_MIN);
  check(caller_ask(&first, proxy, BRAID_COUNTER_GET, 0, 0) == BRAID_OK && (int64_t)first.item.bits == INT64_MIN);
  end(&counter->object);
}

static enum braid_status with_key(struct braid_proxy *proxy, enum braid_call_operation operation,
                                  const struct braid_key *key, uint64_t owner, struct braid_item item) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  check(braid_key_write(&buffer, key));
  struct braid_call call = {.owner = owner, .key_size = (uint32_t)buffer.size, .once = 1};
  enum braid_status status = caller_begin(&first, proxy, operation, call, buffer.data, item);
  braid_buffer_term(&buffer);
  return status;
}

static void dicts_keep_values(void) {
  begin();
  struct braid_dict *dict = braid_dict_new();
  braid_object_share(&dict->object);
  struct braid_proxy *proxy = proxy_of(&dict->object);
  char long_name[1000];
  memset(long_name, 'n', sizeof long_name);
  struct braid_key name = {.bits = sizeof long_name, .bytes = long_name};
  struct braid_message *message = braid_message_new("value", 5, NULL, 0);
  struct braid_item value = {(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE}, nothing = {0};
  check(with_key(proxy, BRAID_DICT_SET, &name, 1, value) == BRAID_OK);
  check(with_key(proxy, BRAID_DICT_GET, &name, 1, nothing) == BRAID_OK && first.item.tag == BRAID_ITEM_MESSAGE);
  check(((struct braid_message *)(uintptr_t)first.item.bits)->size == 5);
  braid_item_drop(first.item);
  check(caller_ask(&first, proxy, BRAID_DICT_SIZE, 0, 0) == BRAID_OK && first.item.bits == 1);
  check(caller_ask(&first, proxy, BRAID_DICT_KEYS, 0, 0) == BRAID_OK && first.item.tag == BRAID_ITEM_MESSAGE);
  check(((struct braid_message *)(uintptr_t)first.item.bits)->size > sizeof long_name);
  braid_item_drop(first.item);
  check(caller_ask(&second, proxy->lock, BRAID_LOCK_ACQUIRE, 2, 0) == BRAID_OK);
  check(with_key(proxy, BRAID_DICT_SET, &name, 1, value) == BRAID_EMPTY); /* another one holds its lock */
  check(with_key(proxy, BRAID_DICT_SET, &name, 2, nothing) == BRAID_OK);
  check(with_key(proxy, BRAID_DICT_GET, &name, 1, nothing) == BRAID_OK && first.item.tag == BRAID_ITEM_NONE);
  check(caller_ask(&first, proxy, BRAID_DICT_SIZE, 0, 0) == BRAID_OK && first.item.bits == 0);
  braid_message_unref(message);
  end(&dict->object);
}

/* ---- waits ---------------------------------------------------------------------------------------------------- */

static void a_wait_is_cancelled(void) {
  begin();
  struct braid_primitive *semaphore = new_gate(&braid_semaphore_class, 0, 9);
  struct braid_proxy *proxy = proxy_of(&semaphore->object);
  check(caller_ask(&first, proxy, BRAID_SEMAPHORE_ACQUIRE, 0, 0) == BRAID_WAIT);
  check(caller_ask(&second, proxy, BRAID_SEMAPHORE_ACQUIRE, 0, 0) == BRAID_WAIT);
  check(caller_cancel(&second) == BRAID_CANCELLED);
  braid_semaphore_release(semaphore, 1);
  check(caller_look(&first) == BRAID_OK && semaphore->count == 0);
  neighbours_inject(&n, MIDDLE_HOME, (struct braid_frame){.kind = BRAID_FRAME_CANCEL, .id = 99, .value = proxy->id},
                    NULL, 0);
  check(!n.ended[HOME]); /* its answer was on its way */
  end(&semaphore->object);
}

/* A call without an answer does not wait. */
static void who_wants_no_answer_does_not_wait(void) {
  begin();
  struct braid_primitive *semaphore = new_gate(&braid_semaphore_class, 0, 9);
  struct braid_proxy *proxy = proxy_of(&semaphore->object);
  struct braid_call call = {0};
  check(braid_proxy_call(proxy, BRAID_SEMAPHORE_ACQUIRE, &call, NULL, NULL, NULL, NULL) == BRAID_OK);
  neighbours_settle(&n);
  check(braid_list_empty(&semaphore->waiters.nodes));
  call.number = 3;
  check(braid_proxy_call(proxy, BRAID_SEMAPHORE_RELEASE, &call, NULL, NULL, NULL, NULL) == BRAID_OK);
  neighbours_settle(&n);
  check(semaphore->count == 3);
  end(&semaphore->object);
}

/* Which operation a client ends in, and what the object is like then. */
static void die_in(struct braid_primitive *primitive, enum braid_call_operation operation, bool served) {
  struct braid_proxy *proxy = proxy_of(&primitive->object);
  check(caller_ask(&first, proxy, operation, 7, 0) == BRAID_WAIT);
  if (served && operation == BRAID_SEMAPHORE_ACQUIRE) braid_semaphore_release(primitive, 1);
  if (served && operation == BRAID_LOCK_ACQUIRE) braid_lock_release(primitive, 1);
  if (served && operation == BRAID_BARRIER_WAIT) braid_barrier_abort(primitive);
  neighbours_close_end(&n, HOME); /* before the visit that was served is home */
  neighbours_close_end(&n, MIDDLE_HOME);
  check(caller_look(&first) == BRAID_GONE);
  check(braid_list_empty(&primitive->waiters.nodes));
}

static void a_client_ends_while_it_waits(void) {
  for (int served = 0; served < 2; served++) {
    begin();
    struct braid_primitive *semaphore = new_gate(&braid_semaphore_class, 0, 9);
    die_in(semaphore, BRAID_SEMAPHORE_ACQUIRE, served);
    check(semaphore->count == served); /* its turn came back */
    end(&semaphore->object);
    begin();
    struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0);
    check(braid_lock_acquire(lock, 1, NULL) == BRAID_OK);
    die_in(lock, BRAID_LOCK_ACQUIRE, served);
    check(braid_lock_owner(lock) == (served ? 0 : 1) && lock->orphaned == served);
    end(&lock->object);
    begin();
    struct braid_primitive *barrier = new_gate(&braid_barrier_class, 0, 2);
    die_in(barrier, BRAID_BARRIER_WAIT, served);
    check(barrier->broken);
    end(&barrier->object);
  }
}

static void a_notice_is_passed_on(void) {
  begin();
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0), *condition = braid_condition_new(lock);
  braid_object_share(&condition->object);
  struct braid_proxy *proxy = proxy_of(&condition->object);
  check(caller_ask(&first, proxy->lock, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_OK);
  check(caller_ask(&first, proxy, BRAID_CONDITION_WAIT, 1, 0) == BRAID_WAIT);
  struct braid_waiter other;
  check(braid_condition_wait(condition, neighbours_arm(&n, &other)) == BRAID_WAIT);
  other.state = 0;
  braid_condition_notify(condition, 1); /* the first, which is remote */
  neighbours_close_end(&n, HOME);
  check(other.state == 1 && other.status == BRAID_OK);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(caller_look(&first) == BRAID_GONE);
  end(&condition->object);
  braid_object_unref(&lock->object);
}

static void locks_of_a_dead_client_are_abandoned(void) {
  begin();
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0);
  struct braid_proxy *proxy = proxy_of(&lock->object);
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_OK);
  check(braid_lock_owner(lock) != 0);
  neighbours_close_end(&n, HOME);
  check(braid_lock_owner(lock) == 0 && lock->orphaned);
  end(&lock->object);
}

/* ---- clients -------------------------------------------------------------------------------------------------- */

static void inject_call(uint64_t id, uint32_t channel) {
  struct {
    struct braid_call call;
    struct braid_wire_item item;
  } body = {.item.tag = BRAID_ITEM_NONE};
  struct braid_frame frame = {.kind = BRAID_FRAME_CALL, .value = id, .status = BRAID_COUNTER_ADD, .channel = channel};
  body.call.number = 1;
  check(braid_connection_put(&n.connections[MIDDLE_HOME], frame, &body, sizeof body));
}

/* Each process beyond a connection is a client of its own; there may not be any number of them. */
static void clients_are_bounded(void) {
  begin();
  struct braid_counter *counter = braid_counter_new(0);
  braid_object_share(&counter->object);
  uint64_t id = proxy_of(&counter->object)->id;
  for (uint32_t channel = 1; channel <= 4000; channel++) {
    inject_call(id, channel);
    inject_call(id, channel);
    if (channel % 2)
      neighbours_inject(&n, MIDDLE_HOME, (struct braid_frame){.kind = BRAID_FRAME_LEAVE, .channel = channel}, NULL, 0);
  }
  braid_connection_flush(&n.connections[MIDDLE_HOME]);
  neighbours_settle(&n);
  check(atomic_load(&counter->value) == 8000 && !n.ended[HOME]);
  for (uint32_t channel = 5000; channel <= 8000; channel++) inject_call(id, channel);
  braid_connection_flush(&n.connections[MIDDLE_HOME]);
  neighbours_settle(&n);
  check(n.ended[HOME] && n.connections[HOME].fault != NULL);
  check(atomic_load(&counter->value) == 8000 + 2096);
  end(&counter->object);
}

/* The neighbour itself does not leave that way. */
static void the_neighbour_stays(void) {
  begin();
  struct braid_primitive *lock = new_gate(&braid_lock_class, 0, 0);
  struct braid_proxy *proxy = proxy_of(&lock->object);
  check(caller_ask(&first, proxy, BRAID_LOCK_ACQUIRE, 1, 0) == BRAID_OK);
  neighbours_inject(&n, MIDDLE_HOME, (struct braid_frame){.kind = BRAID_FRAME_LEAVE}, NULL, 0);
  neighbours_inject(&n, MIDDLE_HOME, (struct braid_frame){.kind = BRAID_FRAME_LEAVE, .channel = 77}, NULL, 0);
  check(braid_lock_owner(lock) != 0 && !n.ended[HOME]);
  end(&lock->object);
}

/* ---- calls that are not sound --------------------------------------------------------------------------------- */

struct bad {
  const char *name;
  uint32_t operation;
  uint32_t key_size; /* as it says */
  const char *key;   /* what comes */
  size_t size;
  bool item;
};

static const struct bad bad_calls[] = {
    {"no operation", BRAID_CALL_OPERATIONS, 0, "", 0, true},
    {"no number that there is", UINT32_MAX, 0, "", 0, true},
    {"no item", BRAID_DICT_SIZE, 0, "", 0, false},
    {"a key beyond the end", BRAID_DICT_GET, UINT32_MAX, "", 0, true},
    {"a key that is none", BRAID_DICT_GET, 3, "\2ab", 3, true},
    {"a key that is cut short", BRAID_DICT_GET, 11, "\0\5\0\0\0\0\0\0\0ab", 11, true},
    {"a key with more behind it", BRAID_DICT_GET, 10, "\2\0\0\0\0\0\0\0\0x", 10, true},
    {"no key", BRAID_DICT_GET, 0, "", 0, true},
    {"no key to set", BRAID_DICT_SET, 0, "", 0, true},
};

static void ends_what_is_no_call(void) {
  for (size_t i = 0; i < sizeof bad_calls / sizeof *bad_calls; i++) {
    const struct bad *bad = &bad_calls[i];
    begin();
    struct braid_dict *dict = braid_dict_new();
    braid_object_share(&dict->object);
    char body[256];
    struct braid_frame frame = {
        .kind = BRAID_FRAME_CALL, .id = 1, .value = proxy_of(&dict->object)->id, .status = bad->operation};
    struct braid_call call = {.key_size = bad->key_size};
    struct braid_wire_item item = {.tag = BRAID_ITEM_NONE};
    size_t size = sizeof call;
    memcpy(body, &call, sizeof call);
    memcpy(body + size, bad->key, bad->size);
    size += bad->size;
    memcpy(body + size, &item, sizeof item);
    if (bad->item) size += sizeof item;
    neighbours_inject(&n, MIDDLE_HOME, frame, body, size);
    if (!n.ended[HOME]) printf("# %s\n", bad->name);
    check(n.ended[HOME] && n.connections[HOME].fault != NULL);
    end(&dict->object);
  }
}

/* Whether it is about a dict without its key, or brings an item that its operation does not take. */
static void gives_up_the_item_of_what_is_no_call(void) {
  static const enum braid_call_operation operations[] = {BRAID_DICT_GET,  BRAID_DICT_SET,      BRAID_DICT_KEYS,
                                                         BRAID_DICT_SIZE, BRAID_QUEUE_TRY_GET, BRAID_CALL_OPERATIONS};
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    begin();
    struct braid_dict *dict = braid_dict_new();
    braid_object_share(&dict->object);
    struct braid_proxy *proxy = proxy_of(&dict->object);
    struct braid_frame frame = {.kind = BRAID_FRAME_CALL, .id = 1, .value = proxy->id, .status = operations[i]};
    struct braid_call call = {.owner = 1};
    neighbours_inject_item(&n, MIDDLE_HOME, frame, &call, sizeof call, &proxy->object);
    if (!n.ended[HOME]) printf("# operation %d\n", (int)operations[i]);
    check(n.ended[HOME] && n.connections[HOME].fault != NULL);
    end(&dict->object); /* which counts the references */
  }
}

CHECK_MAIN({"object server: an object has only its own operations", only_its_own_operations},
           {"object server: a queue is asked", a_queue_is_asked},
           {"object server: a lock is held by owners", a_lock_is_held_by_owners},
           {"object server: a condition gives its lock up", a_condition_gives_its_lock_up},
           {"object server: semaphore, event and barrier wait", semaphore_event_and_barrier_wait},
           {"object server: counters count", counters_count}, {"object server: dicts keep values", dicts_keep_values},
           {"object server: a wait is cancelled", a_wait_is_cancelled},
           {"object server: who wants no answer does not wait", who_wants_no_answer_does_not_wait},
           {"object server: a client ends while it waits", a_client_ends_while_it_waits},
           {"object server: a notice is passed on", a_notice_is_passed_on},
           {"object server: locks of a dead client are abandoned", locks_of_a_dead_client_are_abandoned},
           {"object server: clients are bounded", clients_are_bounded},
           {"object server: the neighbour stays", the_neighbour_stays},
           {"object server: what is no call ends the connection", ends_what_is_no_call},
           {"object server: the item of what is no call is given up", gives_up_the_item_of_what_is_no_call})
