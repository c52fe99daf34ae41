/* SPDX-License-Identifier: MIT
 * A connection of the NATS C client, as something that a loop can wait for. The client connects, and connects again, on
 * threads of its own; it reads and writes only when braid_nats_link_turn is called. One descriptor tells when that is
 * due. Unless noted, the functions are for the one thread that owns the link, and do not block. */
#ifndef BRAID_NATS_LINK_H
#define BRAID_NATS_LINK_H

#include <nats/nats.h>
#include <stdbool.h>

enum braid_nats_state {
  BRAID_NATS_CONNECTING, /* for the first time */
  BRAID_NATS_CONNECTED,
  BRAID_NATS_LOST,  /* connecting again */
  BRAID_NATS_CLOSED /* for good */
};

struct braid_nats_link;

/* Starts the client's library. To be called before its other functions. Any thread; may block for a moment. */
void braid_nats_link_prepare(void);

/* Begins to connect. Takes over the options, also when it fails. Returns NULL and sets errno. */
struct braid_nats_link *braid_nats_link_open(natsOptions *options);

/* Readable when there is something to do. */
int braid_nats_link_fd(const struct braid_nats_link *link);

/* Reads and writes what is possible now. */
void braid_nats_link_turn(struct braid_nats_link *link);

/* Any thread. */
enum braid_nats_state braid_nats_link_state(const struct braid_nats_link *link);

/* How often it has been connected. Any thread. */
unsigned braid_nats_link_epoch(const struct braid_nats_link *link);

/* Why it is BRAID_NATS_CLOSED; "" when it is not. Any thread. */
const char *braid_nats_link_reason(const struct braid_nats_link *link);

/* The client's connection while it is connected; else NULL: its functions could block then. */
natsConnection *braid_nats_link_client(struct braid_nats_link *link);

/* Subscribes on a thread of the client's, which hands the messages to `next_heard`. A subscription that only the owner
 * reads does not see the message that nobody was there to answer a request. At most one for each link. */
natsStatus braid_nats_link_hear(struct braid_nats_link *link, natsSubscription **subscription, const char *subject);

/* The next message of that subscription, which is the caller's; NULL: there is none. */
natsMsg *braid_nats_link_next_heard(struct braid_nats_link *link);

/* Gives up the connection, so that the client makes a new one: for a server that does not answer. */
void braid_nats_link_reset(struct braid_nats_link *link);

/* Closes it on a thread of its own, because the client may block, and gives up the caller's reference. The
 * subscriptions are destroyed first. */
void braid_nats_link_close(struct braid_nats_link *link, natsSubscription **subscriptions, int count);

#endif
