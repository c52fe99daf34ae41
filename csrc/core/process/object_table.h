/* SPDX-License-Identifier: MIT
 * Which objects the two ends of a connection know of each other. An *entry* is an object of ours that the other end
 * knows; it keeps the object until the other end drops it. An *import* is one of theirs, for which an object here
 * stands; when that goes, the other end is told. Numbers are the owner's. */
#ifndef BRAID_OBJECT_TABLE_H
#define BRAID_OBJECT_TABLE_H

#include "core/memory/array.h"
#include "core/process/protocol.h"
#include "core/process/shm_table.h"

struct braid_share;

enum { BRAID_OBJECT_TABLE_ROWS = 64 };

struct braid_entry {
  uint64_t id;
  struct braid_object *object; /* with a reference */
  uint64_t sent;               /* how often; guarded by the tables' mutex */
  struct braid_entry *next, *next_object;
  struct braid_share *shares; /* of queues: queue_server.c's; the I/O thread only */
};

struct braid_import {
  struct braid_array_keeper keeper;
  struct braid_object_table *table; /* NULL: the connection is closed. Guarded by the tables' mutex, as is all else */
  uint64_t id, received;
  struct braid_object *object; /* without a reference */
  struct braid_import *next;
};

struct braid_object_table {
  struct braid_connection *connection;
  struct braid_entry *entries[BRAID_OBJECT_TABLE_ROWS], *objects[BRAID_OBJECT_TABLE_ROWS]; /* by number, by object */
  struct braid_import *imports[BRAID_OBJECT_TABLE_ROWS];
  struct braid_import *drops; /* the other end is to be told */
  struct braid_errand dropper;
  uint64_t last_id;
  struct braid_shm_table segments; /* the memory of arrays: the marshal's */
  struct braid_alarm alarm;        /* proxy_queue.c's, as is the next; the I/O thread only */
  bool ticking;
  struct braid_list clients; /* client.c's: the processes that speak over the connection; the I/O thread only */
};

/* NULL: memory is out. */
struct braid_object_table *braid_object_table_new(struct braid_connection *connection);
/* The I/O thread; entries have been given up by braid_object_table_clear, imports by braid_object_table_part. */
void braid_object_table_free(struct braid_object_table *table);
/* Takes out every entry and calls `settle` with it first, where the object is still there. The I/O thread. */
void braid_object_table_clear(struct braid_object_table *table, void (*settle)(struct braid_entry *entry));

/* Calls `visit` with every entry. It adds and takes out none. The I/O thread. */
struct braid_client;
void braid_object_table_visit(struct braid_object_table *table,
                              void (*visit)(struct braid_entry *entry, const struct braid_client *client),
                              const struct braid_client *client);

/* The number under which the other end knows the object, which is about to be sent once more; 0: memory is out. Any
 * thread. */
uint64_t braid_object_table_export(struct braid_object_table *table, struct braid_object *object);

/* The number of an object that the other end knows; 0: it does not. The I/O thread. */
uint64_t braid_object_table_find(struct braid_object_table *table, const struct braid_object *object);

/* The entry with this number; NULL: there is none. The I/O thread, on which it also goes. */
struct braid_entry *braid_object_table_entry(struct braid_object_table *table, uint64_t id);

/* The other end has dropped the object; `settle` is called as above when it knows it no more. The I/O thread. */
void braid_object_table_drop(struct braid_object_table *table, uint64_t id, uint64_t count,
                             void (*settle)(struct braid_entry *));

/* The object that stands here for the other end's, which has been sent once more; with a reference for the caller.
 * NULL: one has to be made, with a new import. */
struct braid_object *braid_object_table_import(struct braid_object_table *table, uint64_t id);
/* The same object, which was not sent now. Any thread. */
struct braid_object *braid_object_table_known(struct braid_object_table *table, uint64_t id);
/* The object is made and destroyed with the import's keeper. NULL: memory is out. */
struct braid_import *braid_import_new(struct braid_object_table *table, uint64_t id);
void braid_import_set(struct braid_import *import, struct braid_object *object);

/* The other end has gone: no import is the object table's any more. Calls `parted` with each object that stands here
 * for one of theirs. The I/O thread. */
void braid_object_table_part(struct braid_object_table *table, void (*parted)(struct braid_object *object));

/* Calls `visit` for each array that stands here for one of theirs, under the mutex. */
void braid_object_table_visit_arrays(struct braid_object_table *table,
                                     void (*visit)(void *context, const struct braid_array *array), void *context);

/* The number of the import that the keeper is, if it is of this object table; 0: it is not. Any thread. */
uint64_t braid_import_id(struct braid_array_keeper *keeper, const struct braid_object_table *table);

#endif
