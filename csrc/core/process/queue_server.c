/* SPDX-License-Identifier: MIT
 * A *share* is what one client has of one queue: copies of the items that were sent and not reported as taken, the
 * number of places, and the pending GET and WANT. When a share ends, one of its errands may already be claimed and on
 * its way to the I/O thread's loop. When that errand arrives the share has no client. Then it gives back what it got,
 * and frees the share. */
#include "core/process/queue_server.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1024 * 1024 }; /* of the messages in one ITEMS, after the first */

enum want {
  NO_WANT,
  WANT_IN_TURN, /* posted to this thread; runs after errands posted before it, which may make room */
  WANT_QUEUED   /* in the queue's wait queue of putters */
};

struct braid_share {
  struct braid_share *next;    /* of the same entry */
  struct braid_client *client; /* NULL: it has ended */
  struct braid_io_thread *io_thread;
  struct braid_queue *queue; /* with a reference */
  uint64_t id;               /* of the entry */

  struct braid_queue_cell *sent; /* BRAID_QUEUE_AHEAD cells; NULL until the first GET */
  size_t count;
  struct braid_errand getter;
  uint64_t asked; /* of the pending GET; 0: none is pending */

  uint64_t places;
  struct braid_errand putter;
  enum want want;
  uint64_t wanted; /* of the pending WANT */
  bool waits;      /* whether that WANT waits for a place */
};

static struct braid_queue *queue_of(struct braid_object *object) {
  return object->class == &braid_queue_class ? braid_container(object, struct braid_queue, object) : NULL;
}

/* ---- shares --------------------------------------------------------------------------------------------------- */

static void on_getter_home(struct braid_errand *errand);
static void on_putter_home(struct braid_errand *errand);

static struct braid_share *new_share(struct braid_entry *entry, struct braid_client *client) {
  struct braid_share *share = calloc(1, sizeof *share);
  if (!share) return NULL;
  share->client = client;
  share->io_thread = client->table->connection->io_thread;
  share->queue = queue_of(entry->object);
  share->id = entry->id;
  braid_object_ref(entry->object);
  braid_errand_init(&share->getter, share->io_thread, on_getter_home);
  braid_errand_init(&share->putter, share->io_thread, on_putter_home);
  share->next = entry->shares;
  entry->shares = share;
  atomic_fetch_add(&entry->kept, 1);
  return share;
}

/* Returns the share that the frame is about. NULL: the frame was relayed, or the connection has failed. */
static struct braid_share *share_of(struct braid_connection *connection, const struct braid_frame *frame,
                                    const char *body) {
  struct braid_entry *entry = braid_client_entry(connection, frame, body);
  if (!entry) return NULL;
  if (!queue_of(entry->object)) {
    braid_connection_fail(connection, "a frame of a queue is about another object");
    return NULL;
  }
  struct braid_client *client = braid_client_on(connection, frame->channel);
  if (!client) return NULL;
  struct braid_share *share = entry->shares;
  while (share && share->client != client) share = share->next;
  if (!share && !(share = new_share(entry, client))) braid_connection_fail(connection, "memory is out");
  return share;
}

static void free_share(struct braid_share *share) {
  braid_object_unref(&share->queue->object);
  free(share->sent);
  free(share);
}

/* Ends a request that nobody has claimed. True: it was claimed, and will arrive later. */
static bool end_request(struct braid_errand *errand, bool stands) {
  if (!stands) return false;
  if (!braid_waiter_claim(&errand->waiter, BRAID_CANCELLED)) return true;
  braid_wait_node_leave(&errand->waiter.node);
  return false;
}

static void end_share(struct braid_share *share) {
  share->client = NULL;
  if (!end_request(&share->getter, share->asked > 0)) share->asked = 0;
  if (!end_request(&share->putter, share->want != NO_WANT)) share->want = NO_WANT;
  if (share->count > 0) braid_queue_put_back(share->queue, share->sent, share->count);
  share->count = 0;
  if (share->places > 0) braid_queue_unreserve(share->queue, (size_t)share->places);
  share->places = 0;
  if (!share->asked && share->want == NO_WANT)
    free_share(share);
  else
    share->io_thread = braid_io_thread_enter(); /* cannot fail, because the I/O thread runs */
}

void braid_queue_server_end(struct braid_entry *entry, const struct braid_client *client) {
  for (struct braid_share **at = &entry->shares, *share; (share = *at);) {
    if (client && share->client != client) {
      at = &share->next;
      continue;
    }
    *at = share->next;
    atomic_fetch_sub(&entry->kept, 1);
    end_share(share);
  }
}

/* Runs when an errand of an ended share arrives. The last one frees the share. */
static void leave_share(struct braid_share *share) {
  if (share->asked || share->want != NO_WANT) return;
  braid_io_thread_leave(share->io_thread);
  free_share(share);
}

/* ---- send ----------------------------------------------------------------------------------------------------- */

static struct braid_frame frame_of(const struct braid_share *share, enum braid_call_frame kind, uint64_t id,
                                   enum braid_status status) {
  return (struct braid_frame){
      .kind = (uint8_t)kind, .value = share->id, .id = id, .status = status, .channel = share->client->channel};
}

static void send_items(struct braid_share *share, size_t count, enum braid_status status) {
  struct braid_connection *connection = share->client->table->connection;
  share->asked = 0;
  braid_connection_put_items(connection, frame_of(share, BRAID_FRAME_ITEMS, count, status), NULL, 0, share->sent,
                             count);
  braid_errand_send(&connection->nudge);
}

static void send_places(struct braid_share *share, size_t count, enum braid_status status) {
  struct braid_connection *connection = share->client->table->connection;
  share->want = NO_WANT;
  share->places += count;
  braid_connection_put(connection, frame_of(share, BRAID_FRAME_PLACES, count, status), NULL, 0);
  braid_errand_send(&connection->nudge);
}

/* ---- get ------------------------------------------------------------------------------------------------------ */

static size_t size_of(struct braid_item item) {
  return item.tag == BRAID_ITEM_MESSAGE ? ((const struct braid_message *)(uintptr_t)item.bits)->size : 0;
}

/* Leases as many items as are asked for, behind the `count` (0 or 1) that are there. Returns how many there are
 * then. */
static size_t take_more(struct braid_share *share, size_t count) {
  struct braid_queue_cell *cells = share->sent;
  size_t bytes = 0, fit = 0;
  count += braid_queue_lease(share->queue, cells + count, (size_t)share->asked - count);
  while (fit < count && (fit == 0 || bytes + size_of(cells[fit].item) <= MOST_BYTES))
    bytes += size_of(cells[fit++].item);
  if (fit < count) braid_queue_put_back(share->queue, cells + fit, count - fit);
  return fit;
}

static void set_first(struct braid_share *share, struct braid_item item) {
  share->sent[0] = (struct braid_queue_cell){.item = item, .key = share->getter.waiter.node.key};
}

static void on_getter_home(struct braid_errand *errand) {
  struct braid_share *share = braid_container(errand, struct braid_share, getter);
  enum braid_status status = (enum braid_status)errand->waiter.status;
  bool served = status == BRAID_OK;
  if (served) set_first(share, braid_wait_node_item(&errand->waiter.node));
  if (share->client) {
    share->count = served ? take_more(share, 1) : 0;
    send_items(share, share->count, status);
    return;
  }
  if (served) braid_queue_put_back(share->queue, share->sent, 1);
  share->asked = 0;
  leave_share(share);
}

/* Waits, because the queue is empty. */
static void wait_for_item(struct braid_share *share) {
  struct braid_item item;
  braid_waiter_arm(&share->getter.waiter);
  share->getter.waiter.node.tag = BRAID_ITEM_PLACE;
  enum braid_status status = braid_queue_get(share->queue, &item, &share->getter.waiter.node);
  if (status == BRAID_WAIT) return;
  braid_waiter_claim(&share->getter.waiter, BRAID_CANCELLED); /* it is in no wait queue */
  if (status == BRAID_OK) {
    set_first(share, item);
    share->count = take_more(share, 1);
  }
  send_items(share, share->count, status);
}

/* The client took `taken` items since its last report. False: that is not possible. This is not a total, because a
 * client's proxy may be destroyed and a new one made. */
static bool settle(struct braid_share *share, const struct braid_frame *frame, const char *body) {
  uint64_t taken;
  if (frame->size != sizeof taken) return false;
  memcpy(&taken, body, sizeof taken);
  if (taken > share->count) return false;
  for (size_t i = 0; i < taken; i++) braid_item_drop(share->sent[i].item);
  share->count -= (size_t)taken;
  if (share->count > 0) memmove(share->sent, share->sent + taken, share->count * sizeof *share->sent);
  if (taken > 0) braid_queue_settle(share->queue, (size_t)taken);
  return true;
}

static void on_get(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  bool sound = frame->id > 0 && frame->id <= BRAID_QUEUE_AHEAD && !share->asked && settle(share, frame, body);
  if (!sound || share->count > 0) {
    braid_connection_fail(connection, "a request for items that may not be made");
    return;
  }
  if (!share->sent) share->sent = malloc(BRAID_QUEUE_AHEAD * sizeof *share->sent);
  if (!share->sent) {
    braid_connection_fail(connection, "memory is out");
    return;
  }
  share->asked = frame->id;
  share->count = take_more(share, 0);
  if (share->count > 0)
    send_items(share, share->count, BRAID_OK);
  else
    wait_for_item(share);
}

static void on_get_end(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (share && share->asked) braid_loop_end_wait(&connection->io_thread->loop, &share->getter.waiter, BRAID_CANCELLED);
}

/* Nothing can go back while a GET is pending: its items would still be on their way. */
static void on_taken(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  if (!settle(share, frame, body) || (frame->id > 0 && frame->id != share->count)) {
    braid_connection_fail(connection, "other items come back than were sent");
    return;
  }
  if (frame->id == 0) return;
  braid_queue_put_back(share->queue, share->sent, share->count);
  share->count = 0;
}

/* ---- put ------------------------------------------------------------------------------------------------------ */

static void wait_for_place(struct braid_share *share) {
  share->want = WANT_QUEUED;
  braid_waiter_arm(&share->putter.waiter);
  enum braid_status status = braid_queue_await_place(share->queue, &share->putter.waiter.node);
  if (status == BRAID_WAIT) return;
  braid_waiter_claim(&share->putter.waiter, BRAID_CANCELLED); /* it is in no wait queue */
  send_places(share, status == BRAID_OK, status);
}

static void on_putter_home(struct braid_errand *errand) {
  struct braid_share *share = braid_container(errand, struct braid_share, putter);
  enum braid_status status = (enum braid_status)errand->waiter.status;
  bool queued = share->want == WANT_QUEUED;
  size_t places = queued && status == BRAID_OK;
  if (!share->client) {
    if (places > 0) braid_queue_unreserve(share->queue, places);
    share->want = NO_WANT;
    leave_share(share);
    return;
  }
  if (status == BRAID_OK) places += braid_queue_reserve(share->queue, (size_t)share->wanted - places);
  if (places == 0 && !queued && share->waits)
    wait_for_place(share);
  else
    send_places(share, places, status);
}

static void on_want(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  if (share->want != NO_WANT || frame->size > 0 || frame->id == 0 || frame->id > BRAID_QUEUE_AHEAD - share->places) {
    braid_connection_fail(connection, "a request for places that may not be made");
    return;
  }
  share->want = WANT_IN_TURN;
  share->wanted = frame->id;
  share->waits = frame->status != 0;
  braid_waiter_arm(&share->putter.waiter);
  braid_waiter_claim(&share->putter.waiter, BRAID_OK);
  braid_loop_post(&share->putter.waiter);
}

static void on_want_end(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  share->waits = false;
  if (share->want == WANT_QUEUED)
    braid_loop_end_wait(&connection->io_thread->loop, &share->putter.waiter, BRAID_CANCELLED);
}

static void on_put(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_queue_cell cells[BRAID_QUEUE_AHEAD];
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  if (frame->id == 0 || frame->id > share->places) { /* which are at most BRAID_QUEUE_AHEAD */
    braid_connection_fail(connection, "an item came without a place");
    return;
  }
  if (!braid_connection_items(connection, frame, body, 0, cells, (size_t)frame->id)) return;
  share->places -= frame->id;
  size_t put = braid_queue_put_reserved(share->queue, cells, (size_t)frame->id);
  for (; put < frame->id; put++) braid_item_drop(cells[put].item);
}

static void on_unwanted(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_share *share = share_of(connection, frame, body);
  if (!share) return;
  if (frame->id > share->places) {
    braid_connection_fail(connection, "more places come back than were given");
    return;
  }
  share->places -= frame->id;
  braid_queue_unreserve(share->queue, (size_t)frame->id);
}

void braid_queue_server_begin(struct braid_connection *connection) {
  braid_connection_handle(connection, BRAID_FRAME_GET, on_get);
  braid_connection_handle(connection, BRAID_FRAME_GET_END, on_get_end);
  braid_connection_handle(connection, BRAID_FRAME_TAKEN, on_taken);
  braid_connection_handle(connection, BRAID_FRAME_WANT, on_want);
  braid_connection_handle(connection, BRAID_FRAME_WANT_END, on_want_end);
  braid_connection_handle(connection, BRAID_FRAME_PUT, on_put);
  braid_connection_handle(connection, BRAID_FRAME_UNWANTED, on_unwanted);
}
