/* SPDX-License-Identifier: MIT
 * Which objects the two ends of a connection know of each other. An *entry* is one of our objects that the other end
 * knows. It keeps a reference until the other end has dropped the object. An *import* is one of the other end's
 * objects, for which there is a proxy or an array here. When that is destroyed, the other end is told. The number of an
 * object is given by its owner. Nothing blocks, except to enter the mutex for a few instructions. */
#ifndef BRAID_OBJECT_TABLE_H
#define BRAID_OBJECT_TABLE_H

#include "core/memory/array.h"
#include "core/process/protocol.h"
#include "core/process/shm_table.h"

struct braid_share;

enum { BRAID_OBJECT_TABLE_ROWS = 64, BRAID_OBJECT_TABLE_PARENT = -1 };

struct braid_entry {
  uint64_t id;
  struct braid_object *object; /* with a reference */
  uint64_t sent;               /* how often it was sent; under the tables' mutex */
  atomic_uint kept;            /* further references that the other end's waits and shares have; any thread reads it */
  struct braid_entry *next, *next_object;
  struct braid_share *shares; /* of a queue; for queue_server.c on the I/O thread */
};

struct braid_import {
  struct braid_array_keeper keeper;
  struct braid_object_table *table; /* NULL: the connection is closed; under the tables' mutex, as all fields */
  uint64_t id, received;
  struct braid_object *object; /* the proxy or array, without a reference */
  struct braid_import *next;
};

struct braid_object_table {
  struct braid_connection *connection;
  struct braid_list row; /* in the list of all tables */
  atomic_int process;    /* the worker process at the other end, or BRAID_OBJECT_TABLE_PARENT; 0: not known yet */
  struct braid_entry *entries[BRAID_OBJECT_TABLE_ROWS], *objects[BRAID_OBJECT_TABLE_ROWS]; /* by number, by object */
  struct braid_import *imports[BRAID_OBJECT_TABLE_ROWS];
  struct braid_import *drops; /* of objects that were destroyed; the other end must be told */
  struct braid_errand dropper;
  uint64_t last_id;
  struct braid_shm_table segments; /* the memory of arrays; for the marshal */
  struct braid_alarm alarm;        /* for proxy_queue.c, as the next two fields; the I/O thread only */
  struct braid_errand starter;     /* starts the alarm */
  bool ticking;                    /* the alarm is started, or will be; under the mutex of the active proxies */
  struct braid_list clients;       /* struct braid_client; for client.c on the I/O thread */
};

/* NULL when memory is out. The I/O thread. */
struct braid_object_table *braid_object_table_new(struct braid_connection *connection);
/* The caller has called braid_object_table_clear and braid_object_table_part. The I/O thread. */
void braid_object_table_free(struct braid_object_table *table);
/* Removes all entries. Calls `settle` for each while the entry and its object still exist. The I/O thread. */
void braid_object_table_clear(struct braid_object_table *table, void (*settle)(struct braid_entry *entry));

/* Calls `visit` for every entry. `visit` must not remove entries. The I/O thread. */
struct braid_client;
void braid_object_table_visit(struct braid_object_table *table,
                              void (*visit)(struct braid_entry *entry, const struct braid_client *client),
                              const struct braid_client *client);

/* Calls `visit` for every entry of all tables, under the mutex. Any thread. */
void braid_object_tables_visit(void (*visit)(const struct braid_object_table *table, struct braid_entry *entry,
                                             void *context),
                               void *context);

/* Whether no other process knows, or could know, objects of this one. Any thread. */
bool braid_object_tables_are_empty(void);

/* Returns the number of an object that is about to be sent, and counts it as sent once more. Makes an entry when there
 * is none. 0 when memory is out. Any thread. */
uint64_t braid_object_table_export(struct braid_object_table *table, struct braid_object *object);

/* Returns the number of an object that the other end knows; 0: it does not. The I/O thread. */
uint64_t braid_object_table_find(struct braid_object_table *table, const struct braid_object *object);

/* Returns the entry with this number; NULL: there is none. The I/O thread, which alone removes entries. */
struct braid_entry *braid_object_table_entry(struct braid_object_table *table, uint64_t id);

/* The other end has dropped the object, which it had received `count` times. If nothing is left on the way, calls
 * `settle` and removes the entry. The I/O thread. */
void braid_object_table_drop(struct braid_object_table *table, uint64_t id, uint64_t count,
                             void (*settle)(struct braid_entry *));

/* Returns a new reference to the proxy or array for this number, and counts it as received once more. NULL: the caller
 * must make one, with a new import. Any thread. */
struct braid_object *braid_object_table_import(struct braid_object_table *table, uint64_t id);
/* The same, but does not count it as received. Any thread. */
struct braid_object *braid_object_table_known(struct braid_object_table *table, uint64_t id);
/* Makes an import; NULL when memory is out. The caller then makes the object with the import's keeper, and calls
 * braid_import_set. The I/O thread. */
struct braid_import *braid_import_new(struct braid_object_table *table, uint64_t id);
void braid_import_set(struct braid_import *import, struct braid_object *object);

/* The other end has ended. Removes all imports, and calls `parted` for each object that still exists, without the
 * mutex. The I/O thread. */
void braid_object_table_part(struct braid_object_table *table, void (*parted)(struct braid_object *object));

/* Calls `visit` for each imported array, under the mutex. Any thread. */
void braid_object_table_visit_arrays(struct braid_object_table *table,
                                     void (*visit)(void *context, const struct braid_array *array), void *context);

/* What an object is called on a connection, for the search for deadlocks: the worker process at one end of it, 0 if
 * that is not known, and the number there. The lowest bit of the number says that the object's home is the worker's
 * end. */
struct braid_object_name {
  int worker;
  uint64_t number;
};
struct braid_object_name braid_entry_name(const struct braid_object_table *table, const struct braid_entry *entry);
/* The name of the import that has this keeper. Within a visit of all tables, or else with `enter`. Any thread. */
struct braid_object_name braid_import_name(const struct braid_array_keeper *keeper, bool enter);

/* Returns the number of the import that has this keeper, when it belongs to this table; else 0. Any thread. */
uint64_t braid_import_id(struct braid_array_keeper *keeper, const struct braid_object_table *table);

#endif
