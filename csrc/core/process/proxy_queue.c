/* SPDX-License-Identifier: MIT
 * The proxy's side of docs/CONCURRENCY.md, section 9; "rule" means a rule there. The proxy's guard protects everything.
 * Frames are put under it, so they are in the order of the changes.
 *
 * Who reads from the connection gives items and places to a proxy (docs/CONCURRENCY.md, "Who reads"). Proxies that may
 * have something to give back are in a list: such a reader adds them, and the I/O thread takes them out. Order: the
 * list's mutex, a proxy's guard, the connection's mutex. Items that go back are dropped under the list's mutex; no
 * destructor enters that mutex. */
#include "core/process/proxy_queue.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

static const int64_t TICK = 2000000, SOON = 1000000; /* ns */

/* The tag of a getter's wait node: LEAVING waits only for the answer to a GET that was ended by GET_END. */
enum { LEAVING = BRAID_ITEM_FALSE, STAYING = BRAID_ITEM_NONE };

bool braid_proxy_queue_init(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = calloc(1, sizeof *queue);
  if (!queue) return false;
  braid_list_init(&queue->active);
  braid_wait_queue_init(&queue->getters, &proxy->object.guard);
  braid_wait_queue_init(&queue->putters, &proxy->object.guard);
  queue->proxy = proxy;
  proxy->queue = queue;
  return true;
}

void braid_proxy_queue_term(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  braid_wait_queue_dissolve(&queue->getters);
  braid_wait_queue_dissolve(&queue->putters);
  for (unsigned i = 0; i < queue->count; i++)
    braid_item_drop(queue->buffer[(queue->first + i) % BRAID_QUEUE_AHEAD].item);
  free(queue->buffer);
  free(queue);
}

static void put_frame(struct braid_proxy *proxy, enum braid_call_frame kind, uint64_t id, uint32_t status) {
  struct braid_frame frame = {.kind = (uint8_t)kind, .value = proxy->id, .id = id, .status = status};
  braid_connection_put(proxy->connection, frame, NULL, 0);
}

/* GET and TAKEN also carry the number of items taken since the last one. */
static void put_taken(struct braid_proxy *proxy, enum braid_call_frame kind, uint64_t id) {
  struct braid_frame frame = {.kind = (uint8_t)kind, .value = proxy->id, .id = id};
  braid_connection_put(proxy->connection, frame, &proxy->queue->taken, sizeof proxy->queue->taken);
  proxy->queue->taken = 0;
}

static unsigned length(const struct braid_wait_queue *queue) {
  unsigned count = 0;
  for (const struct braid_list *at = queue->nodes.next; at != &queue->nodes && count < BRAID_QUEUE_AHEAD; at = at->next)
    count++;
  return count;
}

/* The window doubles when the last request was less than 1 ms ago; else it is reset to 0. It is always 0 for queues
 * that are not FIFOs. */
static unsigned widen(unsigned window, int64_t *called, enum braid_queue_order order) {
  int64_t now = braid_clock_now();
  bool soon = now - *called < SOON && order == BRAID_FIFO;
  *called = now;
  window = soon ? window * 2 + 1 : 0;
  return window < BRAID_QUEUE_AHEAD ? window : BRAID_QUEUE_AHEAD;
}

/* ---- get ------------------------------------------------------------------------------------------------------ */

static struct braid_queue_cell take(struct braid_proxy_queue *queue) {
  struct braid_queue_cell cell = queue->buffer[queue->first];
  queue->first = (queue->first + 1) % BRAID_QUEUE_AHEAD;
  queue->count--;
  queue->taken++;
  return cell;
}

/* Rules 1 and 3: puts a GET. A getter waits, the buffer is empty, and no GET is pending. The caller must flush. */
static void ask(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  queue->get_window = widen(queue->get_window, &queue->get_called, queue->order);
  queue->asked = length(&queue->getters) + queue->get_window;
  if (queue->asked > BRAID_QUEUE_AHEAD) queue->asked = BRAID_QUEUE_AHEAD;
  queue->called_off = false;
  put_taken(proxy, BRAID_FRAME_GET, queue->asked);
}

enum braid_status braid_proxy_get(struct braid_proxy *proxy, struct braid_queue_cell *cell,
                                  struct braid_wait_node *node) {
  struct braid_proxy_queue *queue = proxy->queue;
  enum braid_status status = BRAID_OK;
  bool asks = false;
  braid_guard_enter(&proxy->object.guard);
  queue->touched = true;
  if (queue->count > 0) { /* also when the proxy is gone, because only we have these items */
    *cell = take(queue);
  } else if (!proxy->connection) {
    status = BRAID_GONE;
  } else if (!node) {
    status = BRAID_EMPTY;
  } else if (!queue->buffer && !(queue->buffer = malloc(BRAID_QUEUE_AHEAD * sizeof *queue->buffer))) {
    status = BRAID_NO_MEMORY;
  } else {
    node->tag = STAYING;
    braid_wait_node_join(node, &queue->getters);
    asks = !queue->asked;
    if (asks) ask(proxy);
    status = BRAID_WAIT;
  }
  braid_proxy_go(proxy, asks);
  return status;
}

bool braid_proxy_leave(struct braid_proxy *proxy, struct braid_wait_node *node) {
  struct braid_proxy_queue *queue = proxy->queue;
  braid_guard_enter(&proxy->object.guard);
  bool last = proxy->connection && queue->asked && !queue->called_off && braid_list_empty(&queue->getters.nodes);
  if (last) {
    queue->called_off = true;
    put_frame(proxy, BRAID_FRAME_GET_END, 0, 0);
    node->tag = LEAVING;
    braid_wait_node_join(node, &queue->getters);
  }
  braid_proxy_go(proxy, last);
  return last;
}

/* Rule 2: gives items to waiting getters, and the rest to the buffer. */
static void deal(struct braid_proxy_queue *queue, const struct braid_queue_cell *cells, size_t count,
                 struct braid_wake_list *woken) {
  for (size_t i = 0; i < count; i++) {
    struct braid_wait_node *getter = braid_wait_queue_claim(&queue->getters, BRAID_OK);
    if (getter) {
      braid_wait_node_set_item(getter, cells[i].item);
      braid_wake_list_push(woken, braid_wait_node_waiter(getter));
      queue->taken++;
    } else {
      queue->buffer[(queue->first + queue->count++) % BRAID_QUEUE_AHEAD] = cells[i];
    }
  }
}

/* Ends the waits of getters that are LEAVING. They are the first in the queue. */
static void let_leave(struct braid_proxy_queue *queue, struct braid_wake_list *woken) {
  while (!braid_list_empty(&queue->getters.nodes)) {
    struct braid_wait_node *first = braid_container(queue->getters.nodes.next, struct braid_wait_node, link);
    if (first->tag != LEAVING) return;
    struct braid_wait_node *getter = braid_wait_queue_claim(&queue->getters, BRAID_CANCELLED);
    if (getter) braid_wake_list_push(woken, braid_wait_node_waiter(getter));
  }
}

static bool give_back(struct braid_proxy *proxy, bool all, struct braid_queue_cell *cells, unsigned *count);
static bool is_ahead(const struct braid_proxy *proxy);
static void look_after(struct braid_proxy *proxy);

static void drop_cells(struct braid_queue_cell *cells, size_t count) {
  for (size_t i = 0; i < count; i++) braid_item_drop(cells[i].item);
}

/* The pending GET is answered. */
static void conclude(struct braid_proxy *proxy, enum braid_status status, struct braid_wake_list *woken) {
  struct braid_proxy_queue *queue = proxy->queue;
  queue->asked = 0;
  let_leave(queue, woken);
  if (status == BRAID_CLOSED) {
    braid_wait_queue_claim_all(&queue->getters, BRAID_CLOSED, woken);
  } else if (status != BRAID_OK && status != BRAID_CANCELLED) {
    struct braid_wait_node *getter = braid_wait_queue_claim(&queue->getters, status);
    if (getter) braid_wake_list_push(woken, braid_wait_node_waiter(getter));
  }
  if (queue->count == 0 && !braid_list_empty(&queue->getters.nodes)) ask(proxy);
}

/* Returns a queue's proxy, with a new reference. NULL: the connection has failed. */
static struct braid_proxy *find_queue(struct braid_connection *connection, uint64_t id) {
  struct braid_object *object = braid_object_table_known(connection->objects, id);
  if (object && object->class == &braid_proxy_classes[BRAID_PROXY_QUEUE]) return braid_proxy_of(object);
  if (object) braid_object_unref(object);
  braid_connection_fail(connection, "a frame is about a queue that is not known");
  return NULL;
}

/* Handles the items, and takes them over. False: they are more than were asked for. */
static bool take_in(struct braid_proxy *proxy, struct braid_queue_cell *cells, unsigned count,
                    enum braid_status status) {
  struct braid_proxy_queue *queue = proxy->queue;
  struct braid_wake_list woken = {0};
  unsigned returned = 0;
  braid_guard_enter(&proxy->object.guard);
  bool sound = proxy->connection && count <= queue->asked && queue->asked > 0;
  if (sound) {
    deal(queue, cells, count, &woken);
    conclude(proxy, status, &woken);
    queue->touched = true;
    /* Another item may become the first one at home. */
    if (queue->count > 0 && queue->order != BRAID_FIFO) give_back(proxy, true, cells, &returned);
  } else {
    returned = count;
  }
  bool ahead = is_ahead(proxy);
  braid_proxy_go(proxy, sound && (returned > 0 || queue->asked > 0));
  drop_cells(cells, returned);
  if (ahead) look_after(proxy); /* first: who wakes may end its job, which settles the proxies in the list */
  braid_loop_post_all(&woken);
  return sound;
}

void braid_proxy_on_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_queue_cell cells[BRAID_QUEUE_AHEAD];
  struct braid_proxy *proxy = find_queue(connection, frame->value);
  if (!proxy) return;
  bool sound = frame->id <= BRAID_QUEUE_AHEAD && frame->status <= BRAID_NO_MEMORY;
  if (sound && braid_connection_items(connection, frame, body, 0, cells, (size_t)frame->id))
    sound = take_in(proxy, cells, (unsigned)frame->id, (enum braid_status)frame->status);
  if (!sound) braid_connection_fail(connection, "more items came than were asked for");
  braid_object_unref(&proxy->object);
}

/* ---- put ------------------------------------------------------------------------------------------------------ */

static void want(struct braid_proxy *proxy, uint64_t places, bool wait) {
  struct braid_proxy_queue *queue = proxy->queue;
  if (places > BRAID_QUEUE_AHEAD - queue->places) places = BRAID_QUEUE_AHEAD - queue->places;
  queue->wanted = places;
  queue->unwanted = false;
  if (places > 0) put_frame(proxy, BRAID_FRAME_WANT, places, wait);
}

/* Puts a WANT, because putters wait. */
static void want_for_putters(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  queue->put_window = widen(queue->put_window, &queue->put_called, queue->order);
  want(proxy, length(&queue->putters) + queue->put_window, true);
}

static void send_item(struct braid_proxy *proxy, const struct braid_queue_cell *cell) {
  struct braid_frame frame = {.kind = BRAID_FRAME_PUT, .value = proxy->id, .id = 1};
  braid_connection_put_items(proxy->connection, frame, NULL, 0, cell, 1);
  proxy->queue->places--;
}

/* With a small window, each PUT is flushed. With a large window and much room, the first half of the items is flushed
 * together with a request for more places, so that both ends work at the same time. Little room is flushed as a
 * whole. */
enum { LITTLE_WINDOW = 4, LITTLE_ROOM = 32 };

static uint64_t send_at(const struct braid_proxy_queue *queue) {
  if (queue->put_window < LITTLE_WINDOW) return queue->places;
  return queue->places <= LITTLE_ROOM ? 0 : queue->places / 2;
}

/* Rule 2, after a PUT: asks for more places when few are left, because the next put most likely follows. True: the
 * caller must flush. */
static bool send_on(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  if (queue->places > queue->send_at) return false;
  bool much = queue->put_window >= LITTLE_WINDOW, asks = !queue->wanted && queue->put_window > 0;
  if (asks) {
    queue->put_window = queue->put_window * 2 < BRAID_QUEUE_AHEAD ? queue->put_window * 2 : BRAID_QUEUE_AHEAD;
    if (queue->put_window > queue->places) want(proxy, queue->put_window - queue->places, queue->places == 0);
  }
  return !much || asks || queue->places == 0;
}

enum braid_status braid_proxy_put(struct braid_proxy *proxy, const struct braid_queue_cell *cell,
                                  struct braid_wait_node *node) {
  struct braid_proxy_queue *queue = proxy->queue;
  enum braid_status status = BRAID_OK;
  bool sends = false;
  braid_guard_enter(&proxy->object.guard);
  queue->touched = true;
  if (!proxy->connection) {
    status = BRAID_GONE;
  } else if (queue->places > 0) {
    send_item(proxy, cell);
    sends = send_on(proxy);
  } else if (!node) {
    status = BRAID_FULL;
  } else {
    braid_wait_node_set_item(node, cell->item);
    node->key = cell->key;
    braid_wait_node_join(node, &queue->putters);
    if (!queue->wanted) want_for_putters(proxy);
    sends = true;
    status = BRAID_WAIT;
  }
  braid_proxy_go(proxy, sends);
  if (status == BRAID_OK) braid_item_drop(cell->item);
  return status;
}

static bool wants_for_nobody(const struct braid_proxy_queue *queue) {
  return queue->wanted && !queue->unwanted && braid_list_empty(&queue->putters.nodes);
}

static void end_want(struct braid_proxy *proxy) {
  proxy->queue->unwanted = true;
  put_frame(proxy, BRAID_FRAME_WANT_END, 0, 0);
}

void braid_proxy_leave_put(struct braid_proxy *proxy) {
  braid_guard_enter(&proxy->object.guard);
  bool ends = proxy->connection && wants_for_nobody(proxy->queue);
  if (ends) end_want(proxy);
  braid_proxy_go(proxy, ends);
}

/* Gives places to the putters that have waited longest. The caller drops their items outside the guard. Under the
 * guard. */
static size_t use_places(struct braid_proxy *proxy, struct braid_queue_cell *sent, struct braid_wake_list *woken) {
  struct braid_proxy_queue *queue = proxy->queue;
  struct braid_wait_node *putter;
  size_t count = 0;
  while (queue->places > 0 && (putter = braid_wait_queue_claim(&queue->putters, BRAID_OK))) {
    sent[count] = (struct braid_queue_cell){.item = braid_wait_node_item(putter), .key = putter->key};
    send_item(proxy, &sent[count++]);
    braid_wake_list_push(woken, braid_wait_node_waiter(putter));
  }
  return count;
}

/* False: they are more than were wanted. */
static bool take_places(struct braid_proxy *proxy, uint64_t places, enum braid_status status) {
  struct braid_wake_list woken = {0};
  struct braid_queue_cell sent[BRAID_QUEUE_AHEAD];
  struct braid_proxy_queue *queue = proxy->queue;
  size_t count = 0;
  bool sends = false;
  braid_guard_enter(&proxy->object.guard);
  bool sound = proxy->connection && queue->wanted && places <= queue->wanted;
  if (sound) {
    queue->wanted = 0;
    queue->places += places;
    count = use_places(proxy, sent, &woken);
    queue->send_at = send_at(queue);
    if (status == BRAID_CLOSED) braid_wait_queue_claim_all(&queue->putters, BRAID_CLOSED, &woken);
    if (!braid_list_empty(&queue->putters.nodes)) want_for_putters(proxy);
    /* More PUTs most likely follow at once, and are sent together. */
    sends = queue->places == 0 || queue->put_window < LITTLE_WINDOW;
  }
  bool ahead = is_ahead(proxy);
  braid_proxy_go(proxy, sends);
  drop_cells(sent, count);
  if (ahead) look_after(proxy); /* before waking anybody, as in take_in */
  braid_loop_post_all(&woken);
  return sound;
}

void braid_proxy_on_places(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  struct braid_proxy *proxy = find_queue(connection, frame->value);
  if (!proxy) return;
  if (frame->size > 0 || !take_places(proxy, frame->id, (enum braid_status)frame->status))
    braid_connection_fail(connection, "more places came than were wanted");
  braid_object_unref(&proxy->object);
}

/* ---- give back ------------------------------------------------------------------------------------------------ */

/* Whether the proxy has anything that may have to go back. Under the guard. */
static bool is_ahead(const struct braid_proxy *proxy) {
  const struct braid_proxy_queue *queue = proxy->queue;
  if (!proxy->connection) return false;
  return queue->count > 0 || queue->places > 0 || queue->taken > 0 || wants_for_nobody(queue);
}

/* Rule 5 of gets and rule 4 of puts. Moves items to `cells`, to be dropped outside the guard. True: the proxy still has
 * something to give back. Under the proxy's guard. */
static bool give_back(struct braid_proxy *proxy, bool all, struct braid_queue_cell *cells, unsigned *count) {
  struct braid_proxy_queue *queue = proxy->queue;
  bool idle = all || !queue->touched;
  queue->touched = false;
  if (!proxy->connection) return false;
  if (idle && queue->count > 0) {
    put_taken(proxy, BRAID_FRAME_TAKEN, queue->count);
    for (; *count < queue->count; ++*count) cells[*count] = queue->buffer[(queue->first + *count) % BRAID_QUEUE_AHEAD];
    queue->count = queue->get_window = 0; /* the window was too large */
  } else if (queue->taken > 0 && (idle || queue->count == 0)) {
    put_taken(proxy, BRAID_FRAME_TAKEN, 0);
  }
  if (idle && queue->places > 0) {
    put_frame(proxy, BRAID_FRAME_UNWANTED, queue->places, 0);
    queue->places = 0;
  }
  if (idle && wants_for_nobody(queue)) end_want(proxy);
  return is_ahead(proxy);
}

static bool settle(struct braid_proxy *proxy, bool all) {
  struct braid_queue_cell cells[BRAID_QUEUE_AHEAD];
  unsigned count = 0;
  braid_guard_enter(&proxy->object.guard);
  bool ahead = give_back(proxy, all, cells, &count);
  braid_proxy_go(proxy, true);
  drop_cells(cells, count);
  return ahead;
}

void braid_proxy_settle(struct braid_proxy *proxy) { settle(proxy, true); }

void braid_proxy_settle_all(void) {
  if (atomic_load(&braid_proxies.active.count) == 0) return;
  pthread_mutex_lock(&braid_proxies.active.mutex);
  for (struct braid_list *at = braid_proxies.active.list.next; at != &braid_proxies.active.list; at = at->next)
    settle(braid_container(at, struct braid_proxy_queue, active)->proxy, true);
  pthread_mutex_unlock(&braid_proxies.active.mutex);
}

/* Takes the proxy out of the list. Under the mutex. */
static void forget(struct braid_proxy_queue *queue) {
  braid_list_remove(&queue->active);
  atomic_fetch_sub(&braid_proxies.active.count, 1);
  braid_object_unref(&queue->proxy->object);
}

/* Gives back what was not used since the last tick, and takes proxies with nothing left out of the list. A reader that
 * gives something to a proxy meanwhile enters the mutex after that, and finds it in the list or adds it. */
static void settle_idle(void) {
  pthread_mutex_lock(&braid_proxies.active.mutex);
  for (struct braid_list *at = braid_proxies.active.list.next, *next; at != &braid_proxies.active.list; at = next) {
    struct braid_proxy_queue *queue = braid_container(at, struct braid_proxy_queue, active);
    next = at->next;
    if (!settle(queue->proxy, false)) forget(queue);
  }
  pthread_mutex_unlock(&braid_proxies.active.mutex);
}

/* Runs on the I/O thread. */
static void tick_on(struct braid_object_table *table) {
  int64_t next = braid_clock_now() + TICK;
  if (braid_alarm_start(&table->connection->io_thread->loop, &table->alarm, next)) return;
  pthread_mutex_lock(&braid_proxies.active.mutex);
  table->ticking = false;
  pthread_mutex_unlock(&braid_proxies.active.mutex);
}

static void start_ticking(struct braid_errand *errand) {
  tick_on(braid_container(errand, struct braid_object_table, starter));
}

/* Each connection has an alarm; the first one that fires settles all proxies. */
static void on_tick(struct braid_alarm *alarm) {
  struct braid_object_table *table = braid_container(alarm, struct braid_object_table, alarm);
  int64_t now = braid_clock_now();
  if (now - braid_proxies.active.settled > TICK / 2) {
    braid_proxies.active.settled = now;
    settle_idle();
  }
  pthread_mutex_lock(&braid_proxies.active.mutex);
  bool goes_on = table->ticking = !braid_list_empty(&braid_proxies.active.list);
  pthread_mutex_unlock(&braid_proxies.active.mutex);
  if (goes_on) tick_on(table);
}

/* Puts the proxy into the list, and has the alarm set. Outside the proxy's guard. Who reads from its connection, which
 * therefore does not end meanwhile. */
static void look_after(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  struct braid_object_table *table = proxy->connection->objects;
  pthread_mutex_lock(&braid_proxies.active.mutex);
  if (braid_list_empty(&queue->active)) {
    braid_object_ref(&proxy->object);
    braid_list_push(&braid_proxies.active.list, &queue->active);
    atomic_fetch_add(&braid_proxies.active.count, 1);
  }
  bool starts = !table->ticking;
  table->ticking = true;
  pthread_mutex_unlock(&braid_proxies.active.mutex);
  if (starts) braid_errand_send(&table->starter);
}

/* ---- connections, and the end of the home --------------------------------------------------------------------- */

void braid_proxy_queue_begin(struct braid_connection *connection) {
  struct braid_object_table *table = connection->objects;
  table->alarm.fire = on_tick;
  braid_errand_init(&table->starter, connection->io_thread, start_ticking);
}

void braid_proxy_queue_stop(struct braid_connection *connection) {
  struct braid_object_table *table = connection->objects;
  braid_errand_recall(&table->starter);
  braid_alarm_stop(&connection->io_thread->loop, &table->alarm);
}

void braid_proxy_queue_end(struct braid_proxy *proxy) {
  struct braid_proxy_queue *queue = proxy->queue;
  struct braid_wake_list woken = {0};
  braid_guard_enter(&proxy->object.guard);
  braid_wait_queue_claim_all(&queue->getters, BRAID_GONE, &woken);
  braid_wait_queue_claim_all(&queue->putters, BRAID_GONE, &woken);
  braid_guard_leave(&proxy->object.guard);
  braid_loop_post_all(&woken);
  pthread_mutex_lock(&braid_proxies.active.mutex);
  if (!braid_list_empty(&queue->active)) forget(queue);
  pthread_mutex_unlock(&braid_proxies.active.mutex);
}
