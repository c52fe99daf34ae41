/* SPDX-License-Identifier: MIT
 * The names of SQLite's result codes. */
#ifndef BRAID_SQLITE_NAME_H
#define BRAID_SQLITE_NAME_H

/* "SQLITE_CONSTRAINT_UNIQUE". Any thread. */
const char *braid_sqlite_name(int code);

#endif
