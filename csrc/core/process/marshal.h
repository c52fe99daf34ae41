/* SPDX-License-Identifier: MIT
 * How shared objects travel between processes: as proxies; arrays as shared memory. */
#ifndef BRAID_MARSHAL_H
#define BRAID_MARSHAL_H

#include "core/process/connection.h"

/* Must be called before the first connection is opened; may be called again. Any thread; does not block. */
void braid_marshal_use(void);

/* The process at the other end has ended, and no more frames come. Takes back what it had of our objects; its own
 * objects are gone. This must happen before anybody learns of its death. Closing the connection does it again. The I/O
 * thread; does not block. */
void braid_marshal_end(struct braid_connection *connection);

#endif
