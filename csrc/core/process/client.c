/* SPDX-License-Identifier: MIT
 * A linear list: there are few clients, and most connections have one. */
#include "core/process/client.h"

#include <stdlib.h>

#include "core/process/relay.h"

enum { MOST_CLIENTS = 4096 }; /* on one connection */

static struct braid_client *find(struct braid_object_table *table, uint32_t channel, unsigned *count) {
  *count = 0;
  for (struct braid_list *at = table->clients.next; at != &table->clients; at = at->next, ++*count) {
    struct braid_client *client = braid_container(at, struct braid_client, row);
    if (client->channel == channel) return client;
  }
  return NULL;
}

struct braid_client *braid_client_known(struct braid_object_table *table, uint32_t channel) {
  unsigned count;
  return find(table, channel, &count);
}

struct braid_client *braid_client_on(struct braid_connection *connection, uint32_t channel) {
  unsigned count;
  struct braid_client *client = find(connection->objects, channel, &count);
  if (client) return client;
  if (count < MOST_CLIENTS) client = calloc(1, sizeof *client);
  if (!client) {
    braid_connection_fail(connection, "there are too many processes beyond it, or memory is out");
    return NULL;
  }
  client->table = connection->objects;
  client->channel = channel;
  braid_list_init(&client->visits);
  braid_list_init(&client->holdings);
  braid_list_push(&client->table->clients, &client->row);
  return client;
}

void braid_client_free(struct braid_client *client) {
  braid_list_remove(&client->row);
  free(client);
}

struct braid_entry *braid_client_entry(struct braid_connection *connection, const struct braid_frame *frame,
                                       const char *body) {
  struct braid_entry *entry = braid_object_table_entry(connection->objects, frame->value);
  if (!entry) {
    braid_connection_fail(connection, "a frame is about an object that is not known");
  } else if (braid_proxy_is(entry->object)) {
    braid_relay_up(connection, entry, frame, body);
    entry = NULL;
  }
  return entry;
}
