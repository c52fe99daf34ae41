/* SPDX-License-Identifier: MIT
 * How shared objects cross from process to process: as proxies, and arrays as the memory that they are. */
#ifndef BRAID_MARSHAL_H
#define BRAID_MARSHAL_H

#include "core/process/connection.h"

/* Before the first connection is opened. Any thread; may be called again. */
void braid_marshal_use(void);

/* The process at the other end has gone, and nothing more comes from it: what it had of our objects comes back, and
 * its objects are gone. Before anybody hears of its death; the connection's end does it again. The I/O thread. */
void braid_marshal_end(struct braid_connection *connection);

#endif
