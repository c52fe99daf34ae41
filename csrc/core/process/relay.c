/* SPDX-License-Identifier: MIT
 * The relay keeps only the list of channels. It reads items from one connection and puts them on the other, because
 * objects have other numbers there. */
#include "core/process/relay.h"

#include <stdlib.h>
#include <string.h>

#include "core/process/proxy_queue.h"

struct channel {
  struct braid_list row;
  struct braid_connection *from, *to; /* to: the connection towards the object's home */
  uint32_t from_channel, to_channel;
};

/* Open connections, and channels. The I/O thread only. */
struct known_connection {
  struct braid_list row;
  struct braid_connection *connection;
};

/* ---- channels ------------------------------------------------------------------------------------------------- */

/* 0 when memory is out. */
static uint32_t channel_to(struct braid_connection *from, uint32_t from_channel, struct braid_connection *to) {
  for (struct braid_list *at = braid_proxies.relay.channels.next; at != &braid_proxies.relay.channels; at = at->next) {
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from == from && channel->from_channel == from_channel && channel->to == to) return channel->to_channel;
  }
  struct channel *channel = malloc(sizeof *channel);
  if (!channel) return 0;
  if (++braid_proxies.relay.last_channel == 0) braid_proxies.relay.last_channel = 1;
  *channel = (struct channel){
      .from = from, .to = to, .from_channel = from_channel, .to_channel = braid_proxies.relay.last_channel};
  braid_list_push(&braid_proxies.relay.channels, &channel->row);
  return channel->to_channel;
}

static struct channel *find_channel(const struct braid_connection *to, uint32_t to_channel) {
  for (struct braid_list *at = braid_proxies.relay.channels.next; at != &braid_proxies.relay.channels; at = at->next) {
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->to == to && channel->to_channel == to_channel) return channel;
  }
  return NULL;
}

static void free_channel(struct channel *channel) {
  braid_list_remove(&channel->row);
  free(channel);
}

static void say_leave(const struct channel *channel) {
  braid_connection_put(channel->to, (struct braid_frame){.kind = BRAID_FRAME_LEAVE, .channel = channel->to_channel},
                       NULL, 0);
  braid_errand_send(&channel->to->nudge);
}

void braid_relay_leave(struct braid_connection *connection, uint32_t from_channel) {
  for (struct braid_list *at = braid_proxies.relay.channels.next, *next; at != &braid_proxies.relay.channels;
       at = next) {
    next = at->next;
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from != connection || channel->from_channel != from_channel) continue;
    say_leave(channel);
    free_channel(channel);
  }
}

static void end_channels(struct braid_connection *connection) {
  for (struct braid_list *at = braid_proxies.relay.channels.next, *next; at != &braid_proxies.relay.channels;
       at = next) {
    next = at->next;
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from != connection && channel->to != connection) continue;
    if (channel->to != connection) say_leave(channel);
    free_channel(channel);
  }
}

/* ---- relaying ------------------------------------------------------------------------------------------------- */

/* Finds how many bytes come before the frame's items, and how many items there are. False: it is malformed. */
static bool measure(const struct braid_frame *frame, const char *body, size_t *before, uint64_t *items) {
  struct braid_call call;
  *before = 0;
  *items = 0;
  switch (frame->kind) {
    case BRAID_FRAME_CALL:
      if (frame->size < sizeof call) return false;
      memcpy(&call, body, sizeof call);
      *before = sizeof call + call.key_size;
      *items = 1;
      break;
    case BRAID_FRAME_GET:
    case BRAID_FRAME_TAKEN: *before = sizeof(uint64_t); break;
    case BRAID_FRAME_ANSWER:
      *before = sizeof(struct braid_answer);
      *items = 1;
      break;
    case BRAID_FRAME_PUT:
    case BRAID_FRAME_ITEMS: *items = frame->id; break;
    default: break;
  }
  return *before <= frame->size && *items <= BRAID_QUEUE_AHEAD;
}

/* `to` may be NULL. Then the items are read all the same, because they may bring bytecode that later frames only refer
 * to. */
static void pass_on(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                    struct braid_connection *to, uint64_t value, uint32_t channel) {
  struct braid_queue_cell cells[BRAID_QUEUE_AHEAD];
  size_t before;
  uint64_t items;
  if (!measure(frame, body, &before, &items)) {
    braid_connection_fail(connection, "a frame of a shared object is not sound");
    return;
  }
  if (!braid_connection_items(connection, frame, body, before, cells, (size_t)items)) return;
  if (to) {
    struct braid_frame copy = {
        .kind = frame->kind, .id = frame->id, .value = value, .status = frame->status, .channel = channel};
    braid_connection_put_items(to, copy, body, before, cells, (size_t)items);
    braid_errand_send(&to->nudge);
  }
  while (items > 0) braid_item_drop(cells[--items].item);
}

void braid_relay_up(struct braid_connection *connection, const struct braid_entry *entry,
                    const struct braid_frame *frame, const char *body) {
  struct braid_proxy *proxy = braid_proxy_of(entry->object);
  struct braid_connection *to = proxy->connection; /* only this thread changes it */
  uint32_t channel = to ? channel_to(connection, frame->channel, to) : 0;
  if (to && !channel)
    braid_connection_fail(connection, "memory is out");
  else
    pass_on(connection, frame, body, to, proxy->id, channel); /* NULL: the client's waits have ended */
}

/* Returns the number that the neighbour `to` has for an object of the neighbour `home`; 0: it has dropped the
 * object. */
static uint64_t number_for(const struct braid_connection *to, struct braid_connection *home, uint64_t id) {
  struct braid_object *object = braid_object_table_known(home->objects, id);
  uint64_t number = object ? braid_object_table_find(to->objects, object) : 0;
  if (object) braid_object_unref(object);
  return number;
}

static void relay_down(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct channel *channel = find_channel(connection, frame->channel);
  uint64_t value = channel ? number_for(channel->from, connection, frame->value) : 0;
  pass_on(connection, frame, body, value ? channel->from : NULL, value, channel ? channel->from_channel : 0);
}

/* ---- gone objects --------------------------------------------------------------------------------------------- */

static void tell_gone(struct braid_object *object) {
  for (struct braid_list *at = braid_proxies.relay.links.next; at != &braid_proxies.relay.links; at = at->next) {
    struct braid_connection *connection = braid_container(at, struct known_connection, row)->connection;
    uint64_t id = braid_object_table_find(connection->objects, object);
    if (!id) continue;
    braid_connection_put(connection, (struct braid_frame){.kind = BRAID_FRAME_GONE, .value = id}, NULL, 0);
    braid_errand_send(&connection->nudge);
  }
}

static void part(struct braid_object *object) {
  if (!braid_proxy_is(object)) return; /* an array: its memory stays */
  braid_proxy_end(braid_proxy_of(object));
  tell_gone(object);
}

static void on_gone(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_object *object = braid_object_table_known(connection->objects, frame->value);
  if (!object) return; /* nobody uses it any more */
  part(object);
  braid_object_unref(object);
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

static void on_answer(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(connection, frame, body);
  else
    braid_proxy_on_answer(connection, frame, body);
}

static void on_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(connection, frame, body);
  else
    braid_proxy_on_items(connection, frame, body);
}

static void on_places(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(connection, frame, body);
  else
    braid_proxy_on_places(connection, frame, body);
}

bool braid_relay_begin(struct braid_connection *connection) {
  struct known_connection *known = malloc(sizeof *known);
  if (!known) return false;
  known->connection = connection;
  braid_list_push(&braid_proxies.relay.links, &known->row);
  braid_proxy_queue_begin(connection);
  braid_connection_handle(connection, BRAID_FRAME_ANSWER, on_answer);
  braid_connection_handle(connection, BRAID_FRAME_ITEMS, on_items);
  braid_connection_handle(connection, BRAID_FRAME_PLACES, on_places);
  braid_connection_handle(connection, BRAID_FRAME_GONE, on_gone);
  return true;
}

void braid_relay_end(struct braid_connection *connection) {
  end_channels(connection);
  braid_proxy_queue_stop(connection);
  braid_object_table_part(connection->objects, part);
  for (struct braid_list *at = braid_proxies.relay.links.next; at != &braid_proxies.relay.links; at = at->next) {
    struct known_connection *known = braid_container(at, struct known_connection, row);
    if (known->connection != connection) continue;
    braid_list_remove(&known->row);
    free(known);
    return;
  }
}
