/* SPDX-License-Identifier: MIT
 * How many descriptors this process may have. */
#ifndef BRAID_LIMIT_H
#define BRAID_LIMIT_H

#include "core/base/base.h"

/* As many as the system lets it: true when there may be more than before. To be asked where a call has failed: false,
 * and errno as it was, when that was not for a lack of descriptors. Any thread; does not block. */
bool braid_limit_raised(void);

#endif
