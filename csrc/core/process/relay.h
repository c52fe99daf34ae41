/* SPDX-License-Identifier: MIT
 * Relays frames in a process in the middle: what one neighbour says about an object of another neighbour is passed on,
 * and the answers go back. Each process behind us has a channel on the connection to the home; we choose its number.
 * The I/O thread; nothing blocks. */
#ifndef BRAID_RELAY_H
#define BRAID_RELAY_H

#include "core/process/proxy.h"

/* The connection opens: sets the handlers of frames from the home of an object. False when memory is out. */
bool braid_relay_begin(struct braid_connection *connection);

/* Relays a frame to the home of the entry's object, which is a proxy. */
void braid_relay_up(struct braid_connection *connection, const struct braid_entry *entry,
                    const struct braid_frame *frame, const char *body);

/* The process on this channel of the connection has ended: tells the homes that it had sent frames to. */
void braid_relay_leave(struct braid_connection *connection, uint32_t channel);

/* The connection closes. All processes behind it count as ended, and the objects whose home is behind it are gone; the
 * other neighbours are told. May be called again. */
void braid_relay_end(struct braid_connection *connection);

#endif
