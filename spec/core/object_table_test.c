/* SPDX-License-Identifier: MIT
 * Which objects two ends of a connection know of each other: numbers, counts, and what stays when one end goes. */
#include "core/process/object_table.h"

#include "core/sync/counter.h"
#include "neighbours.h"

static struct neighbours n;
static struct braid_object_table *table; /* the home's */
static unsigned settled, parted;

static void begin(void) {
  neighbours_open(&n);
  table = n.connections[HOME].objects;
  settled = parted = 0;
}

static struct braid_object *new_object(void) {
  struct braid_counter *counter = braid_counter_new(0);
  braid_object_share(&counter->object);
  return &counter->object;
}

static unsigned refs(const struct braid_object *object) { return atomic_load(&object->refs); }

static void settle(struct braid_entry *entry) {
  check(refs(entry->object) > 0);
  settled++;
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static void counts_what_was_sent(void) {
  begin();
  struct braid_object *object = new_object(), *other = new_object();
  check(braid_object_table_find(table, object) == 0);
  uint64_t id = braid_object_table_export(table, object);
  check(id != 0 && braid_object_table_export(table, object) == id && braid_object_table_export(table, object) == id);
  check(braid_object_table_export(table, other) != id && braid_object_table_find(table, object) == id);
  check(braid_object_table_entry(table, id)->sent == 3 && braid_object_table_entry(table, id)->object == object);
  check(refs(object) == 2); /* one for the entry */
  braid_object_table_drop(table, id, 2, settle);
  check(settled == 0 && braid_object_table_entry(table, id)->sent == 1);
  braid_object_table_drop(table, id, 1, settle);
  check(settled == 1 && !braid_object_table_entry(table, id) && braid_object_table_find(table, object) == 0 &&
        refs(object) == 1);
  braid_object_table_drop(table, id, 1, settle); /* once more: it is not known */
  braid_object_table_drop(table, 0, UINT64_MAX, settle);
  check(settled == 1);
  uint64_t again = braid_object_table_export(table, object);
  check(again != id);                                        /* no number comes twice */
  braid_object_table_drop(table, again, UINT64_MAX, settle); /* more than were sent */
  check(settled == 2 && refs(object) == 1);
  neighbours_close(&n);
  check(refs(other) == 1);
  braid_object_unref(object);
  braid_object_unref(other);
}

static void count_visit(struct braid_entry *entry, const struct braid_client *client) {
  (void)entry;
  ++*(unsigned *)(uintptr_t)client;
}

static void many_are_found(void) {
  enum { COUNT = 1000 };
  static struct braid_object *objects[COUNT];
  uint64_t ids[COUNT];
  unsigned visits = 0;
  begin();
  for (int i = 0; i < COUNT; i++) ids[i] = braid_object_table_export(table, objects[i] = new_object());
  for (int i = 0; i < COUNT; i++) {
    check(braid_object_table_find(table, objects[i]) == ids[i]);
    check(braid_object_table_entry(table, ids[i])->object == objects[i]);
  }
  for (int i = 0; i < COUNT; i += 3) braid_object_table_drop(table, ids[i], 1, settle);
  for (int i = 0; i < COUNT; i++) check((braid_object_table_find(table, objects[i]) != 0) == (i % 3 != 0));
  braid_object_table_visit(table, count_visit, (const struct braid_client *)&visits);
  check(settled == (COUNT + 2) / 3 && visits == COUNT - settled);
  braid_object_table_clear(table, settle);
  check(settled == COUNT && !braid_object_table_find(table, objects[1]));
  for (int i = 0; i < COUNT; i++) {
    check(refs(objects[i]) == 1);
    braid_object_unref(objects[i]);
  }
  neighbours_close(&n);
}

enum { THREADS = 4, SHARED = 50, ROUNDS = 100 };
static struct braid_object *shared[SHARED];
static uint64_t numbers[THREADS][SHARED];

static void *export_all(void *argument) {
  uint64_t *mine = argument;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < SHARED; i++) {
      uint64_t id = braid_object_table_export(table, shared[i]);
      check(id != 0 && (round == 0 || id == mine[i]));
      mine[i] = id;
    }
  }
  return NULL;
}

static void threads_agree_on_numbers(void) {
  pthread_t threads[THREADS];
  begin();
  for (int i = 0; i < SHARED; i++) shared[i] = new_object();
  for (int i = 0; i < THREADS; i++) check(braid_thread_start(&threads[i], export_all, numbers[i]) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SHARED; i++) {
    for (int k = 1; k < THREADS; k++) check(numbers[k][i] == numbers[0][i]);
    check(braid_object_table_entry(table, numbers[0][i])->sent == THREADS * ROUNDS);
    braid_object_table_drop(table, numbers[0][i], THREADS * ROUNDS, settle);
    check(refs(shared[i]) == 1);
    braid_object_unref(shared[i]);
  }
  check(settled == SHARED);
  neighbours_close(&n);
}

/* ---- imports -------------------------------------------------------------------------------------------------- */

/* The owner forgets it when every sending of it has been dropped. */
static void the_owner_is_told(void) {
  begin();
  struct braid_object *object = new_object(), *proxy = NULL;
  for (int i = 0; i < 3; i++) {
    struct braid_object *came = neighbours_send(&n, HOME, object);
    check(i == 0 || came == proxy);
    proxy = came;
  }
  uint64_t id = braid_object_table_find(table, object);
  check(braid_object_table_entry(table, id)->sent == 3);
  struct braid_object_table *theirs = n.connections[MIDDLE_HOME].objects;
  check(braid_import_id(braid_proxy_of(proxy)->keeper, theirs) == id);
  check(braid_import_id(braid_proxy_of(proxy)->keeper, table) == 0 && braid_import_id(NULL, theirs) == 0);
  struct braid_object *known = braid_object_table_known(theirs, id);
  check(known == proxy && braid_object_table_known(theirs, id + 1) == NULL);
  braid_object_unref(known);
  neighbours_forget(&n);
  neighbours_settle(&n);
  check(!braid_object_table_entry(table, id) && refs(object) == 1);
  check(braid_object_table_known(theirs, id) == NULL);
  neighbours_close(&n);
  braid_object_unref(object);
}

/* The last reference is given up on another thread just now: another one has to be made. */
static void what_goes_is_not_found(void) {
  begin();
  struct braid_object *object = new_object();
  struct braid_object *proxy = neighbours_send(&n, HOME, object);
  uint64_t id = braid_proxy_of(proxy)->id;
  unsigned count = atomic_exchange(&proxy->refs, 0);
  check(braid_object_table_import(n.connections[MIDDLE_HOME].objects, id) == NULL);
  atomic_store(&proxy->refs, count);
  check(braid_object_table_import(n.connections[MIDDLE_HOME].objects, id) == proxy);
  braid_object_unref(proxy);
  neighbours_close(&n);
  check(refs(object) == 1);
  braid_object_unref(object);
}

static void count_parted(struct braid_object *object) {
  check(refs(object) > 1); /* its holder's and ours */
  parted++;
}

static void on_array(void *context, const struct braid_array *array) {
  check(array->length == 10);
  ++*(unsigned *)context;
}

/* What came stays with its holder, and nobody is told when that goes. */
static void parts_from_an_end_that_is_gone(void) {
  begin();
  struct braid_object *object = new_object();
  struct braid_array *array = braid_array_new(BRAID_F64, 10);
  braid_object_share(&array->object);
  struct braid_object *proxy = neighbours_send(&n, HOME, object);
  braid_object_ref(proxy);
  struct braid_object *copy = neighbours_send(&n, HOME, &array->object);
  braid_object_ref(copy);
  unsigned arrays = 0;
  struct braid_object_table *theirs = n.connections[MIDDLE_HOME].objects;
  braid_object_table_visit_arrays(theirs, on_array, &arrays);
  check(arrays == 1);
  neighbours_forget(&n);
  uint64_t id = braid_proxy_of(proxy)->id;
  braid_object_table_part(theirs, count_parted);
  check(parted == 2 && braid_object_table_known(theirs, id) == NULL);
  check(braid_import_id(braid_proxy_of(proxy)->keeper, theirs) == 0);
  braid_object_unref(proxy);
  braid_object_unref(copy);
  neighbours_settle(&n);
  check(braid_object_table_entry(table, id) != NULL); /* nothing was said of it */
  neighbours_close(&n);
  check(refs(object) == 1 && refs(&array->object) == 1);
  braid_object_unref(object);
  braid_object_unref(&array->object);
}

/* The connection is closed before the owner could be told. */
static void drops_end_with_the_connection(void) {
  begin();
  struct braid_object *object = new_object();
  check(neighbours_send(&n, HOME, object) != NULL);
  neighbours_forget(&n);
  neighbours_close_end(&n, MIDDLE_HOME);
  neighbours_close(&n);
  check(refs(object) == 1);
  braid_object_unref(object);
}

CHECK_MAIN({"object table: counts what was sent", counts_what_was_sent},
           {"object table: many are found", many_are_found},
           {"object table: threads agree on numbers", threads_agree_on_numbers},
           {"object table: the owner is told", the_owner_is_told},
           {"object table: what goes is not found", what_goes_is_not_found},
           {"object table: parts from an end that is gone", parts_from_an_end_that_is_gone},
           {"object table: drops end with the connection", drops_end_with_the_connection})
