/* SPDX-License-Identifier: MIT
 * The folder in which compiled kernels are kept. The state's own thread. */
#ifndef BRAID_LKERNELCACHE_H
#define BRAID_LKERNELCACHE_H

#include <stdbool.h>

/* NULL when only this user can have written the file or folder at `path`, else why not. Blocks for the file system. */
const char *lkernelcache_refusal(const char *path, bool folder);

#endif
