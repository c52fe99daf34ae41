/* SPDX-License-Identifier: MIT
 * The CPU quota that control groups set for this process. */
#ifndef BRAID_QUOTA_H
#define BRAID_QUOTA_H

#include "core/base/base.h"

/* In cores; 0: no quota. The smallest one counts, of the process's group and its parents, in both versions of control
 * groups. `root` is put before the names of the system's files; it is "" except in tests. Any thread; reads files. */
double braid_quota(const char *root);

#endif
