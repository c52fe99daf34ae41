/* SPDX-License-Identifier: MIT
 * One guard for the process protects calls and holds. A call's frame is put under its proxy's guard. That guard also
 * protects proxy->connection, so no frame is put on a connection that has ended. Order: the proxy's guard, then the
 * connection's mutex. */
#include "core/process/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/process/proxy_queue.h"

static void destroy(struct braid_object *object);

const struct braid_class braid_proxy_classes[BRAID_PROXY_KINDS] = {
    [BRAID_PROXY_QUEUE] = {"braid.remote.queue", destroy},
    [BRAID_PROXY_LOCK] = {"braid.remote.lock", destroy},
    [BRAID_PROXY_SEMAPHORE] = {"braid.remote.semaphore", destroy},
    [BRAID_PROXY_EVENT] = {"braid.remote.event", destroy},
    [BRAID_PROXY_CONDITION] = {"braid.remote.condition", destroy},
    [BRAID_PROXY_BARRIER] = {"braid.remote.barrier", destroy},
    [BRAID_PROXY_COUNTER] = {"braid.remote.counter", destroy},
    [BRAID_PROXY_DICT] = {"braid.remote.dict", destroy},
};

struct braid_proxies braid_proxies = {
    .once = PTHREAD_ONCE_INIT,
    .active = {.mutex = PTHREAD_MUTEX_INITIALIZER, .list = {&braid_proxies.active.list, &braid_proxies.active.list}},
    .relay = {.channels = {&braid_proxies.relay.channels, &braid_proxies.relay.channels},
              .links = {&braid_proxies.relay.links, &braid_proxies.relay.links}}};

static void init_self(void) {
  braid_guard_init(&braid_proxies.guard, true);
  for (int i = 0; i < BRAID_PROXY_ROWS; i++) braid_list_init(&braid_proxies.calls[i]);
}

static void enter_self(void) {
  pthread_once(&braid_proxies.once, init_self);
  braid_guard_enter(&braid_proxies.guard);
}

static void leave_self(void) { braid_guard_leave(&braid_proxies.guard); }

/* ---- proxies -------------------------------------------------------------------------------------------------- */

static void destroy(struct braid_object *object) {
  struct braid_proxy *proxy = braid_proxy_of(object);
  if (proxy->queue) braid_proxy_queue_term(proxy);
  if (proxy->lock) braid_object_unref(&proxy->lock->object);
  proxy->keeper->leave(proxy->keeper);
  free(proxy);
}

struct braid_proxy *braid_proxy_new(struct braid_connection *connection, enum braid_proxy_kind kind, uint64_t id,
                                    struct braid_array_keeper *keeper) {
  struct braid_proxy *proxy = calloc(1, sizeof *proxy);
  if (!proxy) return NULL;
  braid_object_init(&proxy->object, &braid_proxy_classes[kind]);
  braid_object_share(&proxy->object);
  proxy->kind = kind;
  proxy->connection = connection;
  proxy->id = id;
  proxy->keeper = keeper;
  if (kind != BRAID_PROXY_QUEUE || braid_proxy_queue_init(proxy)) return proxy;
  free(proxy);
  return NULL;
}

/* The home has ended: ends all calls that wait. */
static void fail_calls(const struct braid_proxy *proxy) {
  struct braid_wake_list woken = {0};
  enter_self();
  for (int i = 0; i < BRAID_PROXY_ROWS && proxy->calls > 0; i++) {
    for (struct braid_list *at = braid_proxies.calls[i].next; at != &braid_proxies.calls[i]; at = at->next) {
      struct braid_proxy_call *call = braid_container(at, struct braid_proxy_call, row);
      if (call->proxy != proxy || call->answered) continue;
      call->answered = true;
      call->status = BRAID_GONE;
      braid_wait_queue_claim_all(&call->waiters, BRAID_OK, &woken);
    }
  }
  leave_self();
  braid_loop_post_all(&woken);
}

void braid_proxy_end(struct braid_proxy *proxy) {
  braid_guard_enter(&proxy->object.guard);
  proxy->connection = NULL;
  atomic_store(&proxy->gone, true);
  braid_guard_leave(&proxy->object.guard);
  if (proxy->queue) braid_proxy_queue_end(proxy);
  fail_calls(proxy);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static struct braid_list *row_of(uint64_t number) { return &braid_proxies.calls[number % BRAID_PROXY_ROWS]; }

/* False when memory is out. Under the proxy's guard. */
static bool put_call(struct braid_proxy *proxy, enum braid_call_operation operation, struct braid_call *call,
                     const char *key, const struct braid_queue_cell *cell, uint64_t number) {
  struct braid_frame frame = {.kind = BRAID_FRAME_CALL, .id = number, .status = operation, .value = proxy->id};
  struct braid_queue_cell nothing = {.item.tag = BRAID_ITEM_NONE};
  char room[256], *body = room;
  size_t size = sizeof *call + call->key_size;
  if (operation == BRAID_LOCK_ACQUIRE) call->process = (uint64_t)getpid();
  if (size > sizeof room && !(body = malloc(size))) return false;
  memcpy(body, call, sizeof *call);
  if (call->key_size) memcpy(body + sizeof *call, key, call->key_size);
  bool put = braid_connection_put_items(proxy->connection, frame, body, size, cell ? cell : &nothing, 1);
  if (body != room) free(body);
  return put;
}

static enum braid_status send_call(struct braid_proxy *proxy, enum braid_call_operation operation,
                                   struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                   uint64_t number) {
  braid_guard_enter(&proxy->object.guard);
  enum braid_status status = BRAID_GONE;
  if (proxy->connection) status = put_call(proxy, operation, call, key, cell, number) ? BRAID_OK : BRAID_NO_MEMORY;
  braid_proxy_go(proxy, true);
  return status;
}

enum braid_status braid_proxy_call(struct braid_proxy *proxy, enum braid_call_operation operation,
                                   struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                   struct braid_wait_node *node, struct braid_proxy_call **waiting) {
  if (!node) return send_call(proxy, operation, call, key, cell, 0);
  struct braid_proxy_call *this = calloc(1, sizeof *this);
  if (!this) return BRAID_NO_MEMORY;
  this->proxy = proxy;
  this->operation = operation;
  braid_object_ref(&proxy->object);
  enter_self();
  braid_wait_queue_init(&this->waiters, &braid_proxies.guard);
  this->number = ++braid_proxies.last_number;
  proxy->calls++;
  braid_list_push(row_of(this->number), &this->row);
  braid_wait_node_join(node, &this->waiters);
  leave_self();
  enum braid_status status = send_call(proxy, operation, call, key, cell, this->number);
  if (status == BRAID_OK) {
    *waiting = this;
    return BRAID_WAIT;
  }
  braid_wait_node_leave(node);
  braid_proxy_free(this);
  return status;
}

void braid_proxy_free(struct braid_proxy_call *call) {
  enter_self();
  call->proxy->calls--;
  braid_list_remove(&call->row);
  leave_self();
  braid_object_unref(&call->proxy->object);
  free(call);
}

bool braid_proxy_answered(struct braid_proxy_call *call) {
  enter_self();
  bool answered = call->answered;
  leave_self();
  return answered;
}

bool braid_proxy_cancel(struct braid_proxy_call *call, struct braid_wait_node *node) {
  struct braid_proxy *proxy = call->proxy;
  enter_self();
  bool wait = !call->answered;
  if (wait) braid_wait_node_join(node, &call->waiters);
  leave_self();
  if (!wait) return false;
  braid_guard_enter(&proxy->object.guard);
  if (proxy->connection) {
    struct braid_frame frame = {.kind = BRAID_FRAME_CANCEL, .id = call->number, .value = proxy->id};
    braid_connection_put(proxy->connection, frame, NULL, 0);
  }
  braid_proxy_go(proxy, true);
  return true;
}

/* The call stays, because only the I/O thread, which is this one, answers calls. */
static struct braid_proxy_call *find_call(uint64_t number) {
  struct braid_proxy_call *found = NULL;
  enter_self();
  struct braid_list *row = row_of(number);
  for (struct braid_list *at = row->next; at != row && !found; at = at->next) {
    struct braid_proxy_call *call = braid_container(at, struct braid_proxy_call, row);
    if (call->number == number && !call->answered) found = call;
  }
  leave_self();
  return found;
}

static bool is_outcome(uint32_t status) {
  return status == BRAID_OK || (status >= BRAID_CANCELLED && status <= BRAID_NO_MEMORY) || status == BRAID_SYSTEM;
}

/* Whether the item is of the type that the operation returns. */
static bool may_answer(enum braid_call_operation operation, struct braid_item item) {
  if (operation == BRAID_QUEUE_TRY_GET || operation == BRAID_DICT_GET || item.tag == BRAID_ITEM_NONE) return true;
  return item.tag == (operation == BRAID_DICT_KEYS ? BRAID_ITEM_MESSAGE : BRAID_ITEM_INTEGER);
}

void braid_proxy_on_answer(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_answer answer;
  struct braid_queue_cell cell;
  struct braid_proxy_call *call = find_call(frame->id);
  if (frame->size < sizeof answer || !is_outcome(frame->status) || !call || call->proxy->connection != connection) {
    braid_connection_fail(connection, "an answer came to no call");
    return;
  }
  memcpy(&answer, body, sizeof answer);
  if (!braid_connection_items(connection, frame, body, sizeof answer, &cell, 1)) return;
  if (!may_answer(call->operation, cell.item)) {
    braid_item_drop(cell.item);
    braid_connection_fail(connection, "an answer is not what was asked for");
    return;
  }
  struct braid_wake_list woken = {0};
  enter_self();
  call->answered = true;
  bool lost = cell.item.tag == BRAID_ITEM_NONE && cell.item.bits != 0;
  call->status = lost ? BRAID_SYSTEM : (enum braid_status)frame->status;
  call->extra = lost ? (int64_t)cell.item.bits : answer.extra;
  call->item = cell.item;
  braid_wait_queue_claim_all(&call->waiters, BRAID_OK, &woken);
  leave_self();
  braid_loop_post_all(&woken);
}

/* ---- holders of locks ----------------------------------------------------------------------------------------- */

bool braid_proxy_hold(struct braid_proxy *lock, uint64_t owner) {
  struct braid_proxy_hold *hold = malloc(sizeof *hold);
  if (!hold) return false;
  *hold = (struct braid_proxy_hold){NULL, lock, owner};
  braid_object_ref(&lock->object);
  enter_self();
  hold->next = braid_proxies.holds;
  braid_proxies.holds = hold;
  leave_self();
  return true;
}

/* lock NULL: any lock. Under the guard. */
static struct braid_proxy_hold **find_hold(const struct braid_proxy *lock, uint64_t owner) {
  struct braid_proxy_hold **at = &braid_proxies.holds;
  while (*at && ((*at)->owner != owner || (lock && (*at)->lock != lock))) at = &(*at)->next;
  return at;
}

bool braid_proxy_holds(struct braid_proxy *lock, uint64_t owner) {
  enter_self();
  bool holds = *find_hold(lock, owner) != NULL;
  leave_self();
  return holds;
}

/* Returns the hold, which the caller owns; NULL: there is none. */
static struct braid_proxy_hold *take_hold(const struct braid_proxy *lock, uint64_t owner) {
  enter_self();
  struct braid_proxy_hold **at = find_hold(lock, owner), *hold = *at;
  if (hold) *at = hold->next;
  leave_self();
  return hold;
}

bool braid_proxy_unhold(struct braid_proxy *lock, uint64_t owner) {
  struct braid_proxy_hold *hold = take_hold(lock, owner);
  if (!hold) return false;
  braid_object_unref(&hold->lock->object);
  free(hold);
  return true;
}

void braid_proxy_abandon(uint64_t owner) {
  struct braid_proxy_hold *hold;
  struct braid_call call = {.owner = owner};
  while ((hold = take_hold(NULL, owner))) {
    braid_proxy_call(hold->lock, BRAID_LOCK_ABANDON, &call, NULL, NULL, NULL, NULL);
    braid_object_unref(&hold->lock->object);
    free(hold);
  }
}
