/* SPDX-License-Identifier: MIT
 * What the module braid.sqlite_core gives to the rest. */
#ifndef BRAID_SQLITE_ENGINE_H
#define BRAID_SQLITE_ENGINE_H

#include "core/work/sqlite.h"

extern const struct braid_sqlite_functions braid_sqlite_table;

#endif
