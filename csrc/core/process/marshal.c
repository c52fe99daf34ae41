/* SPDX-License-Identifier: MIT
 * Objects are written under the link's mutex; each writing counts as one sending in the ledger. */
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

enum { YOURS = 1, GONE = 2, PART = 4 }; /* flags: the number is the receiver's; the object's home has ended; a slice */
enum { TYPE_SHIFT = 8, POOL = 64 };     /* class: the kind, and an array's type; or a pool, of which nothing travels */

static const struct braid_class *const classes[BRAID_REMOTE_KINDS] = {
    [BRAID_REMOTE_QUEUE] = &braid_queue_class,         [BRAID_REMOTE_LOCK] = &braid_lock_class,
    [BRAID_REMOTE_SEMAPHORE] = &braid_semaphore_class, [BRAID_REMOTE_EVENT] = &braid_event_class,
    [BRAID_REMOTE_CONDITION] = &braid_condition_class, [BRAID_REMOTE_BARRIER] = &braid_barrier_class,
    [BRAID_REMOTE_COUNTER] = &braid_counter_class,     [BRAID_REMOTE_DICT] = &braid_dict_class,
};

/* BRAID_REMOTE_KINDS: none of them. */
static enum braid_remote_kind kind_of(const struct braid_object *object) {
  unsigned kind = 0;
  while (kind < BRAID_REMOTE_KINDS && classes[kind] != object->class) kind++;
  return (enum braid_remote_kind)kind;
}

static const char *refuse(const struct braid_object *object) {
  bool known = kind_of(object) != BRAID_REMOTE_KINDS || braid_remote_is(object) || object->class == &braid_array_class;
  return known ? NULL : "it belongs to this process";
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static struct braid_array *array_of(struct braid_object *object) {
  return braid_container(object, struct braid_array, object);
}

/* The number by which the other end knows the array that has the memory, which is its own then; 0: it is not. */
static uint64_t theirs(struct braid_ledger *ledger, const struct braid_array *array) {
  return braid_import_id(array->whole ? array->whole->keeper : array->keeper, ledger);
}

/* The memory of an array that is not the other end's own. */
static bool prepare(struct braid_link *link, struct braid_object *object) {
  struct braid_ledger *ledger = link->objects;
  if (object->class != &braid_array_class || theirs(ledger, array_of(object))) return true;
  return braid_segment_table_send(&ledger->segments, link, braid_array_room(array_of(object))->segment);
}

/* An array goes home as what it is there, and a slice of one as a slice that is made there: so that it does not need us
 * to keep what it is a part of. */
static bool write_array(struct braid_ledger *ledger, struct braid_array *array, struct braid_wire_object *wire) {
  const struct braid_room *room = braid_array_room(array);
  wire->class = BRAID_REMOTE_ARRAY | (uint32_t)array->type << TYPE_SHIFT;
  wire->more[0] = array->length;
  wire->id = theirs(ledger, array);
  if (wire->id) {
    wire->flags = array->whole ? YOURS | PART : YOURS;
    if (array->whole) wire->more[1] = (uint64_t)((const char *)array->data - (const char *)array->whole->data);
    return true;
  }
  wire->id = braid_ledger_export(ledger, &array->object);
  wire->value = room->segment->serial;
  wire->more[1] = braid_array_offset(array);
  return wire->id != 0;
}

/* A condition and a dict take their locks along. */
static bool write_lock(struct braid_ledger *ledger, struct braid_object *lock, struct braid_wire_object *wire) {
  wire->value = braid_ledger_export(ledger, lock);
  return wire->value != 0;
}

static void write_queue(uint64_t maxsize, enum braid_queue_order order, struct braid_wire_object *wire) {
  wire->value = maxsize;
  wire->more[0] = order;
}

static bool write_own(struct braid_ledger *ledger, struct braid_object *object, struct braid_wire_object *wire) {
  struct braid_object *lock = NULL;
  wire->class = kind_of(object);
  if (object->class == &braid_queue_class) {
    const struct braid_queue *queue = braid_container(object, struct braid_queue, object);
    write_queue(queue->maxsize, queue->order, wire);
  } else if (object->class == &braid_condition_class) {
    lock = &braid_container(object, struct braid_gate, object)->lock->object;
  } else if (object->class == &braid_dict_class) {
    lock = &braid_container(object, struct braid_dict, object)->lock->object;
  }
  if (lock && !write_lock(ledger, lock, wire)) return false;
  wire->id = braid_ledger_export(ledger, object);
  return wire->id != 0;
}

/* A stub goes home as what it stands for, and elsewhere as an object whose home we lead to. It is looked whether it is
 * gone when the other end is sure to be told if it goes later. */
static bool write_stub(struct braid_ledger *ledger, struct braid_remote *remote, struct braid_wire_object *wire) {
  wire->class = remote->kind;
  wire->id = braid_import_id(remote->keeper, ledger);
  if (wire->id) {
    wire->flags = YOURS;
    return true;
  }
  if (remote->queue) write_queue(remote->queue->maxsize, remote->queue->order, wire);
  if (remote->lock && !write_lock(ledger, &remote->lock->object, wire)) return false;
  wire->id = braid_ledger_export(ledger, &remote->object);
  if (atomic_load(&remote->gone)) wire->flags = GONE;
  return wire->id != 0;
}

static bool write_object(struct braid_link *link, struct braid_object *object, struct braid_wire_object *wire) {
  if (object->class == &braid_array_class) return write_array(link->objects, array_of(object), wire);
  if (object->class == &braid_pool_class) {
    wire->class = POOL;
    return true;
  }
  return braid_remote_is(object) ? write_stub(link->objects, braid_remote_of(object), wire)
                                 : write_own(link->objects, object, wire);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static struct braid_object *own_object(struct braid_ledger *ledger, uint64_t id) {
  struct braid_entry *entry = braid_ledger_entry(ledger, id);
  if (entry) braid_object_ref(entry->object);
  return entry ? entry->object : NULL;
}

/* Of an array of ours. */
static struct braid_object *own_slice(struct braid_ledger *ledger, const struct braid_wire_object *wire) {
  struct braid_object *object = own_object(ledger, wire->id);
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

/* An import that came to nothing: it was counted as received. */
static struct braid_object *give_up(struct braid_import *import, struct braid_segment *segment) {
  int error = errno;
  if (segment) braid_segment_unref(segment);
  if (import) import->keeper.leave(&import->keeper);
  errno = error;
  return NULL;
}

/* False: the object of theirs that we know by this number is of another class. Else it is *object, with a reference;
 * NULL: there is none. */
static bool read_known(struct braid_ledger *ledger, uint64_t id, const struct braid_class *class,
                       struct braid_object **object) {
  *object = braid_ledger_import(ledger, id);
  if (!*object || (*object)->class == class) return true;
  braid_object_unref(*object);
  errno = EBADMSG;
  return false;
}

static struct braid_object *read_array(struct braid_ledger *ledger, const struct braid_wire_object *wire) {
  struct braid_object *known;
  if (!read_known(ledger, wire->id, &braid_array_class, &known)) return NULL;
  if (known) return known;
  uint32_t type = wire->class >> TYPE_SHIFT;
  struct braid_import *import = braid_import_new(ledger, wire->id);
  struct braid_segment *segment = import ? braid_segment_table_find(&ledger->segments, wire->value) : NULL;
  struct braid_array *array =
      segment ? braid_array_adopt(type, wire->more[0], segment, wire->more[1], &import->keeper) : NULL;
  if (!array) return give_up(import, segment);
  braid_object_share(&array->object);
  braid_import_set(import, &array->object);
  return &array->object;
}

/* The stub of this kind with this number, with a reference; a new one when there is none. */
static struct braid_remote *read_stub(struct braid_link *link, enum braid_remote_kind kind, uint64_t id,
                                      const struct braid_wire_object *wire) {
  struct braid_object *known;
  if (!read_known(link->objects, id, &braid_remote_classes[kind], &known)) return NULL;
  if (known) return braid_remote_of(known);
  struct braid_import *import = braid_import_new(link->objects, id);
  struct braid_remote *remote = import ? braid_remote_new(link, kind, id, &import->keeper) : NULL;
  if (!remote) {
    give_up(import, NULL);
    return NULL;
  }
  if (remote->queue) { /* said once, before anybody knows it */
    remote->queue->maxsize = wire->value;
    remote->queue->order = (enum braid_queue_order)wire->more[0];
  }
  if (wire->flags & GONE) braid_remote_end(remote);
  braid_import_set(import, &remote->object);
  return remote;
}

static struct braid_object *read_remote(struct braid_link *link, const struct braid_wire_object *wire) {
  enum braid_remote_kind kind = (enum braid_remote_kind)wire->class;
  bool has_lock = kind == BRAID_REMOTE_CONDITION || kind == BRAID_REMOTE_DICT;
  if (kind == BRAID_REMOTE_QUEUE && wire->more[0] > BRAID_PRIORITY) return NULL;
  struct braid_remote *remote = read_stub(link, kind, wire->id, wire);
  struct braid_remote *lock = remote && has_lock ? read_stub(link, BRAID_REMOTE_LOCK, wire->value, wire) : NULL;
  if (!remote) return NULL;
  if (lock && remote->lock)
    braid_object_unref(&lock->object);
  else if (lock)
    remote->lock = lock;
  if (!has_lock || lock) return &remote->object;
  braid_object_unref(&remote->object);
  return NULL;
}

static struct braid_object *read_object(struct braid_link *link, const struct braid_wire_object *wire) {
  struct braid_object *object = NULL;
  unsigned kind = wire->class & ((1u << TYPE_SHIFT) - 1);
  if (wire->class == POOL)
    object = &braid_pool_elsewhere()->object;
  else if (wire->flags & YOURS)
    object = wire->flags & PART ? own_slice(link->objects, wire) : own_object(link->objects, wire->id);
  if (object || wire->flags & YOURS || kind > BRAID_REMOTE_ARRAY) return object;
  if (kind == BRAID_REMOTE_ARRAY) return read_array(link->objects, wire);
  return wire->class == kind ? read_remote(link, wire) : NULL; /* only arrays have a type */
}

/* ---- links ---------------------------------------------------------------------------------------------------- */

static void on_segment(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_ledger *ledger = link->objects;
  if (!braid_segment_table_receive(&ledger->segments, link, frame, body))
    braid_link_fail(link, "the memory of an array is not what was announced");
}

static void on_segment_lost(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_ledger *ledger = link->objects;
  braid_segment_table_lose(&ledger->segments, link, frame);
}

static bool begin(struct braid_link *link) {
  link->objects = braid_ledger_new(link);
  if (link->objects && braid_relay_begin(link)) {
    braid_export_begin(link);
    braid_link_handle(link, BRAID_FRAME_SEGMENT, on_segment);
    braid_link_handle(link, BRAID_FRAME_SEGMENT_LOST, on_segment_lost);
    return true;
  }
  if (link->objects) braid_ledger_free(link->objects);
  link->objects = NULL;
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

/* The process beyond the link has ended: of its memory only those arrays stay that are held here. */
static void trim(struct braid_ledger *ledger) {
  struct spans spans = {0};
  braid_ledger_visit_arrays(ledger, add_span, &spans);
  if (!spans.out_of_memory) braid_segment_table_trim(&ledger->segments, spans.list, spans.count);
  free(spans.list);
}

void braid_passport_end(struct braid_link *link) {
  braid_export_end(link);
  trim(link->objects);
  braid_relay_end(link);
}

static void end(struct braid_link *link) {
  braid_passport_end(link);
  braid_ledger_free(link->objects);
  link->objects = NULL;
}

static void use(void) {
  static const struct braid_passport passport = {refuse, prepare, write_object, read_object, begin, end};
  braid_link_use_passport(&passport);
}

void braid_passport_use(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, use);
}
