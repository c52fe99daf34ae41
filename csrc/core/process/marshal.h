/* SPDX-License-Identifier: MIT
 * How shared objects travel between processes: as proxies; arrays as shared memory. */
#ifndef BRAID_MARSHAL_H
#define BRAID_MARSHAL_H

#include "core/process/connection.h"

/* For braid_connection_open. */
extern const struct braid_marshal braid_marshal;

/* NULL: the object may travel. Else a sentence that says why not. Any thread; does not block. */
const char *braid_marshal_refuse(const struct braid_object *object);

/* The same for all objects of a message; if one may not, *which is that object. */
const char *braid_marshal_refuse_message(const struct braid_message *message, const struct braid_object **which);

/* The process at the other end has ended, and no more frames come. Takes back what it had of our objects; its own
 * objects are gone. This must happen before anybody learns of its death. Closing the connection does it again. The I/O
 * thread; does not block. */
void braid_marshal_end(struct braid_connection *connection);

#endif
