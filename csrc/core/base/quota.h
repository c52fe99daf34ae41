/* SPDX-License-Identifier: MIT
 * How much of the processors the control groups of this process leave it. */
#ifndef BRAID_QUOTA_H
#define BRAID_QUOTA_H

#include "core/base/base.h"

/* In cores; 0: as much as there is. The least quota counts, of its own group and of those around it, in hierarchies of
 * both versions. `root` is put before the names of the system's files: "". Any thread; reads some files. */
double braid_quota(const char *root);

#endif
