/* SPDX-License-Identifier: MIT
 * Only one thread at a time loads foreign code (a Lua module, a C library): its initialization may touch state of the
 * whole process. A thread may begin again while it loads. No mutex is held meanwhile. */
#ifndef BRAID_LOADING_H
#define BRAID_LOADING_H

#include "core/base/base.h"

/* Waits until no other thread loads. False when one still does at the deadline. Any thread; blocks. */
bool braid_loading_begin(int64_t deadline);

/* Ends one braid_loading_begin that returned true. The same thread. */
void braid_loading_end(void);

#endif
