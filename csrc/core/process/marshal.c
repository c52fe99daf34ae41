/* SPDX-License-Identifier: MIT
 * Objects are written under the connection's mutex. Each time an object is written, its entry in the object table
 * counts it as sent once more. */
#include "core/process/marshal.h"

#include <errno.h>
#include <stdlib.h>

#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/process/object_server.h"
#include "core/sync/primitives.h"
#include "core/work/pool.h"
#include "core/sync/queue.h"
#include "core/process/relay.h"

enum { YOURS = 1, GONE = 2, PART = 4 }; /* flags: the receiver's number; its home has ended; a slice */
enum { TYPE_SHIFT = 8 };                /* class: the kind, and an array's type */

static const struct braid_class *const classes[BRAID_PROXY_KINDS] = {
    [BRAID_PROXY_QUEUE] = &braid_queue_class,         [BRAID_PROXY_LOCK] = &braid_lock_class,
    [BRAID_PROXY_SEMAPHORE] = &braid_semaphore_class, [BRAID_PROXY_EVENT] = &braid_event_class,
    [BRAID_PROXY_CONDITION] = &braid_condition_class, [BRAID_PROXY_BARRIER] = &braid_barrier_class,
    [BRAID_PROXY_COUNTER] = &braid_counter_class,     [BRAID_PROXY_DICT] = &braid_dict_class,
};

/* BRAID_PROXY_KINDS: it is none of them. */
static enum braid_proxy_kind kind_of(const struct braid_object *object) {
  unsigned kind = 0;
  while (kind < BRAID_PROXY_KINDS && classes[kind] != object->class) kind++;
  return (enum braid_proxy_kind)kind;
}

const char *braid_marshal_refuse(const struct braid_object *object) {
  bool by_connection = object->class == &braid_bytecode_class || object->class == &braid_pool_class;
  bool known = kind_of(object) != BRAID_PROXY_KINDS || braid_proxy_is(object) || object->class == &braid_array_class;
  return known || by_connection ? NULL : "it belongs to this process";
}

const char *braid_marshal_refuse_message(const struct braid_message *message, const struct braid_object **which) {
  const char *why = NULL;
  for (uint32_t i = 0; i < message->object_count && !why; i++) {
    *which = message->objects[i];
    why = braid_marshal_refuse(*which);
  }
  return why;
}

/* ---- write ---------------------------------------------------------------------------------------------------- */

static struct braid_array *array_of(struct braid_object *object) {
  return braid_container(object, struct braid_array, object);
}

/* Returns the other end's number for the array, or for the array that a slice is part of, when its home is there; else
 * 0. */
static uint64_t theirs(struct braid_object_table *table, const struct braid_array *array) {
  return braid_import_id(array->whole ? array->whole->keeper : array->keeper, table);
}

/* Sends the memory of an array, unless its home is the other end. */
static bool prepare(struct braid_connection *connection, struct braid_object *object) {
  struct braid_object_table *table = connection->objects;
  if (object->class != &braid_array_class || theirs(table, array_of(object))) return true;
  return braid_shm_table_send(&table->segments, connection, braid_array_room(array_of(object))->segment);
}

/* When an array returns to its home it is sent as the home's own number, and a slice as a part of that array. So the
 * home need not depend on us for memory that is its own. */
static bool write_array(struct braid_object_table *table, struct braid_array *array, struct braid_wire_object *wire) {
  const struct braid_room *room = braid_array_room(array);
  wire->class = BRAID_PROXY_ARRAY | (uint32_t)array->type << TYPE_SHIFT;
  wire->more[0] = array->length;
  wire->id = theirs(table, array);
  if (wire->id) {
    wire->flags = array->whole ? YOURS | PART : YOURS;
    if (array->whole) wire->more[1] = (uint64_t)((const char *)array->data - (const char *)array->whole->data);
    return true;
  }
  wire->id = braid_object_table_export(table, &array->object);
  wire->value = room->segment->serial;
  wire->more[1] = braid_array_offset(array);
  return wire->id != 0;
}

/* Adds the lock of a condition or a dict, which travels with it. */
static bool write_lock(struct braid_object_table *table, struct braid_object *lock, struct braid_wire_object *wire) {
  wire->value = braid_object_table_export(table, lock);
  return wire->value != 0;
}

static void write_queue(uint64_t maxsize, enum braid_queue_order order, struct braid_wire_object *wire) {
  wire->value = maxsize;
  wire->more[0] = order;
}

static bool write_own(struct braid_object_table *table, struct braid_object *object, struct braid_wire_object *wire) {
  struct braid_object *lock = NULL;
  wire->class = kind_of(object);
  if (object->class == &braid_queue_class) {
    const struct braid_queue *queue = braid_container(object, struct braid_queue, object);
    write_queue(queue->maxsize, queue->order, wire);
  } else if (object->class == &braid_condition_class) {
    lock = &braid_container(object, struct braid_primitive, object)->lock->object;
  } else if (object->class == &braid_dict_class) {
    lock = &braid_container(object, struct braid_dict, object)->lock->object;
  }
  if (lock && !write_lock(table, lock, wire)) return false;
  wire->id = braid_object_table_export(table, object);
  return wire->id != 0;
}

/* When a proxy returns to the object's home it is sent as the home's own number. To other processes it is exported, and
 * we relay to the home. `gone` is read after the export: if the home ends after that, the other end is told. */
static bool write_proxy(struct braid_object_table *table, struct braid_proxy *proxy, struct braid_wire_object *wire) {
  wire->class = proxy->kind;
  wire->id = braid_import_id(proxy->keeper, table);
  if (wire->id) {
    wire->flags = YOURS;
    return true;
  }
  if (proxy->queue) write_queue(proxy->queue->maxsize, proxy->queue->order, wire);
  if (proxy->lock && !write_lock(table, &proxy->lock->object, wire)) return false;
  wire->id = braid_object_table_export(table, &proxy->object);
  if (atomic_load(&proxy->gone)) wire->flags = GONE;
  return wire->id != 0;
}

static bool write_object(struct braid_connection *connection, struct braid_object *object,
                         struct braid_wire_object *wire) {
  if (object->class == &braid_array_class) return write_array(connection->objects, array_of(object), wire);
  return braid_proxy_is(object) ? write_proxy(connection->objects, braid_proxy_of(object), wire)
                                : write_own(connection->objects, object, wire);
}

/* ---- read ----------------------------------------------------------------------------------------------------- */

static struct braid_object *own_object(struct braid_object_table *table, uint64_t id) {
  struct braid_entry *entry = braid_object_table_entry(table, id);
  if (entry) braid_object_ref(entry->object);
  return entry ? entry->object : NULL;
}

/* Returns a slice of one of our arrays. */
static struct braid_object *own_slice(struct braid_object_table *table, const struct braid_wire_object *wire) {
  struct braid_object *object = own_object(table, wire->id);
  if (!object) return NULL;
  struct braid_array *slice = NULL;
  errno = EBADMSG;
  if (object->class == &braid_array_class) slice = braid_array_part(array_of(object), wire->more[1], wire->more[0]);
  if (slice) braid_object_share(&slice->object);
  int error = errno;
  braid_object_unref(object);
  errno = error;
  return slice ? &slice->object : NULL;
}

/* Undoes an import that failed. The object was counted as received, so the keeper tells the other end. */
static struct braid_object *give_up(struct braid_import *import, struct braid_shm *segment) {
  int error = errno;
  if (segment) braid_shm_unref(segment);
  if (import) import->keeper.leave(&import->keeper);
  errno = error;
  return NULL;
}

/* Looks for the object with this number that is already imported. *object gets a new reference, or NULL when there is
 * none. False: it is of another class. */
static bool read_known(struct braid_object_table *table, uint64_t id, const struct braid_class *class,
                       struct braid_object **object) {
  *object = braid_object_table_import(table, id);
  if (!*object || (*object)->class == class) return true;
  braid_object_unref(*object);
  errno = EBADMSG;
  return false;
}

static struct braid_object *read_array(struct braid_object_table *table, const struct braid_wire_object *wire) {
  struct braid_object *known;
  if (!read_known(table, wire->id, &braid_array_class, &known)) return NULL;
  if (known) return known;
  uint32_t type = wire->class >> TYPE_SHIFT;
  struct braid_import *import = braid_import_new(table, wire->id);
  struct braid_shm *segment = import ? braid_shm_table_find(&table->segments, wire->value) : NULL;
  struct braid_array *array =
      segment ? braid_array_adopt(type, wire->more[0], segment, wire->more[1], &import->keeper) : NULL;
  if (!array) return give_up(import, segment);
  braid_object_share(&array->object);
  braid_import_set(import, &array->object);
  return &array->object;
}

/* Returns the proxy of this kind with this number, with a new reference; makes one when there is none. */
static struct braid_proxy *obtain_proxy(struct braid_connection *connection, enum braid_proxy_kind kind, uint64_t id,
                                        const struct braid_wire_object *wire) {
  struct braid_object *known;
  if (!read_known(connection->objects, id, &braid_proxy_classes[kind], &known)) return NULL;
  if (known) return braid_proxy_of(known);
  struct braid_import *import = braid_import_new(connection->objects, id);
  struct braid_proxy *proxy = import ? braid_proxy_new(connection, kind, id, &import->keeper) : NULL;
  if (!proxy) {
    give_up(import, NULL);
    return NULL;
  }
  if (proxy->queue) { /* set once, before others know the proxy */
    proxy->queue->maxsize = wire->value;
    proxy->queue->order = (enum braid_queue_order)wire->more[0];
  }
  if (wire->flags & GONE) braid_proxy_end(proxy);
  braid_import_set(import, &proxy->object);
  return proxy;
}

static struct braid_object *read_proxy(struct braid_connection *connection, const struct braid_wire_object *wire) {
  enum braid_proxy_kind kind = (enum braid_proxy_kind)wire->class;
  bool has_lock = kind == BRAID_PROXY_CONDITION || kind == BRAID_PROXY_DICT;
  if (kind == BRAID_PROXY_QUEUE && wire->more[0] > BRAID_PRIORITY) return NULL;
  struct braid_proxy *proxy = obtain_proxy(connection, kind, wire->id, wire);
  struct braid_proxy *lock = proxy && has_lock ? obtain_proxy(connection, BRAID_PROXY_LOCK, wire->value, wire) : NULL;
  if (!proxy) return NULL;
  if (lock && proxy->lock)
    braid_object_unref(&lock->object);
  else if (lock)
    proxy->lock = lock;
  if (!has_lock || lock) return &proxy->object;
  braid_object_unref(&proxy->object);
  return NULL;
}

static struct braid_object *read_object(struct braid_connection *connection, const struct braid_wire_object *wire) {
  struct braid_object *object = NULL;
  unsigned kind = wire->class & ((1u << TYPE_SHIFT) - 1);
  if (wire->flags & YOURS)
    object = wire->flags & PART ? own_slice(connection->objects, wire) : own_object(connection->objects, wire->id);
  if (object || wire->flags & YOURS || kind > BRAID_PROXY_ARRAY) return object;
  if (kind == BRAID_PROXY_ARRAY) return read_array(connection->objects, wire);
  return wire->class == kind ? read_proxy(connection, wire) : NULL; /* only arrays have a type */
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static void on_segment(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_object_table *table = connection->objects;
  if (!braid_shm_table_receive(&table->segments, connection, frame, body))
    braid_connection_fail(connection, "the memory of an array is not what was announced");
}

static void on_segment_lost(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_object_table *table = connection->objects;
  braid_shm_table_lose(&table->segments, connection, frame);
}

static bool begin(struct braid_connection *connection) {
  connection->objects = braid_object_table_new(connection);
  if (connection->objects && braid_relay_begin(connection)) {
    braid_object_server_begin(connection);
    braid_connection_handle(connection, BRAID_FRAME_SEGMENT, on_segment);
    braid_connection_handle(connection, BRAID_FRAME_SEGMENT_LOST, on_segment_lost);
    return true;
  }
  if (connection->objects) braid_object_table_free(connection->objects);
  connection->objects = NULL;
  return false;
}

struct spans {
  struct braid_span *list;
  size_t count, room;
  bool out_of_memory;
};

static void add_span(void *context, const struct braid_array *array) {
  struct spans *spans = context;
  if (spans->count == spans->room) {
    size_t room = spans->room ? 2 * spans->room : 64;
    struct braid_span *list = realloc(spans->list, room * sizeof *list);
    if (!list) spans->out_of_memory = true;
    if (!list) return;
    spans->list = list;
    spans->room = room;
  }
  size_t begin = braid_array_offset(array), size = array->length * braid_array_width(array->type);
  spans->list[spans->count++] = (struct braid_span){array->room.segment, begin, begin + size};
}

/* The process at the other end has ended. Of its segments, this keeps only the pages of arrays that are held here. */
static void trim(struct braid_object_table *table) {
  struct spans spans = {0};
  braid_object_table_visit_arrays(table, add_span, &spans);
  if (!spans.out_of_memory) braid_shm_table_trim(&table->segments, spans.list, spans.count);
  free(spans.list);
}

void braid_marshal_end(struct braid_connection *connection) {
  braid_object_server_end(connection);
  trim(connection->objects);
  braid_relay_end(connection);
}

static void end(struct braid_connection *connection) {
  braid_marshal_end(connection);
  braid_object_table_free(connection->objects);
  connection->objects = NULL;
}

const struct braid_marshal braid_marshal = {prepare, write_object, read_object, begin, end};
