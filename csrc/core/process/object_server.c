/* SPDX-License-Identifier: MIT
 * A call that must wait is a *visit*: its waiter joins the object's wait queue, as a task's would. Only the I/O thread
 * uses visits and holdings. When a client ends, a visit may already be claimed and on its way to the I/O thread's loop.
 * When it arrives, it has no client any more, and gives back what it got. */
#include "core/process/object_server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/inspect/wait_record.h"
#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/process/queue_server.h"
#include "core/sync/primitives.h"
#include "core/process/relay.h"

/* A lock that some task of the client holds, or waits for. The lock's `owner` is the address of the holding, plus one:
 * tasks have even numbers. */
struct holding {
  struct braid_list link;
  struct braid_primitive *lock; /* with a reference */
  uint64_t owner;               /* the owner's number in the client */
  uint64_t process;             /* the client's; 0: it is not known */
};

struct visit {
  struct braid_errand errand;
  struct braid_list link;
  struct braid_client *client; /* NULL: it has ended */
  struct braid_io_thread *io_thread;
  enum braid_call_operation operation;
  uint64_t number;
  struct braid_object *object; /* with a reference */
  uint64_t id;                 /* the object's number for the client */
  struct holding *holding;
};

/* A call while it is tried. */
struct attempt {
  struct braid_client *client;
  struct braid_entry *entry;
  struct braid_call call;
  uint64_t number; /* of the call; 0: it needs no answer */
  struct braid_key key;
  struct holding *holding;      /* of a lock that is being acquired */
  struct braid_queue_cell cell; /* the item of a put or a set; later the item of the answer */
  int64_t extra;
};

/* ---- answers -------------------------------------------------------------------------------------------------- */

/* Puts the answer and drops the item. The answer is sent after the I/O thread has handled the frames that came. */
static void answer(struct braid_client *client, uint64_t id, uint64_t number, enum braid_status status,
                   struct braid_item item, int64_t extra) {
  struct braid_connection *connection = client->table->connection;
  struct braid_frame frame = {
      .kind = BRAID_FRAME_ANSWER, .id = number, .value = id, .status = status, .channel = client->channel};
  struct braid_answer body = {extra};
  struct braid_queue_cell cell = {.item = item};
  if (item.tag == BRAID_ITEM_NONE) cell.item.bits = 0; /* not 0 would mean that an item was lost: see is_lost */
  if (number) {
    braid_connection_put_items(connection, frame, &body, sizeof body, &cell, 1);
    braid_errand_send(&connection->nudge);
  }
  braid_item_drop(item);
}

/* ---- locks ---------------------------------------------------------------------------------------------------- */

static struct holding *find_holding(struct braid_client *client, const struct braid_primitive *lock, uint64_t owner) {
  for (struct braid_list *at = client->holdings.next; at != &client->holdings; at = at->next) {
    struct holding *holding = braid_container(at, struct holding, link);
    if (holding->owner == owner && holding->lock == lock) return holding;
  }
  return NULL;
}

static struct holding *new_holding(struct braid_primitive *lock, const struct braid_call *call) {
  struct holding *holding = malloc(sizeof *holding);
  if (!holding) return NULL;
  *holding = (struct holding){.lock = lock, .owner = call->owner, .process = call->process};
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

static uint64_t number_of(const struct holding *holding) { return (uint64_t)(uintptr_t)holding | (holding != NULL); }

static void abandon(struct holding *holding) {
  braid_lock_abandon(holding->lock);
  free_holding(holding);
}

static enum braid_status acquire(struct attempt *attempt, struct braid_primitive *lock, struct braid_wait_node *node) {
  if (!attempt->holding) {
    if (find_holding(attempt->client, lock, attempt->call.owner)) return BRAID_MISUSE;
    attempt->holding = new_holding(lock, &attempt->call);
    if (!attempt->holding) return BRAID_NO_MEMORY;
  }
  enum braid_status status = braid_lock_acquire(lock, number_of(attempt->holding), node);
  if (status != BRAID_OK) return status;
  braid_list_push(&attempt->client->holdings, &attempt->holding->link);
  attempt->holding = NULL;
  return BRAID_OK;
}

static enum braid_status release(struct braid_client *client, struct braid_primitive *lock, uint64_t owner) {
  struct holding *holding = find_holding(client, lock, owner);
  if (!holding) return BRAID_MISUSE;
  braid_lock_release(lock, number_of(holding));
  free_holding(holding);
  return BRAID_OK;
}

static enum braid_status abandon_of(struct braid_client *client, struct braid_primitive *lock, uint64_t owner) {
  struct holding *holding = find_holding(client, lock, owner);
  if (holding) abandon(holding);
  return BRAID_OK;
}

/* ---- operations ----------------------------------------------------------------------------------------------- */

static enum braid_status set_item(struct attempt *attempt, int64_t number) {
  attempt->cell.item = (struct braid_item){(uint64_t)number, BRAID_ITEM_INTEGER};
  return BRAID_OK;
}

static enum braid_status keys(struct attempt *attempt, struct braid_dict *dict) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  bool whole = braid_dict_keys(dict, &buffer);
  struct braid_message *message = whole ? braid_message_new(buffer.data, buffer.size, NULL, 0) : NULL;
  braid_buffer_term(&buffer);
  if (!message) return BRAID_NO_MEMORY;
  attempt->cell.item = (struct braid_item){(uint64_t)(uintptr_t)message, BRAID_ITEM_MESSAGE};
  return BRAID_OK;
}

static struct braid_queue *queue_of(struct braid_object *object) {
  return object->class == &braid_queue_class ? braid_container(object, struct braid_queue, object) : NULL;
}

/* All other puts and gets of a client are in queue_server.c. */
static enum braid_status try_queue(struct attempt *attempt, enum braid_call_operation operation,
                                   struct braid_queue *queue, struct braid_wait_node *node) {
  struct braid_queue_facts facts;
  enum braid_status status;
  switch (operation) {
    case BRAID_QUEUE_TRY_PUT:
      status = braid_queue_put(queue, attempt->cell.item, attempt->cell.key, NULL);
      if (status == BRAID_OK) attempt->cell.item.tag = BRAID_ITEM_NONE; /* the queue owns it */
      return status;
    case BRAID_QUEUE_TRY_GET: return braid_queue_get(queue, &attempt->cell.item, NULL);
    case BRAID_QUEUE_DONE: return braid_queue_task_done(queue);
    case BRAID_QUEUE_JOIN: return node ? braid_queue_join(queue, node) : BRAID_EMPTY;
    case BRAID_QUEUE_CLOSE: braid_queue_close(queue, attempt->call.number != 0); return BRAID_OK;
    case BRAID_QUEUE_LOOK:
      facts = braid_queue_look(queue);
      attempt->extra = facts.closed;
      return set_item(attempt, (int64_t)facts.size);
    default: return BRAID_MISUSE;
  }
}

static enum braid_status wait_for_notice(struct attempt *attempt, struct braid_primitive *condition,
                                         struct braid_wait_node *node) {
  if (!find_holding(attempt->client, condition->lock, attempt->call.owner)) return BRAID_MISUSE;
  if (!node) return BRAID_EMPTY;
  enum braid_status status = braid_condition_wait(condition, node);
  release(attempt->client, condition->lock, attempt->call.owner);
  return status;
}

static enum braid_status look_at_primitive(struct attempt *attempt, struct braid_primitive *primitive) {
  return set_item(attempt, primitive->object.class == &braid_lock_class ? braid_lock_owner(primitive) != 0
                                                                        : braid_primitive_count(primitive));
}

static enum braid_status try_primitive(struct attempt *attempt, enum braid_call_operation operation,
                                       struct braid_primitive *primitive, struct braid_wait_node *node) {
  const struct braid_class *class = primitive->object.class;
  int64_t number = attempt->call.number;
  if (operation == BRAID_PRIMITIVE_LOOK) return look_at_primitive(attempt, primitive);
  if (class == &braid_lock_class) {
    if (operation == BRAID_LOCK_ACQUIRE) return acquire(attempt, primitive, node);
    if (operation == BRAID_LOCK_RELEASE) return release(attempt->client, primitive, attempt->call.owner);
    if (operation == BRAID_LOCK_ABANDON) return abandon_of(attempt->client, primitive, attempt->call.owner);
  } else if (class == &braid_semaphore_class) {
    if (operation == BRAID_SEMAPHORE_ACQUIRE) return braid_semaphore_acquire(primitive, node);
    if (operation == BRAID_SEMAPHORE_RELEASE) return braid_semaphore_release(primitive, number);
  } else if (class == &braid_event_class) {
    if (operation == BRAID_EVENT_WAIT) return braid_event_wait(primitive, node);
    if (operation == BRAID_EVENT_SET) return braid_event_set(primitive, number != 0), BRAID_OK;
  } else if (class == &braid_condition_class) {
    if (operation == BRAID_CONDITION_WAIT) return wait_for_notice(attempt, primitive, node);
    if (operation == BRAID_CONDITION_NOTIFY) return braid_condition_notify(primitive, number), BRAID_OK;
  } else if (class == &braid_barrier_class) {
    if (operation == BRAID_BARRIER_WAIT) return node ? braid_barrier_wait(primitive, node) : BRAID_EMPTY;
    if (operation == BRAID_BARRIER_ABORT) return braid_barrier_abort(primitive), BRAID_OK;
    if (operation == BRAID_BARRIER_RESET) return braid_barrier_reset(primitive), BRAID_OK;
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
      if (!braid_dict_get(dict, &attempt->key, &attempt->cell.item)) attempt->cell.item.tag = BRAID_ITEM_NONE;
      return BRAID_OK;
    case BRAID_DICT_SET:
      holding = find_holding(attempt->client, dict->lock, attempt->call.owner);
      status = braid_dict_set(dict, &attempt->key, attempt->cell.item, number_of(holding));
      if (status == BRAID_OK) attempt->cell.item.tag = BRAID_ITEM_NONE;
      return status;
    case BRAID_DICT_SIZE: return set_item(attempt, (int64_t)braid_dict_size(dict));
    case BRAID_DICT_KEYS: return keys(attempt, dict);
    default: return BRAID_MISUSE;
  }
}

/* BRAID_EMPTY, BRAID_FULL: the call would have to wait. BRAID_WAIT: the wait node is in the wait queue. */
static enum braid_status try(struct attempt *attempt, enum braid_call_operation operation,
                             struct braid_wait_node *node) {
  struct braid_object *object = attempt->entry->object;
  if (queue_of(object)) return try_queue(attempt, operation, queue_of(object), node);
  if (object->class == &braid_counter_class)
    return try_counter(attempt, operation, braid_container(object, struct braid_counter, object));
  if (object->class == &braid_dict_class)
    return try_dict(attempt, operation, braid_container(object, struct braid_dict, object));
  if (object->class == &braid_array_class) return BRAID_MISUSE;
  return try_primitive(attempt, operation, braid_container(object, struct braid_primitive, object), node);
}

/* ---- visits --------------------------------------------------------------------------------------------------- */

/* Counts the reference that a visit has of the object. */
static void keep(const struct visit *visit, bool begins) {
  struct braid_entry *entry = visit->client ? braid_object_table_entry(visit->client->table, visit->id) : NULL;
  if (!entry) return;
  if (begins)
    atomic_fetch_add(&entry->kept, 1);
  else
    atomic_fetch_sub(&entry->kept, 1);
}

static void free_visit(struct visit *visit) {
  keep(visit, false);
  braid_list_remove(&visit->link);
  free_holding(visit->holding);
  braid_object_unref(visit->object);
  free(visit);
}

/* Gives back what the visit got, because its client has ended. */
static void undo(struct visit *visit) {
  struct braid_primitive *primitive = braid_container(visit->object, struct braid_primitive, object);
  switch (visit->operation) {
    case BRAID_LOCK_ACQUIRE: braid_lock_abandon(primitive); break;
    case BRAID_SEMAPHORE_ACQUIRE: braid_semaphore_release(primitive, 1); break;
    case BRAID_CONDITION_WAIT: braid_condition_notify(primitive, 1); break;
    default: break;
  }
}

static struct braid_item turn_of(const struct braid_wait_node *node) {
  return (struct braid_item){node->bits, BRAID_ITEM_INTEGER};
}

/* Answers a visit that is over. */
static void finish(struct visit *visit, enum braid_status status) {
  struct braid_wait_node *node = &visit->errand.waiter.node;
  struct braid_item item = {0};
  if (visit->operation == BRAID_BARRIER_WAIT) {
    item = turn_of(node);
    if (status == BRAID_CANCELLED)
      braid_barrier_desert(braid_container(visit->object, struct braid_primitive, object), node);
  }
  if (visit->operation == BRAID_LOCK_ACQUIRE && status == BRAID_OK) {
    braid_list_push(&visit->client->holdings, &visit->holding->link);
    visit->holding = NULL;
  }
  answer(visit->client, visit->id, visit->number, status, item, 0);
}

static void on_end_of_visit(struct braid_errand *errand) {
  struct visit *visit = braid_container(errand, struct visit, errand);
  enum braid_status status = (enum braid_status)errand->waiter.status;
  if (visit->client) {
    finish(visit, status);
  } else {
    if (status == BRAID_OK) undo(visit);
    braid_io_thread_leave(visit->io_thread);
  }
  free_visit(visit);
}

static struct visit *new_visit(struct attempt *attempt, enum braid_call_operation operation) {
  struct visit *visit = calloc(1, sizeof *visit);
  if (!visit) return NULL;
  visit->client = attempt->client;
  visit->io_thread = attempt->client->table->connection->io_thread;
  visit->operation = operation;
  visit->number = attempt->number;
  visit->object = attempt->entry->object;
  visit->id = attempt->entry->id;
  braid_object_ref(visit->object);
  keep(visit, true);
  braid_list_init(&visit->link);
  braid_errand_init(&visit->errand, visit->io_thread, on_end_of_visit);
  return visit;
}

/* Ends a visit that nobody has claimed. A claimed one stays until it arrives, and then has no client. */
static void orphan(struct visit *visit) {
  struct braid_waiter *waiter = &visit->errand.waiter;
  if (braid_waiter_claim(waiter, BRAID_CANCELLED)) {
    braid_wait_node_leave(&waiter->node);
    if (visit->operation == BRAID_BARRIER_WAIT)
      braid_barrier_desert(braid_container(visit->object, struct braid_primitive, object), &waiter->node);
    free_visit(visit);
    return;
  }
  braid_list_remove(&visit->link);
  visit->client = NULL;
  visit->io_thread = braid_io_thread_enter(); /* cannot fail, because the I/O thread runs */
}

/* ---- incoming calls ------------------------------------------------------------------------------------------- */

/* Makes a visit, because the call could not be served at once. */
static enum braid_status wait(struct attempt *attempt, enum braid_call_operation operation) {
  struct visit *visit = new_visit(attempt, operation);
  if (!visit) return BRAID_NO_MEMORY;
  braid_waiter_arm(&visit->errand.waiter);
  visit->errand.waiter.node.tag = BRAID_ITEM_NONE;
  enum braid_status status = try(attempt, operation, &visit->errand.waiter.node);
  if (status == BRAID_WAIT) {
    visit->holding = attempt->holding;
    attempt->holding = NULL;
    braid_list_push(&attempt->client->visits, &visit->link);
    return status;
  }
  if (operation == BRAID_BARRIER_WAIT && status == BRAID_OK) attempt->cell.item = turn_of(&visit->errand.waiter.node);
  free_visit(visit);
  return status;
}

static bool may_wait(enum braid_call_operation operation) {
  return operation != BRAID_DICT_SET && operation != BRAID_QUEUE_TRY_PUT && operation != BRAID_QUEUE_TRY_GET;
}

static void serve(struct attempt *attempt, enum braid_call_operation operation) {
  enum braid_status status = try(attempt, operation, NULL);
  if (status == BRAID_EMPTY && !attempt->call.once && attempt->number && may_wait(operation))
    status = wait(attempt, operation);
  if (status == BRAID_WAIT) return;
  if (status != BRAID_OK) {
    braid_item_drop(attempt->cell.item);
    attempt->cell.item = (struct braid_item){0};
  }
  answer(attempt->client, attempt->entry->id, attempt->number, status, attempt->cell.item, attempt->extra);
}

static bool has_key(uint32_t operation) { return operation == BRAID_DICT_GET || operation == BRAID_DICT_SET; }

static bool has_item(uint32_t operation) { return operation == BRAID_DICT_SET || operation == BRAID_QUEUE_TRY_PUT; }

/* The body is struct braid_call, the key, the item. False: it is malformed, and the caller owns nothing. */
static bool read_call(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                      struct attempt *attempt) {
  if (frame->size < sizeof attempt->call || frame->status >= BRAID_CALL_OPERATIONS) return false;
  memcpy(&attempt->call, body, sizeof attempt->call);
  size_t skip = sizeof attempt->call + attempt->call.key_size;
  if (skip > frame->size) return false;
  const char *key = body + sizeof attempt->call, *end = body + skip;
  if (attempt->call.key_size && braid_key_read(&attempt->key, key, end) != end) return false;
  if (has_key(frame->status) && !attempt->call.key_size) return false;
  if (!braid_connection_items(connection, frame, body, skip, &attempt->cell, 1)) return false;
  if (has_item(frame->status) || attempt->cell.item.tag == BRAID_ITEM_NONE) return true;
  braid_item_drop(attempt->cell.item);
  return false;
}

/* There was no memory or descriptor to read it: see braid_connection_items. */
static bool is_lost(struct braid_item item) { return item.tag == BRAID_ITEM_NONE && item.bits != 0; }

static void on_call(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct attempt attempt = {.entry = braid_client_entry(connection, frame, body), .number = frame->id};
  if (!attempt.entry) return;
  attempt.client = braid_client_on(connection, frame->channel);
  if (!attempt.client) return;
  if (!read_call(connection, frame, body, &attempt)) {
    braid_connection_fail(connection, "a call is not sound");
    return;
  }
  if (is_lost(attempt.cell.item))
    answer(attempt.client, attempt.entry->id, attempt.number, BRAID_SYSTEM, (struct braid_item){0},
           (int64_t)attempt.cell.item.bits);
  else
    serve(&attempt, (enum braid_call_operation)frame->status);
  free_holding(attempt.holding);
}

static void on_cancel(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (!braid_client_entry(connection, frame, body)) return;
  struct braid_client *client = braid_client_on(connection, frame->channel);
  for (struct braid_list *at = client ? client->visits.next : NULL; at && at != &client->visits; at = at->next) {
    struct visit *visit = braid_container(at, struct visit, link);
    if (visit->number != frame->id) continue;
    braid_loop_end_wait(&connection->io_thread->loop, &visit->errand.waiter, BRAID_CANCELLED);
    return;
  }
}

/* ---- for the search for deadlocks ----------------------------------------------------------------------------- */

/* A holding lives as long as the lock names it, which only changes under the guard. */
uint64_t braid_object_server_owner(struct braid_primitive *lock, uint64_t *process) {
  *process = 0;
  braid_guard_enter(&lock->object.guard);
  uint64_t owner = lock->owner;
  if (owner & 1) {
    const struct holding *holding = (const struct holding *)(uintptr_t)(owner - 1);
    *process = holding->process;
    owner = holding->process ? holding->owner : 0;
  }
  braid_guard_leave(&lock->object.guard);
  return owner;
}

/* Holders in this process are told by their states. */
static void tell_owner(struct braid_buffer *list, struct braid_primitive *lock) {
  uint64_t process, owner = braid_object_server_owner(lock, &process);
  if (!owner || !process) return;
  braid_wait_record_add(list, (struct braid_wait_record){.kind = BRAID_WAIT_OWNER,
                                                         .flags = BRAID_WAIT_FAR,
                                                         .count = (uint32_t)process,
                                                         .what = (uint64_t)(uintptr_t)&lock->object,
                                                         .other = owner});
}

static void tell_export(struct braid_buffer *list, const struct braid_entry *entry, struct braid_wait_record record) {
  uint64_t number = (uint64_t)(uintptr_t)entry->object;
  record.kind = BRAID_WAIT_EXPORT;
  record.count = 1 + atomic_load(&entry->kept);
  record.what = number;
  braid_wait_record_add(list, record);
  braid_wait_record_add(list, (struct braid_wait_record){
                                  .kind = BRAID_WAIT_REFS, .count = atomic_load(&entry->object->refs), .what = number});
  if (entry->object->class == &braid_lock_class)
    tell_owner(list, braid_container(entry->object, struct braid_primitive, object));
}

static void tell_entry(const struct braid_object_table *table, struct braid_entry *entry, void *context) {
  struct braid_object_name name = braid_entry_name(table, entry), home;
  bool to_parent = atomic_load(&table->process) == BRAID_OBJECT_TABLE_PARENT;
  struct braid_wait_record record = {.who = name.number, .other = (uint64_t)(to_parent ? getppid() : name.worker)};
  if (!braid_proxy_is(entry->object)) {
    tell_export(context, entry, record);
    return;
  }
  home = braid_import_name(braid_proxy_of(entry->object)->keeper, false);
  record.kind = BRAID_WAIT_RELAY;
  record.count = (uint32_t)home.worker;
  record.what = home.number;
  braid_wait_record_add(context, record);
}

void braid_object_server_tell(struct braid_buffer *list) { braid_object_tables_visit(tell_entry, list); }

bool braid_object_server_settle(void) { return braid_object_tables_are_empty() || braid_io_thread_settle(); }

/* ---- open and close ------------------------------------------------------------------------------------------- */

static void forget(struct braid_entry *entry) { braid_queue_server_end(entry, NULL); }

static void on_drop(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  braid_object_table_drop(connection->objects, frame->value, frame->id, forget);
}

static void end_client(struct braid_client *client) {
  while (!braid_list_empty(&client->visits)) orphan(braid_container(client->visits.next, struct visit, link));
  while (!braid_list_empty(&client->holdings)) abandon(braid_container(client->holdings.next, struct holding, link));
  braid_object_table_visit(client->table, braid_queue_server_end, client);
  braid_client_free(client);
}

static void on_leave(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_client *client = braid_client_known(connection->objects, frame->channel);
  braid_relay_leave(connection, frame->channel);
  if (client && frame->channel) end_client(client);
}

void braid_object_server_begin(struct braid_connection *connection) {
  braid_connection_handle(connection, BRAID_FRAME_CALL, on_call);
  braid_connection_handle(connection, BRAID_FRAME_CANCEL, on_cancel);
  braid_connection_handle(connection, BRAID_FRAME_DROP, on_drop);
  braid_connection_handle(connection, BRAID_FRAME_LEAVE, on_leave);
  braid_queue_server_begin(connection);
}

void braid_object_server_end(struct braid_connection *connection) {
  struct braid_object_table *table = connection->objects;
  while (!braid_list_empty(&table->clients)) end_client(braid_container(table->clients.next, struct braid_client, row));
  braid_object_table_clear(table, forget);
}
