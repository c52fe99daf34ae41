/* SPDX-License-Identifier: MIT
 * A call that has to wait is a visit: its waiter stands in the object's line as a task's would. Visits and holdings are
 * the broker's thread's alone. When a link ends, a visit that was served already is on its way home: it finds itself
 * without a link then, and gives back what it was served. */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "dict.h"
#include "gate.h"
#include "queue.h"

/* A lock that somebody in the worker holds, or waits for: its address is the owner that the lock knows. */
struct holding {
  struct braid_list link;
  struct braid_gate *lock; /* with a reference */
  uint64_t owner;          /* in the worker */
};

struct visit {
  struct braid_errand errand;
  struct braid_list link;
  struct braid_ledger *ledger; /* NULL: the link is closed */
  struct braid_broker *broker;
  enum braid_call_operation operation;
  uint64_t number;
  struct braid_object *object; /* with a reference */
  uint64_t id;                 /* of the object */
  struct holding *holding;
  uint64_t ahead; /* places or leases that are wanted */
  int64_t extra;  /* of the answer: what is known of it already */
};

/* What a call is about, while it is tried. */
struct attempt {
  struct braid_ledger *ledger;
  struct braid_entry *entry; /* NULL: the operation is about no object */
  struct braid_call call;
  struct braid_key key;
  struct holding *holding; /* of a lock that is being taken */
  struct braid_item item;  /* a put's or a set's; then the answer's */
  int64_t extra;
};

/* ---- answers -------------------------------------------------------------------------------------------------- */

static void put_item(struct braid_link *link, struct braid_frame frame, const void *body, size_t size,
                     struct braid_item item) {
  if (item.tag == BRAID_ITEM_MESSAGE)
    braid_link_put_message(link, frame, body, size, (struct braid_message *)(uintptr_t)item.bits);
  else
    braid_link_put(link, frame, body, size);
}

/* Something in it cannot go to a worker process. */
static bool is_refused(struct braid_item item) {
  const struct braid_object *which;
  return item.tag == BRAID_ITEM_MESSAGE &&
         braid_link_refuse(BRAID_LINK_TO_WORKER, (const struct braid_message *)(uintptr_t)item.bits, &which);
}

/* Uses the item up: one that cannot travel is lost. It is sent when the broker has handled what has come. */
static void answer(struct braid_link *link, uint64_t number, enum braid_status status, struct braid_item item,
                   int64_t extra) {
  bool refused = is_refused(item);
  struct braid_frame frame = {.kind = BRAID_FRAME_ANSWER, .id = number, .status = refused ? BRAID_MISUSE : status};
  struct braid_answer body = {{item.bits, item.tag}, extra};
  if (refused) body.item.tag = BRAID_ITEM_NONE;
  if (number && refused) {
    braid_link_put(link, frame, &body, sizeof body);
    braid_errand_send(&link->nudge);
  } else if (number) {
    put_item(link, frame, &body, sizeof body, item);
    braid_errand_send(&link->nudge);
  }
  braid_item_drop(item);
}

/* ---- locks ---------------------------------------------------------------------------------------------------- */

static struct holding *find_holding(struct braid_ledger *ledger, const struct braid_gate *lock, uint64_t owner) {
  for (struct braid_list *at = ledger->holdings.next; at != &ledger->holdings; at = at->next) {
    struct holding *holding = braid_container(at, struct holding, link);
    if (holding->owner == owner && (!lock || holding->lock == lock)) return holding;
  }
  return NULL;
}

static struct holding *new_holding(struct braid_gate *lock, uint64_t owner) {
  struct holding *holding = malloc(sizeof *holding);
  if (!holding) return NULL;
  *holding = (struct holding){.lock = lock, .owner = owner};
  braid_list_init(&holding->link);
  braid_object_ref(&lock->object);
  return holding;
}

static void free_holding(struct holding *holding) {
  if (!holding) return;
  braid_list_remove(&holding->link);
  braid_object_unref(&holding->lock->object);
  free(holding);
}

static uint64_t number_of(const struct holding *holding) { return (uint64_t)(uintptr_t)holding; }

static void abandon(struct holding *holding) {
  braid_lock_abandon(holding->lock);
  free_holding(holding);
}

static enum braid_status acquire(struct attempt *attempt, struct braid_gate *lock, struct braid_hook *hook) {
  if (!attempt->holding) {
    if (find_holding(attempt->ledger, lock, attempt->call.owner)) return BRAID_MISUSE;
    attempt->holding = new_holding(lock, attempt->call.owner);
    if (!attempt->holding) return BRAID_NO_MEMORY;
  }
  enum braid_status status = braid_lock_acquire(lock, number_of(attempt->holding), hook);
  if (status != BRAID_OK) return status;
  braid_list_push(&attempt->ledger->holdings, &attempt->holding->link);
  attempt->holding = NULL;
  return BRAID_OK;
}

static enum braid_status release(struct braid_ledger *ledger, struct braid_gate *lock, uint64_t owner) {
  struct holding *holding = find_holding(ledger, lock, owner);
  if (!holding) return BRAID_MISUSE;
  braid_lock_release(lock, number_of(holding));
  free_holding(holding);
  return BRAID_OK;
}

/* ---- queues: working ahead ------------------------------------------------------------------------------------ */

static struct braid_queue *queue_of(struct braid_object *object) {
  return object->class == &braid_queue_class ? braid_container(object, struct braid_queue, object) : NULL;
}

static int64_t reserve(struct braid_entry *entry, uint64_t most) {
  size_t places = most ? braid_queue_reserve(queue_of(entry->object), (size_t)most) : 0;
  entry->places += places;
  return (int64_t)places;
}

/* So many of the leases, ever, are used: they are dropped here. */
static void settle(struct braid_entry *entry, uint64_t used) {
  size_t count = used > entry->settled ? (size_t)(used - entry->settled) : 0;
  if (count > entry->lease_count) count = entry->lease_count;
  for (size_t i = 0; i < count; i++) braid_item_drop(entry->leases[i]);
  if (count == 0) return;
  entry->lease_count -= count;
  entry->settled += count;
  memmove(entry->leases, entry->leases + count, entry->lease_count * sizeof *entry->leases);
  braid_queue_settle(queue_of(entry->object), count);
}

static void put_back(struct braid_entry *entry, size_t count) {
  if (count > entry->lease_count) count = entry->lease_count;
  if (count == 0) return;
  braid_queue_put_back(queue_of(entry->object), entry->leases, count, true);
  entry->lease_count -= count;
  entry->settled += count;
  memmove(entry->leases, entry->leases + count, entry->lease_count * sizeof *entry->leases);
}

/* The other end knows it no more. */
static void settle_all(struct braid_entry *entry) {
  struct braid_queue *queue = queue_of(entry->object);
  if (!queue) return;
  put_back(entry, entry->lease_count);
  if (entry->places) braid_queue_unreserve(queue, entry->places);
  entry->places = 0;
}

static void lease(struct braid_ledger *ledger, struct braid_entry *entry, uint64_t most) {
  if (!entry->leases) entry->leases = calloc(BRAID_LEDGER_LEASES, sizeof *entry->leases);
  if (!entry->leases) return;
  if (most > BRAID_LEDGER_LEASES - entry->lease_count) most = BRAID_LEDGER_LEASES - entry->lease_count;
  struct braid_item *items = entry->leases + entry->lease_count;
  size_t count = braid_queue_lease(queue_of(entry->object), items, (size_t)most), fit = 0;
  while (fit < count && !is_refused(items[fit])) fit++;
  if (fit < count) braid_queue_put_back(queue_of(entry->object), items + fit, count - fit, true);
  count = fit;
  entry->lease_count += count;
  for (size_t i = 0; i < count; i++) {
    struct braid_frame frame = {.kind = BRAID_FRAME_LEASE, .value = entry->id};
    struct braid_wire_item wire = {items[i].bits, items[i].tag};
    put_item(ledger->link, frame, &wire, sizeof wire, items[i]);
  }
}

/* A place that the worker has been given is used before one that is free: it may be the last. */
static enum braid_status put(struct attempt *attempt, struct braid_queue *queue, struct braid_hook *hook) {
  struct braid_entry *entry = attempt->entry;
  enum braid_status status;
  if (entry->places > 0) {
    entry->places--;
    attempt->extra = -1;
    status = braid_queue_put_reserved(queue, attempt->item);
  } else {
    status = braid_queue_put(queue, attempt->item, attempt->call.key, hook);
  }
  if (status == BRAID_OK || status == BRAID_WAIT) attempt->item.tag = BRAID_ITEM_NONE; /* the queue's, the hook's */
  return status;
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

static enum braid_status set_item(struct attempt *attempt, int64_t number) {
  attempt->item = (struct braid_item){(uint64_t)number, BRAID_ITEM_INTEGER};
  return BRAID_OK;
}

static enum braid_status keys(struct attempt *attempt, struct braid_dict *dict) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  bool whole = braid_dict_keys(dict, &buffer);
  struct braid_message *message = whole ? braid_message_new(buffer.data, buffer.size, NULL, 0) : NULL;
  braid_buffer_term(&buffer);
  if (!message) return BRAID_NO_MEMORY;
  attempt->item = (struct braid_item){(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
  return BRAID_OK;
}

static enum braid_status try_queue(struct attempt *attempt, enum braid_call_operation operation,
                                   struct braid_queue *queue, struct braid_hook *hook) {
  struct braid_queue_facts facts;
  switch (operation) {
    case BRAID_QUEUE_PUT: return put(attempt, queue, hook);
    case BRAID_QUEUE_GET:
      settle(attempt->entry, attempt->call.bits);
      return braid_queue_get(queue, &attempt->item, hook);
    case BRAID_QUEUE_DONE: return braid_queue_task_done(queue);
    case BRAID_QUEUE_JOIN: return hook ? braid_queue_join(queue, hook) : BRAID_EMPTY;
    case BRAID_QUEUE_CLOSE: braid_queue_close(queue, attempt->call.number != 0); return BRAID_OK;
    case BRAID_QUEUE_LOOK:
      facts = braid_queue_look(queue);
      attempt->extra = facts.closed;
      return set_item(attempt, (int64_t)facts.size);
    default: return BRAID_MISUSE;
  }
}

static enum braid_status wait_for_notice(struct attempt *attempt, struct braid_gate *condition,
                                         struct braid_hook *hook) {
  if (!find_holding(attempt->ledger, condition->lock, attempt->call.owner)) return BRAID_MISUSE;
  if (!hook) return BRAID_EMPTY;
  enum braid_status status = braid_condition_wait(condition, hook);
  release(attempt->ledger, condition->lock, attempt->call.owner);
  return status;
}

static enum braid_status look_at_gate(struct attempt *attempt, struct braid_gate *gate) {
  return set_item(attempt,
                  gate->object.class == &braid_lock_class ? braid_lock_owner(gate) != 0 : braid_gate_count(gate));
}

static enum braid_status try_gate(struct attempt *attempt, enum braid_call_operation operation, struct braid_gate *gate,
                                  struct braid_hook *hook) {
  const struct braid_class *class = gate->object.class;
  int64_t number = attempt->call.number;
  if (operation == BRAID_GATE_LOOK) return look_at_gate(attempt, gate);
  if (class == &braid_lock_class) {
    if (operation == BRAID_LOCK_ACQUIRE) return acquire(attempt, gate, hook);
    if (operation == BRAID_LOCK_RELEASE) return release(attempt->ledger, gate, attempt->call.owner);
  } else if (class == &braid_semaphore_class) {
    if (operation == BRAID_SEMAPHORE_ACQUIRE) return braid_semaphore_acquire(gate, hook);
    if (operation == BRAID_SEMAPHORE_RELEASE) return braid_semaphore_release(gate, number);
  } else if (class == &braid_event_class) {
    if (operation == BRAID_EVENT_WAIT) return braid_event_wait(gate, hook);
    if (operation == BRAID_EVENT_SET) return braid_event_set(gate, number != 0), BRAID_OK;
  } else if (class == &braid_condition_class) {
    if (operation == BRAID_CONDITION_WAIT) return wait_for_notice(attempt, gate, hook);
    if (operation == BRAID_CONDITION_NOTIFY) return braid_condition_notify(gate, number), BRAID_OK;
  } else if (class == &braid_barrier_class) {
    if (operation == BRAID_BARRIER_WAIT) return hook ? braid_barrier_wait(gate, hook) : BRAID_EMPTY;
    if (operation == BRAID_BARRIER_ABORT) return braid_barrier_abort(gate), BRAID_OK;
    if (operation == BRAID_BARRIER_RESET) return braid_barrier_reset(gate), BRAID_OK;
  }
  return BRAID_MISUSE;
}

static enum braid_status try_counter(struct attempt *attempt, enum braid_call_operation operation,
                                     struct braid_counter *counter) {
  int64_t number = attempt->call.number;
  switch (operation) {
    case BRAID_COUNTER_ADD:
      return set_item(attempt, (int64_t)((uint64_t)atomic_fetch_add(&counter->value, number) + (uint64_t)number));
    case BRAID_COUNTER_GET: return set_item(attempt, atomic_load(&counter->value));
    case BRAID_COUNTER_SET: atomic_store(&counter->value, number); return BRAID_OK;
    default: return BRAID_MISUSE;
  }
}

static enum braid_status try_dict(struct attempt *attempt, enum braid_call_operation operation,
                                  struct braid_dict *dict) {
  struct holding *holding;
  enum braid_status status;
  switch (operation) {
    case BRAID_DICT_GET:
      if (!braid_dict_get(dict, &attempt->key, &attempt->item)) attempt->item.tag = BRAID_ITEM_NONE;
      return BRAID_OK;
    case BRAID_DICT_SET:
      holding = find_holding(attempt->ledger, dict->lock, attempt->call.owner);
      status = braid_dict_set(dict, &attempt->key, attempt->item, number_of(holding));
      if (status == BRAID_OK) attempt->item.tag = BRAID_ITEM_NONE;
      return status;
    case BRAID_DICT_SIZE: return set_item(attempt, (int64_t)braid_dict_size(dict));
    case BRAID_DICT_KEYS: return keys(attempt, dict);
    default: return BRAID_MISUSE;
  }
}

/* BRAID_EMPTY, BRAID_FULL: it would have to wait. BRAID_WAIT: the hook stands in line, with the item of a put. */
static enum braid_status try(struct attempt *attempt, enum braid_call_operation operation, struct braid_hook *hook) {
  struct braid_object *object = attempt->entry->object;
  if (queue_of(object)) return try_queue(attempt, operation, queue_of(object), hook);
  if (object->class == &braid_counter_class)
    return try_counter(attempt, operation, braid_container(object, struct braid_counter, object));
  if (object->class == &braid_dict_class)
    return try_dict(attempt, operation, braid_container(object, struct braid_dict, object));
  if (object->class == &braid_array_class) return BRAID_MISUSE;
  return try_gate(attempt, operation, braid_container(object, struct braid_gate, object), hook);
}

/* ---- visits --------------------------------------------------------------------------------------------------- */

static void free_visit(struct visit *visit) {
  braid_list_remove(&visit->link);
  free_holding(visit->holding);
  braid_object_unref(visit->object);
  free(visit);
}

/* It was served, and nobody is left who could use it. */
static void undo(struct visit *visit, struct braid_item item) {
  struct braid_gate *gate = braid_container(visit->object, struct braid_gate, object);
  switch (visit->operation) {
    case BRAID_QUEUE_GET: braid_queue_put_back(queue_of(visit->object), &item, 1, false); break;
    case BRAID_LOCK_ACQUIRE: braid_lock_abandon(gate); break;
    case BRAID_SEMAPHORE_ACQUIRE: braid_semaphore_release(gate, 1); break;
    case BRAID_CONDITION_WAIT: braid_condition_notify(gate, 1); break;
    default: break;
  }
}

/* Places for a worker that puts much. `ahead` is how many it would like to have. */
static void finish_mark(struct visit *visit) {
  struct braid_entry *entry = braid_ledger_entry(visit->ledger, visit->id);
  if (!entry) return;
  uint64_t want = visit->ahead > entry->places ? visit->ahead - entry->places : 0;
  struct braid_frame reply = {.kind = BRAID_FRAME_PLACES, .value = entry->id, .id = (uint64_t)reserve(entry, want)};
  braid_link_put(visit->ledger->link, reply, NULL, 0);
  braid_errand_send(&visit->ledger->link->nudge);
}

/* What came of a visit that is over. */
static void finish(struct visit *visit, enum braid_status status) {
  struct braid_hook *hook = &visit->errand.waiter.hook;
  struct braid_item item = braid_hook_item(hook);
  int64_t extra = visit->extra;
  struct braid_entry *entry = braid_ledger_entry(visit->ledger, visit->id);
  if (visit->operation == BRAID_QUEUE_PUT) {
    if (status != BRAID_OK) braid_item_drop(item);
    item = (struct braid_item){0};
    if (status == BRAID_OK && entry) extra += reserve(entry, visit->ahead);
  } else if (visit->operation == BRAID_BARRIER_WAIT) {
    item = (struct braid_item){hook->bits, BRAID_ITEM_INTEGER};
    if (status == BRAID_CANCELLED)
      braid_barrier_desert(braid_container(visit->object, struct braid_gate, object), hook);
  } else if (visit->operation != BRAID_QUEUE_GET || status != BRAID_OK) {
    item = (struct braid_item){0};
  }
  if (visit->operation == BRAID_LOCK_ACQUIRE && status == BRAID_OK) {
    braid_list_push(&visit->ledger->holdings, &visit->holding->link);
    visit->holding = NULL;
  }
  if (visit->operation == BRAID_QUEUE_GET && status == BRAID_OK && entry && visit->ahead)
    lease(visit->ledger, entry, visit->ahead);
  answer(visit->ledger->link, visit->number, status, item, extra);
}

static void on_end_of_visit(struct braid_errand *errand) {
  struct visit *visit = braid_container(errand, struct visit, errand);
  enum braid_status status = (enum braid_status)errand->waiter.status;
  if (visit->ledger && visit->operation == BRAID_QUEUE_MARK) {
    finish_mark(visit);
  } else if (visit->ledger) {
    finish(visit, status);
  } else {
    if (status == BRAID_OK) undo(visit, braid_hook_item(&errand->waiter.hook));
    braid_broker_leave(visit->broker);
  }
  free_visit(visit);
}

static struct visit *new_visit(struct attempt *attempt, enum braid_call_operation operation, uint64_t number) {
  struct visit *visit = calloc(1, sizeof *visit);
  if (!visit) return NULL;
  visit->ledger = attempt->ledger;
  visit->broker = attempt->ledger->link->broker;
  visit->operation = operation;
  visit->number = number;
  visit->object = attempt->entry->object;
  visit->id = attempt->entry->id;
  visit->ahead = operation == BRAID_QUEUE_GET ? (uint64_t)attempt->call.number : attempt->call.bits;
  visit->extra = attempt->extra;
  braid_object_ref(visit->object);
  braid_list_init(&visit->link);
  braid_errand_init(&visit->errand, visit->broker, on_end_of_visit);
  return visit;
}

/* ---- calls that come ------------------------------------------------------------------------------------------ */

/* It could not be served at once. */
static enum braid_status wait(struct attempt *attempt, enum braid_call_operation operation, uint64_t number) {
  struct visit *visit = new_visit(attempt, operation, number);
  if (!visit) return BRAID_NO_MEMORY;
  braid_waiter_arm(&visit->errand.waiter);
  visit->errand.waiter.hook.tag = BRAID_ITEM_NONE;
  enum braid_status status = try(attempt, operation, &visit->errand.waiter.hook);
  if (status == BRAID_WAIT) {
    visit->holding = attempt->holding;
    attempt->holding = NULL;
    braid_list_push(&attempt->ledger->visits, &visit->link);
    return status;
  }
  if (operation == BRAID_BARRIER_WAIT && status == BRAID_OK) set_item(attempt, (int64_t)visit->errand.waiter.hook.bits);
  free_visit(visit);
  return status;
}

/* Served, but finished in its turn: places are reserved when those who were served before have taken their leases, for
 * that makes room. False: memory is out. */
static bool finish_later(struct attempt *attempt, enum braid_call_operation operation, uint64_t number) {
  struct visit *visit = new_visit(attempt, operation, number);
  if (!visit) return false;
  braid_waiter_arm(&visit->errand.waiter);
  visit->errand.waiter.hook.tag = BRAID_ITEM_NONE;
  braid_waiter_claim(&visit->errand.waiter, BRAID_OK);
  braid_list_push(&attempt->ledger->visits, &visit->link);
  braid_loop_post(&visit->errand.waiter);
  return true;
}

static void serve(struct attempt *attempt, enum braid_call_operation operation, uint64_t number) {
  enum braid_status status = try(attempt, operation, NULL);
  bool must_wait = status == BRAID_EMPTY || status == BRAID_FULL;
  if (must_wait && !attempt->call.once && number && operation != BRAID_DICT_SET)
    status = wait(attempt, operation, number);
  if (status == BRAID_WAIT) return;
  if (status == BRAID_OK && operation == BRAID_QUEUE_GET)
    lease(attempt->ledger, attempt->entry, (uint64_t)attempt->call.number);
  if (status == BRAID_OK && operation == BRAID_QUEUE_PUT && attempt->call.bits > 0 &&
      finish_later(attempt, operation, number))
    return;
  if (status != BRAID_OK) {
    braid_item_drop(attempt->item);
    attempt->item = (struct braid_item){0};
  }
  answer(attempt->ledger->link, number, status, attempt->item, attempt->extra);
}

static struct braid_item read_item(struct braid_link *link, const struct braid_frame *frame, const char *body,
                                   struct braid_wire_item wire, size_t skip) {
  struct braid_item item = {wire.bits, (uint8_t)wire.tag};
  if (item.tag != BRAID_ITEM_MESSAGE) return item;
  item.bits = (uint64_t)(uintptr_t)braid_link_message(link, frame, body, skip);
  if (!item.bits) item.tag = BRAID_ITEM_NONE;
  return item;
}

static void on_call(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct attempt attempt = {.ledger = link->objects};
  enum braid_call_operation operation = (enum braid_call_operation)frame->status;
  if (frame->size < sizeof attempt.call) return;
  memcpy(&attempt.call, body, sizeof attempt.call);
  size_t skip = sizeof attempt.call + attempt.call.key_size;
  if (attempt.call.key_size > frame->size - sizeof attempt.call) return;
  if (attempt.call.key_size) braid_key_read(&attempt.key, body + sizeof attempt.call, body + skip);
  attempt.item = read_item(link, frame, body, attempt.call.item, skip);
  if (operation == BRAID_LOCK_ABANDON) {
    struct holding *holding;
    while ((holding = find_holding(attempt.ledger, NULL, attempt.call.owner))) abandon(holding);
    return;
  }
  attempt.entry = braid_ledger_entry(attempt.ledger, frame->value);
  if (attempt.entry)
    serve(&attempt, operation, frame->id);
  else
    answer(link, frame->id, BRAID_MISUSE, attempt.item, 0);
  free_holding(attempt.holding);
}

static void on_cancel(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_ledger *ledger = link->objects;
  for (struct braid_list *at = ledger->visits.next; at != &ledger->visits; at = at->next) {
    struct visit *visit = braid_container(at, struct visit, link);
    if (visit->number != frame->id) continue;
    braid_loop_end_wait(&link->broker->loop, &visit->errand.waiter, BRAID_CANCELLED);
    return;
  }
}

static struct braid_entry *queue_entry(struct braid_link *link, uint64_t id) {
  struct braid_entry *entry = braid_ledger_entry(link->objects, id);
  return entry && queue_of(entry->object) ? entry : NULL;
}

/* An answer that takes a place back has crossed what the worker did with that place: it is to forget the answer. */
static void correct(struct braid_link *link, const struct braid_entry *entry, uint64_t places) {
  struct braid_frame frame = {.kind = BRAID_FRAME_PLACES, .value = entry->id, .id = places, .status = true};
  braid_link_put(link, frame, NULL, 0);
  braid_errand_send(&link->nudge);
}

static void on_put(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_wire_item wire;
  struct braid_entry *entry = queue_entry(link, frame->value);
  if (frame->size < sizeof wire) return;
  memcpy(&wire, body, sizeof wire);
  struct braid_item item = read_item(link, frame, body, wire, sizeof wire);
  if (entry && entry->places > 0)
    entry->places--;
  else if (entry)
    correct(link, entry, 1);
  if (!entry || braid_queue_put_reserved(queue_of(entry->object), item) != BRAID_OK) braid_item_drop(item);
}

static void on_mark(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct attempt attempt = {.ledger = link->objects, .entry = queue_entry(link, frame->value), .call.bits = frame->id};
  if (attempt.entry) finish_later(&attempt, BRAID_QUEUE_MARK, 0);
}

static void on_unreserve(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_entry *entry = queue_entry(link, frame->value);
  if (!entry) return;
  size_t count = frame->id < entry->places ? (size_t)frame->id : entry->places;
  entry->places -= count;
  braid_queue_unreserve(queue_of(entry->object), count);
  if (frame->id > count) correct(link, entry, frame->id - count);
}

static void on_return(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  uint64_t used;
  struct braid_entry *entry = queue_entry(link, frame->value);
  if (!entry || frame->size < sizeof used) return;
  memcpy(&used, body, sizeof used);
  settle(entry, used);
  put_back(entry, (size_t)frame->id);
}

/* ---- the beginning and the end -------------------------------------------------------------------------------- */

static void on_drop(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  braid_ledger_drop(link->objects, frame->value, frame->id, settle_all);
}

void braid_export_begin(struct braid_link *link) {
  braid_link_handle(link, BRAID_FRAME_CALL, on_call);
  braid_link_handle(link, BRAID_FRAME_CANCEL, on_cancel);
  braid_link_handle(link, BRAID_FRAME_PUT, on_put);
  braid_link_handle(link, BRAID_FRAME_MARK, on_mark);
  braid_link_handle(link, BRAID_FRAME_UNRESERVE, on_unreserve);
  braid_link_handle(link, BRAID_FRAME_RETURN, on_return);
  braid_link_handle(link, BRAID_FRAME_DROP, on_drop);
}

/* One that nobody has served ends here; the others come home later, to find that nobody is there. */
static void orphan(struct visit *visit) {
  struct braid_waiter *waiter = &visit->errand.waiter;
  if (braid_waiter_claim(waiter, BRAID_CANCELLED)) {
    braid_hook_leave(&waiter->hook);
    if (visit->operation == BRAID_QUEUE_PUT) braid_item_drop(braid_hook_item(&waiter->hook));
    if (visit->operation == BRAID_BARRIER_WAIT)
      braid_barrier_desert(braid_container(visit->object, struct braid_gate, object), &waiter->hook);
    free_visit(visit);
    return;
  }
  braid_list_remove(&visit->link);
  visit->ledger = NULL;
  visit->broker = braid_broker_enter(); /* which cannot fail: it runs */
}

void braid_export_end(struct braid_link *link) {
  struct braid_ledger *ledger = link->objects;
  while (!braid_list_empty(&ledger->visits)) orphan(braid_container(ledger->visits.next, struct visit, link));
  while (!braid_list_empty(&ledger->holdings)) abandon(braid_container(ledger->holdings.next, struct holding, link));
  braid_ledger_clear(ledger, settle_all);
}
