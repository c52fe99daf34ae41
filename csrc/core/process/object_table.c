/* SPDX-License-Identifier: MIT
 * One mutex guards all object tables. It is held for a few instructions, and may be entered with a connection's mutex
 * held. Only the I/O thread removes entries, so that thread may use an entry after it has left the mutex. */
#include "core/process/object_table.h"

#include <stdlib.h>
#include <unistd.h>

static struct {
  pthread_mutex_t mutex;
  struct braid_list all; /* the tables */
} tables = {.mutex = PTHREAD_MUTEX_INITIALIZER, .all = {&tables.all, &tables.all}};

static struct braid_entry **row_of_object(struct braid_object_table *table, const struct braid_object *object) {
  return &table->objects[((uintptr_t)object >> 6) % BRAID_OBJECT_TABLE_ROWS];
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static struct braid_entry *add_entry(struct braid_object_table *table, struct braid_object *object) {
  struct braid_entry **row = row_of_object(table, object);
  struct braid_entry *entry = calloc(1, sizeof *entry);
  if (!entry) return NULL;
  braid_object_ref(object);
  entry->object = object;
  entry->id = ++table->last_id;
  entry->next = table->entries[entry->id % BRAID_OBJECT_TABLE_ROWS];
  table->entries[entry->id % BRAID_OBJECT_TABLE_ROWS] = entry;
  entry->next_object = *row;
  *row = entry;
  return entry;
}

static struct braid_entry *entry_of(struct braid_object_table *table, const struct braid_object *object) {
  struct braid_entry *entry = *row_of_object(table, object);
  while (entry && entry->object != object) entry = entry->next_object;
  return entry;
}

uint64_t braid_object_table_find(struct braid_object_table *table, const struct braid_object *object) {
  pthread_mutex_lock(&tables.mutex);
  struct braid_entry *entry = entry_of(table, object);
  uint64_t id = entry ? entry->id : 0;
  pthread_mutex_unlock(&tables.mutex);
  return id;
}

uint64_t braid_object_table_export(struct braid_object_table *table, struct braid_object *object) {
  pthread_mutex_lock(&tables.mutex);
  struct braid_entry *entry = entry_of(table, object);
  if (!entry) entry = add_entry(table, object);
  if (entry) entry->sent++;
  uint64_t id = entry ? entry->id : 0;
  pthread_mutex_unlock(&tables.mutex);
  return id;
}

struct braid_entry *braid_object_table_entry(struct braid_object_table *table, uint64_t id) {
  pthread_mutex_lock(&tables.mutex);
  struct braid_entry *entry = table->entries[id % BRAID_OBJECT_TABLE_ROWS];
  while (entry && entry->id != id) entry = entry->next;
  pthread_mutex_unlock(&tables.mutex);
  return entry;
}

/* Under the mutex. */
static void take_out(struct braid_object_table *table, struct braid_entry *entry) {
  struct braid_entry **at = &table->entries[entry->id % BRAID_OBJECT_TABLE_ROWS];
  while (*at != entry) at = &(*at)->next;
  *at = entry->next;
  at = row_of_object(table, entry->object);
  while (*at != entry) at = &(*at)->next_object;
  *at = entry->next_object;
}

static void free_entry(struct braid_entry *entry) {
  braid_object_unref(entry->object);
  free(entry);
}

void braid_object_table_drop(struct braid_object_table *table, uint64_t id, uint64_t count,
                             void (*settle)(struct braid_entry *)) {
  pthread_mutex_lock(&tables.mutex);
  struct braid_entry *entry = table->entries[id % BRAID_OBJECT_TABLE_ROWS];
  while (entry && entry->id != id) entry = entry->next;
  bool last = entry && count >= entry->sent;
  if (entry && !last) entry->sent -= count;
  if (last) take_out(table, entry);
  pthread_mutex_unlock(&tables.mutex);
  if (!last) return;
  settle(entry);
  free_entry(entry);
}

void braid_object_table_clear(struct braid_object_table *table, void (*settle)(struct braid_entry *entry)) {
  for (int row = 0; row < BRAID_OBJECT_TABLE_ROWS; row++) {
    struct braid_entry *entry;
    while ((entry = table->entries[row])) {
      settle(entry);
      pthread_mutex_lock(&tables.mutex);
      take_out(table, entry);
      pthread_mutex_unlock(&tables.mutex);
      free_entry(entry);
    }
  }
}

/* Other threads only add entries at the heads of rows, under the mutex. So the walk needs the mutex only for the head,
 * and `visit` runs without it. */
void braid_object_table_visit(struct braid_object_table *table,
                              void (*visit)(struct braid_entry *entry, const struct braid_client *client),
                              const struct braid_client *client) {
  for (int row = 0; row < BRAID_OBJECT_TABLE_ROWS; row++) {
    pthread_mutex_lock(&tables.mutex);
    struct braid_entry *entry = table->entries[row];
    pthread_mutex_unlock(&tables.mutex);
    for (; entry; entry = entry->next) visit(entry, client);
  }
}

void braid_object_tables_visit(void (*visit)(const struct braid_object_table *table, struct braid_entry *entry,
                                             void *context),
                               void *context) {
  pthread_mutex_lock(&tables.mutex);
  for (struct braid_list *at = tables.all.next; at != &tables.all; at = at->next) {
    struct braid_object_table *table = braid_container(at, struct braid_object_table, row);
    for (int row = 0; row < BRAID_OBJECT_TABLE_ROWS; row++)
      for (struct braid_entry *entry = table->entries[row]; entry; entry = entry->next) visit(table, entry, context);
  }
  pthread_mutex_unlock(&tables.mutex);
}

bool braid_object_tables_are_empty(void) {
  pthread_mutex_lock(&tables.mutex);
  bool empty = braid_list_empty(&tables.all);
  pthread_mutex_unlock(&tables.mutex);
  return empty;
}

/* ---- imports -------------------------------------------------------------------------------------------------- */

static bool keep(struct braid_object *object) {
  unsigned refs = atomic_load(&object->refs);
  while (refs > 0 && !atomic_compare_exchange_weak(&object->refs, &refs, refs + 1)) continue;
  return refs > 0;
}

static struct braid_object *find_import(struct braid_object_table *table, uint64_t id, uint64_t received) {
  struct braid_object *object = NULL;
  pthread_mutex_lock(&tables.mutex);
  struct braid_import *import = table->imports[id % BRAID_OBJECT_TABLE_ROWS];
  for (; import && !object; import = import->next) {
    if (import->id != id || !keep(import->object)) continue;
    object = import->object;
    import->received += received;
  }
  pthread_mutex_unlock(&tables.mutex);
  return object;
}

struct braid_object *braid_object_table_import(struct braid_object_table *table, uint64_t id) {
  return find_import(table, id, 1);
}

struct braid_object *braid_object_table_known(struct braid_object_table *table, uint64_t id) {
  return find_import(table, id, 0);
}

/* The imported object is destroyed. Any thread. */
static void leave(struct braid_array_keeper *keeper) {
  struct braid_import *import = braid_container(keeper, struct braid_import, keeper);
  pthread_mutex_lock(&tables.mutex);
  struct braid_object_table *table = import->table;
  if (table) {
    struct braid_import **at = &table->imports[import->id % BRAID_OBJECT_TABLE_ROWS];
    while (*at && *at != import) at = &(*at)->next;
    if (*at) *at = import->next;
    import->next = table->drops;
    table->drops = import;
    braid_errand_send(&table->dropper);
  }
  pthread_mutex_unlock(&tables.mutex);
  if (!table) free(import);
}

struct braid_import *braid_import_new(struct braid_object_table *table, uint64_t id) {
  struct braid_import *import = calloc(1, sizeof *import);
  if (!import) return NULL;
  import->keeper.leave = leave;
  import->table = table;
  import->id = id;
  import->received = 1;
  return import;
}

void braid_import_set(struct braid_import *import, struct braid_object *object) {
  struct braid_object_table *table = import->table;
  pthread_mutex_lock(&tables.mutex);
  import->object = object;
  import->next = table->imports[import->id % BRAID_OBJECT_TABLE_ROWS];
  table->imports[import->id % BRAID_OBJECT_TABLE_ROWS] = import;
  pthread_mutex_unlock(&tables.mutex);
}

uint64_t braid_import_id(struct braid_array_keeper *keeper, const struct braid_object_table *table) {
  if (!keeper) return 0;
  struct braid_import *import = braid_container(keeper, struct braid_import, keeper);
  pthread_mutex_lock(&tables.mutex);
  uint64_t id = import->table == table ? import->id : 0;
  pthread_mutex_unlock(&tables.mutex);
  return id;
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

/* The low bits of numbers are left free: they are hashed like addresses. */
static struct braid_object_name name_of(const struct braid_object_table *table, uint64_t id, bool is_ours) {
  enum { FREE = 3 };
  int other = atomic_load(&table->process);
  bool is_worker = other == BRAID_OBJECT_TABLE_PARENT;
  return (struct braid_object_name){is_worker ? (int)getpid() : other, id << FREE | (is_worker == is_ours)};
}

struct braid_object_name braid_entry_name(const struct braid_object_table *table, const struct braid_entry *entry) {
  return name_of(table, entry->id, true);
}

struct braid_object_name braid_import_name(const struct braid_array_keeper *keeper, bool enter) {
  const struct braid_import *import = braid_container(keeper, const struct braid_import, keeper);
  struct braid_object_name name = {0};
  if (enter) pthread_mutex_lock(&tables.mutex);
  if (import->table) name = name_of(import->table, import->id, false);
  if (enter) pthread_mutex_unlock(&tables.mutex);
  return name;
}

void braid_object_table_visit_arrays(struct braid_object_table *table,
                                     void (*visit)(void *context, const struct braid_array *array), void *context) {
  pthread_mutex_lock(&tables.mutex);
  for (int row = 0; row < BRAID_OBJECT_TABLE_ROWS; row++)
    for (const struct braid_import *import = table->imports[row]; import; import = import->next)
      if (import->object->class == &braid_array_class)
        visit(context, braid_container(import->object, struct braid_array, object));
  pthread_mutex_unlock(&tables.mutex);
}

void braid_object_table_part(struct braid_object_table *table, void (*parted)(struct braid_object *object)) {
  pthread_mutex_lock(&tables.mutex);
  for (int row = 0; row < BRAID_OBJECT_TABLE_ROWS; row++) {
    struct braid_import *import;
    while ((import = table->imports[row])) {
      table->imports[row] = import->next;
      import->table = NULL; /* from now on only its object uses it */
      struct braid_object *object = keep(import->object) ? import->object : NULL;
      pthread_mutex_unlock(&tables.mutex);
      if (object) {
        parted(object);
        braid_object_unref(object);
      }
      pthread_mutex_lock(&tables.mutex);
    }
  }
  pthread_mutex_unlock(&tables.mutex);
}

static struct braid_import *take_drops(struct braid_object_table *table) {
  pthread_mutex_lock(&tables.mutex);
  struct braid_import *drops = table->drops;
  table->drops = NULL;
  pthread_mutex_unlock(&tables.mutex);
  return drops;
}

static void tell_drops(struct braid_errand *errand) {
  struct braid_object_table *table = braid_container(errand, struct braid_object_table, dropper);
  struct braid_import *import = take_drops(table), *next;
  for (; import; import = next) {
    next = import->next;
    struct braid_frame frame = {.kind = BRAID_FRAME_DROP, .value = import->id, .id = import->received};
    braid_connection_put(table->connection, frame, NULL, 0);
    free(import);
  }
  braid_connection_flush(table->connection);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

struct braid_object_table *braid_object_table_new(struct braid_connection *connection) {
  struct braid_object_table *table = calloc(1, sizeof *table);
  if (!table) return NULL;
  table->connection = connection;
  braid_list_init(&table->clients);
  pthread_mutex_lock(&tables.mutex);
  braid_list_push(&tables.all, &table->row);
  pthread_mutex_unlock(&tables.mutex);
  braid_errand_init(&table->dropper, connection->io_thread, tell_drops);
  return table;
}

void braid_object_table_free(struct braid_object_table *table) {
  pthread_mutex_lock(&tables.mutex);
  braid_list_remove(&table->row);
  pthread_mutex_unlock(&tables.mutex);
  braid_errand_recall(&table->dropper);
  braid_shm_table_clear(&table->segments);
  struct braid_import *import = take_drops(table), *next;
  for (; import; import = next) {
    next = import->next;
    free(import);
  }
  free(table);
}
