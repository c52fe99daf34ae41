/* SPDX-License-Identifier: MIT
 * How shared objects cross from process to process: as stubs, and arrays as the memory that they are. */
#ifndef BRAID_MARSHAL_H
#define BRAID_MARSHAL_H

#include "core/process/connection.h"

/* Before the first link is opened. Any thread; may be called again. */
void braid_passport_use(void);

/* The process at the other end has gone, and nothing more comes from it: what it had of our objects comes back, and
 * its objects are gone. Before anybody hears of its death; the link's end does it again. The broker's thread. */
void braid_passport_end(struct braid_link *link);

#endif
