/* SPDX-License-Identifier: MIT
 * Which objects the two ends of a link know of each other. An *entry* is an object of ours that the other end knows; it
 * keeps the object until the other end drops it. An *import* is one of theirs, for which an object here stands; when
 * that goes, the other end is told. Numbers are the owner's. */
#ifndef BRAID_LEDGER_H
#define BRAID_LEDGER_H

#include "array.h"
#include "call.h"
#include "segment_table.h"

enum { BRAID_LEDGER_ROWS = 64 };

struct braid_entry {
  uint64_t id;
  struct braid_object *object; /* with a reference */
  uint64_t sent;               /* how often; guarded by the ledgers' mutex */
  struct braid_entry *next, *next_object;
  /* Of queues; the broker's thread only. What the other end works ahead with. */
  size_t places;
  struct braid_item *leases; /* room for BRAID_LEDGER_LEASES */
  size_t lease_count;
  uint64_t settled; /* leases that were used or came back, ever */
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
  /* For export: calls that wait, and locks that the other end holds. The broker's thread only. */
  struct braid_list visits, holdings;
};

enum { BRAID_LEDGER_LEASES = 4096 };

/* NULL: memory is out. */
struct braid_ledger *braid_ledger_new(struct braid_link *link);
/* The broker's thread; entries have been given up by braid_ledger_clear. */
void braid_ledger_free(struct braid_ledger *ledger);
/* Takes out every entry and calls `settle` with it first, where the object is still there. The broker's thread. */
void braid_ledger_clear(struct braid_ledger *ledger, void (*settle)(struct braid_entry *entry));

/* The number under which the other end knows the object, which is about to be sent once more; 0: memory is out. Any
 * thread. */
uint64_t braid_ledger_export(struct braid_ledger *ledger, struct braid_object *object);

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

/* The number of the import that the keeper is, if it is of this ledger; 0: it is not. Any thread. */
uint64_t braid_import_id(struct braid_array_keeper *keeper, const struct braid_ledger *ledger);

#endif
