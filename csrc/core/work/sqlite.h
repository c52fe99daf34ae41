/* SPDX-License-Identifier: MIT
 * Calls of SQLite, which block: a companion (core/loop/companion.h) makes them, one for each connection.
 *
 * The code is in csrc/core/sqlite, in a module of its own (braid.sqlite_core) that is linked with libsqlite3. Only
 * `struct braid_sqlite_functions` connects it with the rest, so a program that does not use SQLite does not load it. */
#ifndef BRAID_SQLITE_H
#define BRAID_SQLITE_H

#include "core/base/buffer.h"
#include "core/loop/blocking.h"

struct braid_sqlite;        /* a connection; only its companion uses it */
struct braid_sqlite_cursor; /* a statement that gives its rows in pieces */

enum braid_sqlite_flags {
  BRAID_SQLITE_READ_ONLY = 1, /* open: no file is made or changed */
  BRAID_SQLITE_READER = 2,    /* open: another connection writes; query: refuse what would write */
  BRAID_SQLITE_CURSOR = 4,    /* query: leave the cursor open if there are more rows */
  BRAID_SQLITE_STOP = 8,      /* fetch, backup: no more is wanted */
  BRAID_SQLITE_CHECK = 16,    /* query: only prepare it */
  BRAID_SQLITE_MANY = 32      /* query: `values` has several lists of parameters, each behind a letter r */
};

/* Codes of our own, beside those of SQLite. */
enum { BRAID_SQLITE_SEVERAL = -1, BRAID_SQLITE_NOT_HERE = -2, BRAID_SQLITE_NO_NAME = -3 };

/* One call: its arguments, and its results when it is done. Values are encoded one after the other: a letter, and n:
 * nothing; i, d: 8 bytes; t, b (text, blob): the size, 8 bytes, and the bytes. Before a value for a named parameter
 * stands its name: k, size, bytes. */
struct braid_sqlite_call {
  struct braid_blocking blocking;
  void (*act)(struct braid_sqlite_call *call);
  struct braid_sqlite **connection;
  struct braid_sqlite_cursor *cursor;
  struct braid_buffer text;   /* SQL, or a path; with a zero byte at its end */
  struct braid_buffer values; /* parameters */
  struct braid_buffer rows;   /* the names of the columns as texts, then all values of all rows */
  int64_t most;               /* rows; 0: all. Open: ms to wait for a lock. Backup: pages of a step */
  int64_t count, columns;     /* of the rows; before, count is that of the parameters. Backup: pages left, and all.
                                 Many: how many lists were done */
  int64_t affected, last_id;
  int flags;
  int position;     /* in the text, of an error; -1: it has none */
  int code;         /* 0 or an extended result code */
  bool committed;   /* no transaction is open */
  const char *name; /* of the code */
  char message[512];
};

/* Each is the `act` of a call, or (interrupt) is called by any thread while a call is under way. */
struct braid_sqlite_functions {
  void (*open)(struct braid_sqlite_call *call);   /* text: the path */
  void (*query)(struct braid_sqlite_call *call);  /* text, values */
  void (*fetch)(struct braid_sqlite_call *call);  /* cursor */
  void (*script)(struct braid_sqlite_call *call); /* text */
  void (*backup)(struct braid_sqlite_call *call); /* text: the path; more calls with the same cursor */
  void (*close)(struct braid_sqlite_call *call);
  void (*interrupt)(struct braid_sqlite *connection);
};

#endif
