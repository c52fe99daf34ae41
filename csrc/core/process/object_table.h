/* SPDX-License-Identifier: MIT
 * Which objects the two ends of a link know of each other. An *entry* is an object of ours that the other end knows; it
 * keeps the object until the other end drops it. An *import* is one of theirs, for which an object here stands; when
 * that goes, the other end is told. Numbers are the owner's. */
#ifndef BRAID_OBJECT_TABLE_H
#define BRAID_OBJECT_TABLE_H

#include "core/memory/array.h"
#include "core/process/protocol.h"
#include "core/process/shm_table.h"

struct braid_share;

enum { BRAID_LEDGER_ROWS = 64 };

struct braid_entry {
  uint64_t id;
  struct braid_object *object; /* with a reference */
  uint64_t sent;               /* how often; guarded by the ledgers' mutex */
  struct braid_entry *next, *next_object;
  struct braid_share *shares; /* of queues: export's; the broker's thread only */
};

struct braid_import {
  struct braid_array_keeper keeper;
  struct braid_ledger *ledger; /* NULL: the link is closed. Guarded by the ledgers' mutex, as is all else */
  uint64_t id, received;
  struct braid_object *object; /* without a reference */
  struct braid_import *next;
};

struct braid_ledger {
  struct braid_link *link;
  struct braid_entry *entries[BRAID_LEDGER_ROWS], *objects[BRAID_LEDGER_ROWS]; /* by number, by object */
  struct braid_import *imports[BRAID_LEDGER_ROWS];
  struct braid_import *drops; /* the other end is to be told */
  struct braid_errand dropper;
  uint64_t last_id;
  struct braid_segment_table segments; /* the memory of arrays: the passport's */
  struct braid_alarm alarm;            /* remotequeue's, as is the next; the broker's thread only */
  bool ticking;
  struct braid_list clients; /* export's: the processes that speak over the link; the broker's thread only */
};

/* NULL: memory is out. */
struct braid_ledger *braid_ledger_new(struct braid_link *link);
/* The broker's thread; entries have been given up by braid_ledger_clear, imports by braid_ledger_part. */
void braid_ledger_free(struct braid_ledger *ledger);
/* Takes out every entry and calls `settle` with it first, where the object is still there. The broker's thread. */
void braid_ledger_clear(struct braid_ledger *ledger, void (*settle)(struct braid_entry *entry));

/* Calls `visit` with every entry. It adds and takes out none. The broker's thread. */
struct braid_client;
void braid_ledger_visit(struct braid_ledger *ledger,
                        void (*visit)(struct braid_entry *entry, const struct braid_client *client),
                        const struct braid_client *client);

/* The number under which the other end knows the object, which is about to be sent once more; 0: memory is out. Any
 * thread. */
uint64_t braid_ledger_export(struct braid_ledger *ledger, struct braid_object *object);

/* The number of an object that the other end knows; 0: it does not. The broker's thread. */
uint64_t braid_ledger_find(struct braid_ledger *ledger, const struct braid_object *object);

/* The entry with this number; NULL: there is none. The broker's thread, on which it also goes. */
struct braid_entry *braid_ledger_entry(struct braid_ledger *ledger, uint64_t id);

/* The other end has dropped the object; `settle` is called as above when it knows it no more. The broker's thread. */
void braid_ledger_drop(struct braid_ledger *ledger, uint64_t id, uint64_t count, void (*settle)(struct braid_entry *));

/* The object that stands here for the other end's, which has been sent once more; with a reference for the caller.
 * NULL: one has to be made, with a new import. */
struct braid_object *braid_ledger_import(struct braid_ledger *ledger, uint64_t id);
/* The same object, which was not sent now. Any thread. */
struct braid_object *braid_ledger_known(struct braid_ledger *ledger, uint64_t id);
/* The object is made and destroyed with the import's keeper. NULL: memory is out. */
struct braid_import *braid_import_new(struct braid_ledger *ledger, uint64_t id);
void braid_import_set(struct braid_import *import, struct braid_object *object);

/* The other end has gone: no import is the ledger's any more. Calls `parted` with each object that stands here for one
 * of theirs. The broker's thread. */
void braid_ledger_part(struct braid_ledger *ledger, void (*parted)(struct braid_object *object));

/* Calls `visit` for each array that stands here for one of theirs, under the mutex. */
void braid_ledger_visit_arrays(struct braid_ledger *ledger,
                               void (*visit)(void *context, const struct braid_array *array), void *context);

/* The number of the import that the keeper is, if it is of this ledger; 0: it is not. Any thread. */
uint64_t braid_import_id(struct braid_array_keeper *keeper, const struct braid_ledger *ledger);

#endif
