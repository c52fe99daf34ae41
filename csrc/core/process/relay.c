/* SPDX-License-Identifier: MIT
 * Nothing is kept here but who speaks on which channel. Items are read from one link and put on the other, because the
 * objects in them have other numbers there. */
#include "core/process/relay.h"

#include <stdlib.h>
#include <string.h>

#include "core/process/proxy_queue.h"

struct channel {
  struct braid_list row;
  struct braid_link *from, *to; /* to: where the home is, or the way to it */
  uint32_t from_channel, to_channel;
};

/* Open links; and channels. The broker's thread only. */
struct known_link {
  struct braid_list row;
  struct braid_link *link;
};

static struct braid_list channels = {&channels, &channels}, links = {&links, &links};
static uint32_t last_channel;

/* ---- channels ------------------------------------------------------------------------------------------------- */

/* 0: memory is out. */
static uint32_t channel_to(struct braid_link *from, uint32_t from_channel, struct braid_link *to) {
  for (struct braid_list *at = channels.next; at != &channels; at = at->next) {
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from == from && channel->from_channel == from_channel && channel->to == to) return channel->to_channel;
  }
  struct channel *channel = malloc(sizeof *channel);
  if (!channel) return 0;
  if (++last_channel == 0) last_channel = 1;
  *channel = (struct channel){.from = from, .to = to, .from_channel = from_channel, .to_channel = last_channel};
  braid_list_push(&channels, &channel->row);
  return channel->to_channel;
}

static struct channel *find_channel(const struct braid_link *to, uint32_t to_channel) {
  for (struct braid_list *at = channels.next; at != &channels; at = at->next) {
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
  braid_link_put(channel->to, (struct braid_frame){.kind = BRAID_FRAME_LEAVE, .channel = channel->to_channel}, NULL, 0);
  braid_errand_send(&channel->to->nudge);
}

void braid_relay_leave(struct braid_link *link, uint32_t from_channel) {
  for (struct braid_list *at = channels.next, *next; at != &channels; at = next) {
    next = at->next;
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from != link || channel->from_channel != from_channel) continue;
    say_leave(channel);
    free_channel(channel);
  }
}

static void end_channels(struct braid_link *link) {
  for (struct braid_list *at = channels.next, *next; at != &channels; at = next) {
    next = at->next;
    struct channel *channel = braid_container(at, struct channel, row);
    if (channel->from != link && channel->to != link) continue;
    if (channel->to != link) say_leave(channel);
    free_channel(channel);
  }
}

/* ---- passing on ----------------------------------------------------------------------------------------------- */

/* What stands before the items of a frame, and how many items those are. False: it is not sound. */
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
    case BRAID_FRAME_PUT: *items = 1; break;
    case BRAID_FRAME_ANSWER:
      *before = sizeof(struct braid_answer);
      *items = 1;
      break;
    case BRAID_FRAME_ITEMS: *items = frame->id; break;
    default: break;
  }
  return *before <= frame->size && *items <= BRAID_QUEUE_AHEAD;
}

/* To nobody (NULL): the items are read all the same, for they may bring code that later frames only mention. */
static void pass_on(struct braid_link *link, const struct braid_frame *frame, const char *body, struct braid_link *to,
                    uint64_t value, uint32_t channel) {
  struct braid_queue_cell cells[BRAID_QUEUE_AHEAD];
  size_t before;
  uint64_t items;
  if (!measure(frame, body, &before, &items)) {
    braid_link_fail(link, "a frame of a shared object is not sound");
    return;
  }
  if (!braid_link_items(link, frame, body, before, cells, (size_t)items)) return;
  if (to) {
    struct braid_frame copy = {
        .kind = frame->kind, .id = frame->id, .value = value, .status = frame->status, .channel = channel};
    braid_link_put_items(to, copy, body, before, cells, (size_t)items);
    braid_errand_send(&to->nudge);
  }
  while (items > 0) braid_item_drop(cells[--items].item);
}

void braid_relay_up(struct braid_link *link, const struct braid_entry *entry, const struct braid_frame *frame,
                    const char *body) {
  struct braid_remote *remote = braid_remote_of(entry->object);
  struct braid_link *to = remote->link; /* only this thread changes it */
  uint32_t channel = to ? channel_to(link, frame->channel, to) : 0;
  if (to && !channel)
    braid_link_fail(link, "memory is out");
  else
    pass_on(link, frame, body, to, remote->id, channel); /* who was told that it is gone has no wait any more */
}

/* The number of our neighbour's object for another neighbour; 0: that does not know it any more. */
static uint64_t number_for(const struct braid_link *to, struct braid_link *home, uint64_t id) {
  struct braid_object *object = braid_ledger_known(home->objects, id);
  uint64_t number = object ? braid_ledger_find(to->objects, object) : 0;
  if (object) braid_object_unref(object);
  return number;
}

static void relay_down(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct channel *channel = find_channel(link, frame->channel);
  uint64_t value = channel ? number_for(channel->from, link, frame->value) : 0;
  pass_on(link, frame, body, value ? channel->from : NULL, value, channel ? channel->from_channel : 0);
}

/* ---- objects that are gone ------------------------------------------------------------------------------------ */

static void tell_gone(struct braid_object *object) {
  for (struct braid_list *at = links.next; at != &links; at = at->next) {
    struct braid_link *link = braid_container(at, struct known_link, row)->link;
    uint64_t id = braid_ledger_find(link->objects, object);
    if (!id) continue;
    braid_link_put(link, (struct braid_frame){.kind = BRAID_FRAME_GONE, .value = id}, NULL, 0);
    braid_errand_send(&link->nudge);
  }
}

static void part(struct braid_object *object) {
  if (!braid_remote_is(object)) return; /* an array: its memory stays */
  braid_remote_end(braid_remote_of(object));
  tell_gone(object);
}

static void on_gone(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_object *object = braid_ledger_known(link->objects, frame->value);
  if (!object) return; /* nobody has it any more */
  part(object);
  braid_object_unref(object);
}

/* ---- links ---------------------------------------------------------------------------------------------------- */

static void on_answer(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(link, frame, body);
  else
    braid_remote_on_answer(link, frame, body);
}

static void on_items(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(link, frame, body);
  else
    braid_remote_on_items(link, frame, body);
}

static void on_places(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  if (frame->channel)
    relay_down(link, frame, body);
  else
    braid_remote_on_places(link, frame, body);
}

bool braid_relay_begin(struct braid_link *link) {
  struct known_link *known = malloc(sizeof *known);
  if (!known) return false;
  known->link = link;
  braid_list_push(&links, &known->row);
  braid_remote_queue_begin(link);
  braid_link_handle(link, BRAID_FRAME_ANSWER, on_answer);
  braid_link_handle(link, BRAID_FRAME_ITEMS, on_items);
  braid_link_handle(link, BRAID_FRAME_PLACES, on_places);
  braid_link_handle(link, BRAID_FRAME_GONE, on_gone);
  return true;
}

void braid_relay_end(struct braid_link *link) {
  end_channels(link);
  braid_remote_queue_stop(link);
  braid_ledger_part(link->objects, part);
  for (struct braid_list *at = links.next; at != &links; at = at->next) {
    struct known_link *known = braid_container(at, struct known_link, row);
    if (known->link != link) continue;
    braid_list_remove(&known->row);
    free(known);
    return;
  }
}
