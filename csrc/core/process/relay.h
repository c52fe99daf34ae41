/* SPDX-License-Identifier: MIT
 * A process in the middle: what a neighbour says about an object of another neighbour is passed on, and the answers go
 * back. Each process beyond us speaks on a channel of its own, whose number is ours to give. The I/O thread. */
#ifndef BRAID_RELAY_H
#define BRAID_RELAY_H

#include "core/process/proxy.h"

/* A connection is opened: sets the handlers of frames that come from the home of an object. False: memory is out. */
bool braid_relay_begin(struct braid_connection *connection);

/* A frame to the home of the entry's object, which is a proxy. */
void braid_relay_up(struct braid_connection *connection, const struct braid_entry *entry,
                    const struct braid_frame *frame, const char *body);

/* The process on this channel of the connection has ended: the homes that it spoke to are told. */
void braid_relay_leave(struct braid_connection *connection, uint32_t channel);

/* The connection is closed: as if every process beyond it had ended; and the objects whose home is there are gone, of
 * which the other neighbours are told. May be called again. */
void braid_relay_end(struct braid_connection *connection);

#endif
