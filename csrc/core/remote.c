/* SPDX-License-Identifier: MIT
 * Calls are guarded by one guard for the process, what a stub works ahead with by the stub's own. Frames that speak of
 * what is ahead are put under the stub's guard, so that their order is that of what happened.
 *
 * What is ahead and was not touched for a tick goes back. How far ahead one works depends on how soon the last time
 * one ran out again: twice as far when that was at once, not at all when it was not. */
#include "remote.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 };
static const int64_t TICK = 2000000, SOON = 1000000; /* ns */

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
  struct braid_guard guard; /* of the calls and the holds */
  struct braid_list calls[ROWS];
  uint64_t last_number;
  struct hold *holds;
  struct braid_link *link;
  struct braid_list active; /* stubs with something ahead, each with a reference; guarded, as is the next */
  atomic_uint ahead;        /* how many */
  struct braid_alarm alarm; /* the agent's, as is the next */
  bool ticking;
} self;

static void destroy(struct braid_object *object) {
  struct braid_remote *remote = braid_container(object, struct braid_remote, object);
  for (unsigned i = 0; i < remote->lease_count; i++)
    braid_item_drop(remote->leases[(remote->lease_first + i) % BRAID_REMOTE_AHEAD]);
  if (remote->lock) braid_object_unref(&remote->lock->object);
  remote->keeper->leave(remote->keeper);
  free(remote->leases);
  free(remote);
}

struct braid_remote *braid_remote_new(struct braid_link *link, enum braid_remote_kind kind, uint64_t id,
                                      struct braid_array_keeper *keeper) {
  struct braid_remote *remote = calloc(1, sizeof *remote);
  if (remote && kind == BRAID_REMOTE_QUEUE) remote->leases = calloc(BRAID_REMOTE_AHEAD, sizeof *remote->leases);
  if (!remote || (kind == BRAID_REMOTE_QUEUE && !remote->leases)) {
    free(remote);
    return NULL;
  }
  braid_object_init(&remote->object, &braid_remote_classes[kind]);
  braid_object_share(&remote->object);
  braid_list_init(&remote->active);
  remote->kind = kind;
  remote->link = link;
  remote->keeper = keeper;
  remote->id = id;
  return remote;
}

static void put_item(struct braid_link *link, struct braid_frame frame, struct braid_item item) {
  struct braid_wire_item wire = {item.bits, item.tag};
  if (item.tag == BRAID_ITEM_MESSAGE)
    braid_link_put_message(link, frame, &wire, sizeof wire, (struct braid_message *)(uintptr_t)item.bits);
  else
    braid_link_put(link, frame, &wire, sizeof wire);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static struct braid_list *row_of(uint64_t number) { return &self.calls[number % ROWS]; }

static bool put_call(struct braid_remote *remote, enum braid_call_operation operation, struct braid_call *call,
                     const char *key, struct braid_item item, uint64_t number) {
  struct braid_frame frame = {.kind = BRAID_FRAME_CALL, .id = number, .status = operation};
  char room[256], *body = room;
  size_t size = sizeof *call + call->key_size;
  if (remote) frame.value = remote->id;
  if (size > sizeof room && !(body = malloc(size))) return false;
  call->item = (struct braid_wire_item){item.bits, item.tag};
  memcpy(body, call, sizeof *call);
  if (call->key_size) memcpy(body + sizeof *call, key, call->key_size);
  bool put = item.tag == BRAID_ITEM_MESSAGE
                 ? braid_link_put_message(self.link, frame, body, size, (struct braid_message *)(uintptr_t)item.bits)
                 : braid_link_put(self.link, frame, body, size);
  if (body != room) free(body);
  braid_link_flush(self.link);
  return put;
}

struct braid_remote_call *braid_remote_call(struct braid_remote *remote, enum braid_call_operation operation,
                                            struct braid_call *call, const char *key, struct braid_item item,
                                            struct braid_hook *hook) {
  struct braid_remote_call *waiting = hook ? calloc(1, sizeof *waiting) : NULL;
  if (!waiting) {
    if (!hook) put_call(remote, operation, call, key, item, 0);
    return NULL;
  }
  braid_line_init(&waiting->line, &self.guard);
  waiting->remote = remote;
  waiting->operation = operation;
  braid_object_ref(&remote->object);
  braid_guard_enter(&self.guard);
  waiting->number = ++self.last_number;
  braid_list_push(row_of(waiting->number), &waiting->row);
  braid_hook_join(hook, &waiting->line);
  braid_guard_leave(&self.guard);
  if (put_call(remote, operation, call, key, item, waiting->number)) return waiting;
  braid_hook_leave(hook);
  braid_remote_free(waiting);
  return NULL;
}

void braid_remote_free(struct braid_remote_call *call) {
  braid_guard_enter(&self.guard);
  braid_list_remove(&call->row);
  braid_guard_leave(&self.guard);
  braid_object_unref(&call->remote->object);
  free(call);
}

bool braid_remote_answered(struct braid_remote_call *call) {
  braid_guard_enter(&self.guard);
  bool answered = call->answered;
  braid_guard_leave(&self.guard);
  return answered;
}

bool braid_remote_cancel(struct braid_remote_call *call, struct braid_hook *hook) {
  braid_guard_enter(&self.guard);
  bool wait = !call->answered;
  if (wait) braid_hook_join(hook, &call->line);
  braid_guard_leave(&self.guard);
  if (!wait) return false;
  braid_link_put(self.link, (struct braid_frame){.kind = BRAID_FRAME_CANCEL, .id = call->number}, NULL, 0);
  braid_link_flush(self.link);
  return true;
}

static struct braid_item read_item(struct braid_link *link, const struct braid_frame *frame, const char *body,
                                   struct braid_wire_item wire, size_t skip) {
  struct braid_item item = {wire.bits, (uint8_t)wire.tag};
  if (item.tag == BRAID_ITEM_MESSAGE) item.bits = (uint64_t)(uintptr_t)braid_link_message(link, frame, body, skip);
  return item;
}

static struct braid_remote_call *find_call(uint64_t number) {
  struct braid_remote_call *found = NULL;
  braid_guard_enter(&self.guard);
  struct braid_list *row = row_of(number);
  for (struct braid_list *at = row->next; at != row && !found; at = at->next) {
    struct braid_remote_call *call = braid_container(at, struct braid_remote_call, row);
    if (call->number == number) found = call;
  }
  braid_guard_leave(&self.guard);
  return found; /* it stays until it is answered, and that is done here only */
}

static void grant(struct braid_remote *remote, int64_t places, bool answers_mark);

static void on_answer(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_road woken = {0};
  struct braid_answer answer;
  struct braid_remote_call *call = find_call(frame->id);
  if (frame->size < sizeof answer || !call) return;
  memcpy(&answer, body, sizeof answer);
  struct braid_item item = read_item(link, frame, body, answer.item, sizeof answer);
  if (call->operation == BRAID_QUEUE_PUT && answer.extra != 0) grant(call->remote, answer.extra, false);
  braid_guard_enter(&self.guard);
  call->answered = true;
  call->status = item.tag == BRAID_ITEM_MESSAGE && !item.bits ? BRAID_NO_MEMORY : (enum braid_status)frame->status;
  call->extra = answer.extra;
  call->item = item;
  braid_line_claim_all(&call->line, BRAID_OK, &woken);
  braid_guard_leave(&self.guard);
  braid_loop_post_all(&woken);
}

/* ---- working ahead -------------------------------------------------------------------------------------------- */

static void mark(struct braid_remote *remote) {
  struct braid_frame frame = {.kind = BRAID_FRAME_MARK, .value = remote->id, .id = remote->put_window};
  braid_link_put(remote->link, frame, NULL, 0);
  remote->marked = true;
  remote->unmarked = 0;
}

bool braid_remote_put(struct braid_remote *remote, struct braid_item item, uint64_t *want) {
  *want = 0;
  if (!remote->in_order) return false;
  braid_guard_enter(&remote->object.guard);
  bool place = remote->places > 0, flush = false;
  remote->touched = true;
  if (place) {
    remote->places--;
    remote->unmarked++;
    put_item(remote->link, (struct braid_frame){.kind = BRAID_FRAME_PUT, .value = remote->id}, item);
    /* The tick sends what is left over. */
    flush = !remote->marked && remote->places <= remote->send_at;
    if (flush) mark(remote);
  } else {
    int64_t now = braid_clock_now();
    bool soon = now - remote->put_called < SOON;
    remote->put_window = soon ? remote->put_window * 2 + 1 : 0;
    if (remote->put_window > BRAID_REMOTE_AHEAD) remote->put_window = BRAID_REMOTE_AHEAD;
    remote->put_called = now;
    *want = remote->put_window;
  }
  braid_guard_leave(&remote->object.guard);
  if (!place) return false;
  braid_item_drop(item);
  if (flush) braid_link_flush(remote->link);
  return true;
}

bool braid_remote_get(struct braid_remote *remote, struct braid_item *item, struct braid_call *call) {
  braid_guard_enter(&remote->object.guard);
  bool leased = remote->lease_count > 0;
  remote->touched = true;
  if (leased) {
    *item = remote->leases[remote->lease_first];
    remote->lease_first = (remote->lease_first + 1) % BRAID_REMOTE_AHEAD;
    remote->lease_count--;
    remote->used++;
  } else {
    int64_t now = braid_clock_now();
    bool soon = now - remote->get_called < SOON && remote->in_order;
    remote->get_window = soon ? remote->get_window * 2 + 1 : 0;
    if (remote->get_window > BRAID_REMOTE_AHEAD / 2) remote->get_window = BRAID_REMOTE_AHEAD / 2;
    remote->get_called = now;
    remote->lease_open = false;
    call->number = (int64_t)remote->get_window;
    call->bits = remote->used;
  }
  braid_guard_leave(&remote->object.guard);
  return leased;
}

/* Under the stub's guard. */
static void return_leases(struct braid_remote *remote, struct braid_item *items) {
  struct braid_frame frame = {.kind = BRAID_FRAME_RETURN, .value = remote->id, .id = remote->lease_count};
  braid_link_put(remote->link, frame, &remote->used, sizeof remote->used);
  for (unsigned i = 0; i < remote->lease_count; i++)
    items[i] = remote->leases[(remote->lease_first + i) % BRAID_REMOTE_AHEAD];
  remote->used += remote->lease_count;
  if (remote->lease_count > 0) remote->get_window = 0; /* it was too much */
  remote->lease_count = 0;
  remote->lease_open = false;
}

/* Under the stub's guard. */
static void return_places(struct braid_remote *remote) {
  struct braid_frame frame = {.kind = BRAID_FRAME_UNRESERVE, .value = remote->id, .id = (uint64_t)remote->places};
  braid_link_put(remote->link, frame, NULL, 0);
  remote->places = 0;
}

/* `all`: whether or not it was touched. */
static void give_back(struct braid_remote *remote, bool all) {
  struct braid_item items[BRAID_REMOTE_AHEAD];
  unsigned count = 0;
  braid_guard_enter(&remote->object.guard);
  bool idle = all || !remote->touched;
  remote->touched = false;
  if (remote->lease_open && (idle || remote->lease_count == 0)) {
    count = remote->lease_count;
    return_leases(remote, items);
  }
  if (idle && remote->places > 0) return_places(remote);
  braid_guard_leave(&remote->object.guard);
  for (unsigned i = 0; i < count; i++) braid_item_drop(items[i]);
  braid_link_flush(remote->link);
}

void braid_remote_settle(struct braid_remote *remote) { give_back(remote, true); }

static bool has_nothing_ahead(struct braid_remote *remote) {
  braid_guard_enter(&remote->object.guard);
  bool nothing = !remote->lease_open && remote->places <= 0;
  braid_guard_leave(&remote->object.guard);
  return nothing;
}

/* Returns whether anything is ahead still. One at a time, so that all are seen. */
static bool settle_active(bool all) {
  static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
  struct braid_list rest;
  braid_list_init(&rest);
  pthread_mutex_lock(&turn);
  braid_guard_enter(&self.guard);
  braid_list_move(&self.active, &rest);
  while (!braid_list_empty(&rest)) {
    struct braid_remote *remote = braid_container(rest.next, struct braid_remote, active);
    braid_guard_leave(&self.guard);
    give_back(remote, all);
    braid_guard_enter(&self.guard);
    braid_list_remove(&remote->active);
    if (!has_nothing_ahead(remote)) {
      braid_list_push(&self.active, &remote->active);
      continue;
    }
    atomic_fetch_sub(&self.ahead, 1);
    braid_guard_leave(&self.guard);
    braid_object_unref(&remote->object);
    braid_guard_enter(&self.guard);
  }
  braid_guard_leave(&self.guard);
  pthread_mutex_unlock(&turn);
  return atomic_load(&self.ahead) > 0;
}

void braid_remote_settle_all(void) {
  if (self.link && atomic_load(&self.ahead) > 0) settle_active(true);
}

static void on_tick(struct braid_alarm *alarm) {
  (void)alarm;
  self.ticking = settle_active(false);
  if (self.ticking) braid_alarm_start(&self.link->broker->loop, &self.alarm, braid_clock_now() + TICK);
}

/* Something is ahead: it is looked after. */
static void look_after(struct braid_remote *remote) {
  braid_guard_enter(&self.guard);
  if (braid_list_empty(&remote->active)) {
    braid_list_push(&self.active, &remote->active);
    braid_object_ref(&remote->object);
    atomic_fetch_add(&self.ahead, 1);
  }
  braid_guard_leave(&self.guard);
  if (self.ticking) return;
  self.ticking = true;
  braid_alarm_start(&self.link->broker->loop, &self.alarm, braid_clock_now() + TICK);
}

/* Who puts little sends each. Who puts much into much room sends the first half and asks for more, so that both ends
 * work at a time; little room goes in one piece, with the call for more. Under the stub's guard. */
static int64_t send_at(const struct braid_remote *remote) {
  enum { LITTLE = 32 };
  if (remote->put_window < 4) return remote->places;
  return remote->places <= LITTLE ? -1 : remote->places / 2;
}

static void grant(struct braid_remote *remote, int64_t places, bool answers_mark) {
  bool flush = false;
  braid_guard_enter(&remote->object.guard);
  remote->places += places;
  remote->send_at = send_at(remote);
  if (answers_mark) {
    remote->marked = false;
    flush = remote->unmarked > 0;
    if (flush) {
      remote->put_window = remote->put_window * 2 < BRAID_REMOTE_AHEAD ? remote->put_window * 2 : BRAID_REMOTE_AHEAD;
      mark(remote);
    }
  }
  bool ahead = remote->places > 0;
  braid_guard_leave(&remote->object.guard);
  if (flush) braid_link_flush(remote->link);
  if (ahead) look_after(remote);
}

/* With a reference; NULL: nobody knows it any more. */
static struct braid_remote *find_stub(struct braid_link *link, uint64_t id) {
  struct braid_object *object = braid_ledger_known(link->objects, id);
  return object && object->class == &braid_remote_classes[BRAID_REMOTE_QUEUE]
             ? braid_container(object, struct braid_remote, object)
             : NULL;
}

static void on_places(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_remote *remote = find_stub(link, frame->value);
  if (!remote) return; /* the parent gives them back when it hears of that */
  grant(remote, (int64_t)frame->id, frame->status == 0);
  braid_object_unref(&remote->object);
}

/* The call whose answer comes behind it keeps the stub. */
static void on_lease(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_wire_item wire;
  struct braid_remote *remote = find_stub(link, frame->value);
  if (!remote) return;
  memcpy(&wire, body, sizeof wire);
  struct braid_item item = read_item(link, frame, body, wire, sizeof wire);
  braid_guard_enter(&remote->object.guard);
  remote->leases[(remote->lease_first + remote->lease_count++) % BRAID_REMOTE_AHEAD] = item;
  remote->lease_open = remote->touched = true;
  braid_guard_leave(&remote->object.guard);
  look_after(remote);
  braid_object_unref(&remote->object);
}

void braid_remote_begin(struct braid_link *link) {
  braid_guard_init(&self.guard, true);
  for (int i = 0; i < ROWS; i++) braid_list_init(&self.calls[i]);
  braid_list_init(&self.active);
  self.alarm.fire = on_tick;
  self.link = link;
  braid_link_handle(link, BRAID_FRAME_ANSWER, on_answer);
  braid_link_handle(link, BRAID_FRAME_PLACES, on_places);
  braid_link_handle(link, BRAID_FRAME_LEASE, on_lease);
}

/* ---- who holds which lock ------------------------------------------------------------------------------------- */

bool braid_remote_hold(struct braid_remote *lock, uint64_t owner) {
  struct hold *hold = malloc(sizeof *hold);
  if (!hold) return false;
  *hold = (struct hold){NULL, lock, owner};
  braid_object_ref(&lock->object);
  braid_guard_enter(&self.guard);
  hold->next = self.holds;
  self.holds = hold;
  braid_guard_leave(&self.guard);
  return true;
}

/* Under the guard. Of which lock: NULL: any. */
static struct hold **find_hold(const struct braid_remote *lock, uint64_t owner) {
  struct hold **at = &self.holds;
  while (*at && ((*at)->owner != owner || (lock && (*at)->lock != lock))) at = &(*at)->next;
  return at;
}

bool braid_remote_holds(struct braid_remote *lock, uint64_t owner) {
  braid_guard_enter(&self.guard);
  bool holds = *find_hold(lock, owner) != NULL;
  braid_guard_leave(&self.guard);
  return holds;
}

bool braid_remote_unhold(struct braid_remote *lock, uint64_t owner) {
  braid_guard_enter(&self.guard);
  struct hold **at = find_hold(lock, owner), *hold = *at;
  if (hold) *at = hold->next;
  braid_guard_leave(&self.guard);
  if (!hold) return false;
  braid_object_unref(&hold->lock->object);
  free(hold);
  return true;
}

void braid_remote_abandon(uint64_t owner) {
  if (!self.link) return; /* this process is no worker */
  bool held = false;
  while (braid_remote_unhold(NULL, owner)) held = true;
  struct braid_call call = {.owner = owner};
  if (held) braid_remote_call(NULL, BRAID_LOCK_ABANDON, &call, NULL, (struct braid_item){0}, NULL);
}
