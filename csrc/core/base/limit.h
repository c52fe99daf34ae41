/* SPDX-License-Identifier: MIT
 * The limit for the number of open descriptors (RLIMIT_NOFILE). */
#ifndef BRAID_LIMIT_H
#define BRAID_LIMIT_H

#include "core/base/base.h"

/* Call it when a system call has failed. If errno is EMFILE, it raises the soft limit to the hard one. True when that
 * worked: the caller tries again. Keeps errno. Any thread; does not block. */
bool braid_limit_raised(void);

#endif
