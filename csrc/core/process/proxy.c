/* SPDX-License-Identifier: MIT
 * Calls and holds are guarded by one guard for the process. A call's frame is put under its stub's guard, which also
 * guards the link: so no frame is put on a link that has ended. Order of guards: the stub's, then the link's mutex. */
#include "core/process/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "core/process/proxy_queue.h"

enum { ROWS = 64 };

static void destroy(struct braid_object *object);

const struct braid_class braid_remote_classes[BRAID_REMOTE_KINDS] = {
    [BRAID_REMOTE_QUEUE] = {"braid.remote.queue", destroy},
    [BRAID_REMOTE_LOCK] = {"braid.remote.lock", destroy},
    [BRAID_REMOTE_SEMAPHORE] = {"braid.remote.semaphore", destroy},
    [BRAID_REMOTE_EVENT] = {"braid.remote.event", destroy},
    [BRAID_REMOTE_CONDITION] = {"braid.remote.condition", destroy},
    [BRAID_REMOTE_BARRIER] = {"braid.remote.barrier", destroy},
    [BRAID_REMOTE_COUNTER] = {"braid.remote.counter", destroy},
    [BRAID_REMOTE_DICT] = {"braid.remote.dict", destroy},
};

/* Whose task `owner` is, holds the lock. */
struct hold {
  struct hold *next;
  struct braid_remote *lock; /* with a reference */
  uint64_t owner;
};

static struct {
  struct braid_guard guard;
  struct braid_list calls[ROWS]; /* by number */
  uint64_t last_number;
  struct hold *holds;
} self;

static void init_self(void) {
  braid_guard_init(&self.guard, true);
  for (int i = 0; i < ROWS; i++) braid_list_init(&self.calls[i]);
}

static void enter_self(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_self);
  braid_guard_enter(&self.guard);
}

static void leave_self(void) { braid_guard_leave(&self.guard); }

/* ---- stubs ---------------------------------------------------------------------------------------------------- */

static void destroy(struct braid_object *object) {
  struct braid_remote *remote = braid_remote_of(object);
  if (remote->queue) braid_remote_queue_term(remote);
  if (remote->lock) braid_object_unref(&remote->lock->object);
  remote->keeper->leave(remote->keeper);
  free(remote);
}

struct braid_remote *braid_remote_new(struct braid_link *link, enum braid_remote_kind kind, uint64_t id,
                                      struct braid_array_keeper *keeper) {
  struct braid_remote *remote = calloc(1, sizeof *remote);
  if (!remote) return NULL;
  braid_object_init(&remote->object, &braid_remote_classes[kind]);
  braid_object_share(&remote->object);
  remote->kind = kind;
  remote->link = link;
  remote->id = id;
  remote->keeper = keeper;
  if (kind != BRAID_REMOTE_QUEUE || braid_remote_queue_init(remote)) return remote;
  free(remote);
  return NULL;
}

void braid_remote_go(struct braid_remote *remote, bool flush) {
  struct braid_link *link = flush ? remote->link : NULL;
  if (link) braid_link_hold(link);
  braid_guard_leave(&remote->object.guard);
  if (link) braid_link_flush_held(link);
}

/* Nobody will answer any more. */
static void fail_calls(const struct braid_remote *remote) {
  struct braid_road woken = {0};
  enter_self();
  for (int i = 0; i < ROWS && remote->calls > 0; i++) {
    for (struct braid_list *at = self.calls[i].next; at != &self.calls[i]; at = at->next) {
      struct braid_remote_call *call = braid_container(at, struct braid_remote_call, row);
      if (call->remote != remote || call->answered) continue;
      call->answered = true;
      call->status = BRAID_GONE;
      braid_line_claim_all(&call->line, BRAID_OK, &woken);
    }
  }
  leave_self();
  braid_loop_post_all(&woken);
}

void braid_remote_end(struct braid_remote *remote) {
  braid_guard_enter(&remote->object.guard);
  remote->link = NULL;
  atomic_store(&remote->gone, true);
  braid_guard_leave(&remote->object.guard);
  if (remote->queue) braid_remote_queue_end(remote);
  fail_calls(remote);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static struct braid_list *row_of(uint64_t number) { return &self.calls[number % ROWS]; }

/* Under the stub's guard. False: memory is out. */
static bool put_call(struct braid_remote *remote, enum braid_call_operation operation, struct braid_call *call,
                     const char *key, const struct braid_queue_cell *cell, uint64_t number) {
  struct braid_frame frame = {.kind = BRAID_FRAME_CALL, .id = number, .status = operation, .value = remote->id};
  struct braid_queue_cell nothing = {.item.tag = BRAID_ITEM_NONE};
  char room[256], *body = room;
  size_t size = sizeof *call + call->key_size;
  if (size > sizeof room && !(body = malloc(size))) return false;
  memcpy(body, call, sizeof *call);
  if (call->key_size) memcpy(body + sizeof *call, key, call->key_size);
  bool put = braid_link_put_items(remote->link, frame, body, size, cell ? cell : &nothing, 1);
  if (body != room) free(body);
  return put;
}

static enum braid_status send_call(struct braid_remote *remote, enum braid_call_operation operation,
                                   struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                   uint64_t number) {
  braid_guard_enter(&remote->object.guard);
  enum braid_status status = BRAID_GONE;
  if (remote->link) status = put_call(remote, operation, call, key, cell, number) ? BRAID_OK : BRAID_NO_MEMORY;
  braid_remote_go(remote, true);
  return status;
}

enum braid_status braid_remote_call(struct braid_remote *remote, enum braid_call_operation operation,
                                    struct braid_call *call, const char *key, const struct braid_queue_cell *cell,
                                    struct braid_hook *hook, struct braid_remote_call **waiting) {
  if (!hook) return send_call(remote, operation, call, key, cell, 0);
  struct braid_remote_call *this = calloc(1, sizeof *this);
  if (!this) return BRAID_NO_MEMORY;
  this->remote = remote;
  this->operation = operation;
  braid_object_ref(&remote->object);
  enter_self();
  braid_line_init(&this->line, &self.guard);
  this->number = ++self.last_number;
  remote->calls++;
  braid_list_push(row_of(this->number), &this->row);
  braid_hook_join(hook, &this->line);
  leave_self();
  enum braid_status status = send_call(remote, operation, call, key, cell, this->number);
  if (status == BRAID_OK) {
    *waiting = this;
    return BRAID_WAIT;
  }
  braid_hook_leave(hook);
  braid_remote_free(this);
  return status;
}

void braid_remote_free(struct braid_remote_call *call) {
  enter_self();
  call->remote->calls--;
  braid_list_remove(&call->row);
  leave_self();
  braid_object_unref(&call->remote->object);
  free(call);
}

bool braid_remote_answered(struct braid_remote_call *call) {
  enter_self();
  bool answered = call->answered;
  leave_self();
  return answered;
}

bool braid_remote_cancel(struct braid_remote_call *call, struct braid_hook *hook) {
  struct braid_remote *remote = call->remote;
  enter_self();
  bool wait = !call->answered;
  if (wait) braid_hook_join(hook, &call->line);
  leave_self();
  if (!wait) return false;
  braid_guard_enter(&remote->object.guard);
  if (remote->link) {
    struct braid_frame frame = {.kind = BRAID_FRAME_CANCEL, .id = call->number, .value = remote->id};
    braid_link_put(remote->link, frame, NULL, 0);
  }
  braid_remote_go(remote, true);
  return true;
}

/* It stays until it is answered, and that is done on the broker's thread only. */
static struct braid_remote_call *find_call(uint64_t number) {
  struct braid_remote_call *found = NULL;
  enter_self();
  struct braid_list *row = row_of(number);
  for (struct braid_list *at = row->next; at != row && !found; at = at->next) {
    struct braid_remote_call *call = braid_container(at, struct braid_remote_call, row);
    if (call->number == number && !call->answered) found = call;
  }
  leave_self();
  return found;
}

static bool is_outcome(uint32_t status) {
  return status == BRAID_OK || (status >= BRAID_CANCELLED && status <= BRAID_NO_MEMORY) || status == BRAID_SYSTEM;
}

void braid_remote_on_answer(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_answer answer;
  struct braid_queue_cell cell;
  struct braid_remote_call *call = find_call(frame->id);
  if (frame->size < sizeof answer || !is_outcome(frame->status) || !call || call->remote->link != link) {
    braid_link_fail(link, "an answer came to no call");
    return;
  }
  memcpy(&answer, body, sizeof answer);
  if (!braid_link_items(link, frame, body, sizeof answer, &cell, 1)) return;
  struct braid_road woken = {0};
  enter_self();
  call->answered = true;
  bool lost = cell.item.tag == BRAID_ITEM_NONE && cell.item.bits != 0;
  call->status = lost ? BRAID_SYSTEM : (enum braid_status)frame->status;
  call->extra = lost ? (int64_t)cell.item.bits : answer.extra;
  call->item = cell.item;
  braid_line_claim_all(&call->line, BRAID_OK, &woken);
  leave_self();
  braid_loop_post_all(&woken);
}

/* ---- who holds which lock ------------------------------------------------------------------------------------- */

bool braid_remote_hold(struct braid_remote *lock, uint64_t owner) {
  struct hold *hold = malloc(sizeof *hold);
  if (!hold) return false;
  *hold = (struct hold){NULL, lock, owner};
  braid_object_ref(&lock->object);
  enter_self();
  hold->next = self.holds;
  self.holds = hold;
  leave_self();
  return true;
}

/* Inside. Of which lock: NULL: any. */
static struct hold **find_hold(const struct braid_remote *lock, uint64_t owner) {
  struct hold **at = &self.holds;
  while (*at && ((*at)->owner != owner || (lock && (*at)->lock != lock))) at = &(*at)->next;
  return at;
}

bool braid_remote_holds(struct braid_remote *lock, uint64_t owner) {
  enter_self();
  bool holds = *find_hold(lock, owner) != NULL;
  leave_self();
  return holds;
}

/* The hold, which is the caller's; NULL: there is none. */
static struct hold *take_hold(const struct braid_remote *lock, uint64_t owner) {
  enter_self();
  struct hold **at = find_hold(lock, owner), *hold = *at;
  if (hold) *at = hold->next;
  leave_self();
  return hold;
}

bool braid_remote_unhold(struct braid_remote *lock, uint64_t owner) {
  struct hold *hold = take_hold(lock, owner);
  if (!hold) return false;
  braid_object_unref(&hold->lock->object);
  free(hold);
  return true;
}

void braid_remote_abandon(uint64_t owner) {
  struct hold *hold;
  struct braid_call call = {.owner = owner};
  while ((hold = take_hold(NULL, owner))) {
    braid_remote_call(hold->lock, BRAID_LOCK_ABANDON, &call, NULL, NULL, NULL, NULL);
    braid_object_unref(&hold->lock->object);
    free(hold);
  }
}
