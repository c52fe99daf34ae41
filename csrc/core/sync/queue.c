/* SPDX-License-Identifier: MIT
 * Reference-counted; object.guard protects all other fields, except what an open ring protects itself (ring.h). Waiters
 * are claimed under the guard and posted outside it. */
#include "core/sync/queue.h"

#include <stdlib.h>

#include "core/loop/loop.h"

enum { FIRST_CAPACITY = 16 };

/* ---- the guard ------------------------------------------------------------------------------------------------ */

static bool is_shared(const struct braid_queue *queue) { return queue->object.guard.shared; }

/* Adds the items that came in through the open ring to `unfinished`. Under the guard. */
static void count_arrivals(struct braid_queue *queue, size_t arrived) {
  queue->unfinished += arrived - queue->counted;
  queue->counted = arrived;
}

/* After this nobody puts or gets without the guard. Under the guard. */
static void close_ring(struct braid_queue *queue) {
  if (!braid_ring_is_open(&queue->ring)) return;
  struct braid_ring_span span = braid_ring_close(&queue->ring, is_shared(queue));
  queue->first = span.head & (queue->capacity - 1);
  queue->size = span.tail - span.head;
  count_arrivals(queue, span.tail);
}

/* The ring may be open when nobody waits and items leave in FIFO order. */
static bool may_open_ring(const struct braid_queue *queue) {
  return queue->order == BRAID_FIFO && !queue->closed && queue->capacity > 0 &&
         braid_list_empty(&queue->getters.nodes) && braid_list_empty(&queue->putters.nodes);
}

static void open_ring(struct braid_queue *queue) {
  struct braid_ring_span span = {queue->first, queue->first + queue->size};
  size_t room = queue->maxsize == 0                ? SIZE_MAX
                : queue->reserved < queue->maxsize ? queue->maxsize - queue->reserved
                                                   : 0;
  queue->counted = span.tail;
  braid_ring_open(&queue->ring, queue->cells, queue->capacity - 1, span, room);
}

static void enter(struct braid_queue *queue) {
  braid_guard_enter(&queue->object.guard);
  close_ring(queue);
}

static void leave(struct braid_queue *queue) {
  if (may_open_ring(queue)) open_ring(queue);
  braid_guard_leave(&queue->object.guard);
}

/* ---- creation and destruction --------------------------------------------------------------------------------- */

static void visit_all(struct braid_queue *queue, void (*visit)(struct braid_item *item, void *context), void *context) {
  for (size_t i = 0; i < queue->size; i++)
    visit(&queue->cells[(queue->first + i) & (queue->capacity - 1)].item, context);
  for (struct braid_list *link = queue->putters.nodes.next; link != &queue->putters.nodes; link = link->next) {
    struct braid_wait_node *node = braid_container(link, struct braid_wait_node, link);
    struct braid_item item = braid_wait_node_item(node);
    visit(&item, context);
    braid_wait_node_set_item(node, item);
  }
}

static void drop(struct braid_item *item, void *ignored) {
  (void)ignored;
  braid_item_drop(*item);
  item->tag = BRAID_ITEM_NONE;
}

static void destroy(struct braid_object *object) {
  struct braid_queue *queue = braid_container(object, struct braid_queue, object);
  close_ring(queue);
  visit_all(queue, drop, NULL);
  braid_wait_queue_dissolve(&queue->getters);
  braid_wait_queue_dissolve(&queue->putters);
  braid_wait_queue_dissolve(&queue->joiners);
  braid_ring_term(&queue->ring);
  free(queue->cells);
  free(queue);
}

const struct braid_class braid_queue_class = {"braid.queue", destroy};

struct braid_queue *braid_queue_new(size_t maxsize, enum braid_queue_order order) {
  struct braid_queue *queue = calloc(1, sizeof *queue);
  if (!queue) return NULL;
  braid_object_init(&queue->object, &braid_queue_class);
  braid_wait_queue_init(&queue->getters, &queue->object.guard);
  braid_wait_queue_init(&queue->putters, &queue->object.guard);
  braid_wait_queue_init(&queue->joiners, &queue->object.guard);
  braid_ring_init(&queue->ring);
  queue->maxsize = maxsize;
  queue->order = order;
  return queue;
}

/* ---- the cells ------------------------------------------------------------------------------------------------ */

static bool before(const struct braid_queue_cell *a, const struct braid_queue_cell *b) {
  return a->key < b->key || (a->key == b->key && a->arrival < b->arrival);
}

static void heap_rise(struct braid_queue_cell *cells, size_t at) {
  struct braid_queue_cell cell = cells[at];
  for (; at > 0 && before(&cell, &cells[(at - 1) / 2]); at = (at - 1) / 2) cells[at] = cells[(at - 1) / 2];
  cells[at] = cell;
}

static void heap_sink(struct braid_queue_cell *cells, size_t size, struct braid_queue_cell cell) {
  size_t at = 0;
  for (size_t child = 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && before(&cells[child + 1], &cells[child])) child++;
    if (!before(&cells[child], &cell)) break;
    cells[at] = cells[child];
    at = child;
  }
  cells[at] = cell;
}

static bool grow(struct braid_queue *queue) {
  size_t capacity = queue->capacity ? queue->capacity * 2 : FIRST_CAPACITY;
  struct braid_queue_cell *cells = calloc(capacity, sizeof *cells); /* zeros: unused keys are sent to processes */
  if (!cells) return false;
  for (size_t i = 0; i < queue->size; i++) cells[i] = queue->cells[(queue->first + i) & (queue->capacity - 1)];
  free(queue->cells);
  queue->cells = cells;
  queue->capacity = capacity;
  queue->first = 0;
  return true;
}

static bool push(struct braid_queue *queue, struct braid_item item, double key) {
  if (queue->size == queue->capacity && !grow(queue)) return false;
  size_t at = (queue->first + queue->size++) & (queue->capacity - 1);
  queue->cells[at].item = item;
  if (queue->order == BRAID_PRIORITY) {
    queue->cells[at].key = key;
    queue->cells[at].arrival = queue->arrivals++;
    heap_rise(queue->cells, at);
  }
  return true;
}

/* Puts the cell where it was before it was popped: in front of all cells that are not smaller. */
static bool push_back(struct braid_queue *queue, const struct braid_queue_cell *cell) {
  if (queue->order == BRAID_LIFO) return push(queue, cell->item, cell->key);
  if (queue->size == queue->capacity && !grow(queue)) return false;
  if (queue->order == BRAID_PRIORITY) {
    queue->cells[queue->size] = *cell;
    heap_rise(queue->cells, queue->size++);
    return true;
  }
  queue->first = (queue->first + queue->capacity - 1) & (queue->capacity - 1);
  queue->cells[queue->first] = *cell;
  queue->size++;
  return true;
}

static struct braid_queue_cell pop(struct braid_queue *queue) {
  size_t last = (queue->first + --queue->size) & (queue->capacity - 1);
  if (queue->order == BRAID_LIFO) return queue->cells[last];
  struct braid_queue_cell cell = queue->cells[queue->first];
  if (queue->order == BRAID_PRIORITY)
    heap_sink(queue->cells, queue->size, queue->cells[last]);
  else
    queue->first = (queue->first + 1) & (queue->capacity - 1);
  return cell;
}

/* ---- put and get ---------------------------------------------------------------------------------------------- */

static bool has_room(const struct braid_queue *queue) {
  return queue->maxsize == 0 || queue->size + queue->reserved < queue->maxsize;
}

/* Gives the item to the getter that comes first in the wait queue. False: nobody waits. */
static bool hand_over(struct braid_queue *queue, struct braid_item item, double key, struct braid_wake_list *woken) {
  struct braid_wait_node *getter = braid_wait_queue_claim(&queue->getters, BRAID_OK);
  if (!getter) return false;
  if (getter->tag == BRAID_ITEM_PLACE) queue->leased++;
  braid_wait_node_set_item(getter, item);
  getter->key = key;
  braid_wake_list_push(woken, braid_wait_node_waiter(getter));
  return true;
}

/* Gives the item to a waiting getter, or appends it. False: memory is out. */
static bool add(struct braid_queue *queue, struct braid_item item, double key, struct braid_wake_list *woken) {
  if (!hand_over(queue, item, key, woken) && !push(queue, item, key)) return false;
  queue->unfinished++;
  return true;
}

static enum braid_status put(struct braid_queue *queue, struct braid_item item, double key,
                             struct braid_wait_node *node, struct braid_wake_list *woken) {
  if (queue->closed) return BRAID_CLOSED;
  if (has_room(queue)) {
    if (!braid_wait_node_may_take(node)) return BRAID_WAIT;
    return add(queue, item, key, woken) ? BRAID_OK : BRAID_NO_MEMORY;
  }
  if (!node) return BRAID_FULL;
  braid_wait_node_set_item(node, item);
  node->key = key;
  braid_wait_node_join(node, &queue->putters);
  return BRAID_WAIT;
}

enum braid_status braid_queue_put(struct braid_queue *queue, struct braid_item item, double key,
                                  struct braid_wait_node *node) {
  struct braid_wake_list woken = {0};
  enum braid_status status = node ? BRAID_WAIT : braid_ring_put(&queue->ring, is_shared(queue), item);
  if (status != BRAID_WAIT) return status;
  enter(queue);
  status = put(queue, item, key, node, &woken);
  leave(queue);
  braid_loop_post_all(&woken);
  return status;
}

/* Lets the put in that has waited longest. False: there is no room, or nobody waits. A push needs no memory here when a
 * cell was just freed, and none when a getter waits. Otherwise the putter gets BRAID_NO_MEMORY. */
static bool admit_putter(struct braid_queue *queue, struct braid_wake_list *woken) {
  struct braid_wait_node *putter = has_room(queue) ? braid_wait_queue_claim(&queue->putters, BRAID_OK) : NULL;
  if (!putter) return false;
  if (putter->tag == BRAID_ITEM_PLACE)
    queue->reserved++;
  else if (!add(queue, braid_wait_node_item(putter), putter->key, woken))
    braid_wait_node_waiter(putter)->status = BRAID_NO_MEMORY; /* it is claimed, not posted */
  braid_wake_list_push(woken, braid_wait_node_waiter(putter));
  return true;
}

/* True: no item will ever come. */
static bool is_drained(const struct braid_queue *queue) {
  return queue->closed && queue->size == 0 && ((queue->reserved == 0 && queue->leased == 0) || queue->dropped);
}

enum braid_status braid_queue_get(struct braid_queue *queue, struct braid_item *item, struct braid_wait_node *node) {
  struct braid_wake_list woken = {0};
  enum braid_status status = node ? BRAID_WAIT : braid_ring_get(&queue->ring, is_shared(queue), item);
  if (status != BRAID_WAIT) return status;
  status = BRAID_OK;
  enter(queue);
  if (queue->size > 0) {
    if (braid_wait_node_may_take(node)) {
      struct braid_queue_cell cell = pop(queue);
      *item = cell.item;
      if (node && node->tag == BRAID_ITEM_PLACE) {
        queue->leased++;
        node->key = cell.key;
      }
      admit_putter(queue, &woken);
    } else {
      status = BRAID_WAIT;
    }
  } else if (is_drained(queue)) {
    status = BRAID_CLOSED;
  } else if (node) {
    braid_wait_node_join(node, &queue->getters);
    if (queue->recent_first) braid_list_raise(&queue->getters.nodes, &node->link);
    status = BRAID_WAIT;
  } else {
    status = BRAID_EMPTY;
  }
  leave(queue);
  braid_loop_post_all(&woken);
  return status;
}

bool braid_queue_expect_room(struct braid_queue *queue) {
  return is_shared(queue) && braid_ring_expect_room(&queue->ring);
}

bool braid_queue_expect_item(struct braid_queue *queue) {
  return is_shared(queue) && braid_ring_expect_item(&queue->ring);
}

/* ---- for the queue server ------------------------------------------------------------------------------------- */

/* Lets putters in, and ends the waits of getters when nothing can come. Called after items or places came back. Under
 * the guard. */
static void admit_all(struct braid_queue *queue, struct braid_wake_list *woken) {
  while (admit_putter(queue, woken)) continue;
  if (is_drained(queue)) braid_wait_queue_claim_all(&queue->getters, BRAID_CLOSED, woken);
}

size_t braid_queue_reserve(struct braid_queue *queue, size_t most) {
  enter(queue);
  size_t used = queue->size + queue->reserved;
  size_t room = queue->maxsize == 0 ? most : used < queue->maxsize ? queue->maxsize - used : 0;
  if (room > most) room = most;
  if (queue->closed) room = 0;
  queue->reserved += room;
  leave(queue);
  return room;
}

enum braid_status braid_queue_await_place(struct braid_queue *queue, struct braid_wait_node *node) {
  enum braid_status status = BRAID_WAIT;
  enter(queue);
  if (queue->closed) {
    status = BRAID_CLOSED;
  } else if (has_room(queue)) {
    queue->reserved++;
    status = BRAID_OK;
  } else {
    node->tag = BRAID_ITEM_PLACE;
    braid_wait_node_join(node, &queue->putters);
  }
  leave(queue);
  return status;
}

size_t braid_queue_put_reserved(struct braid_queue *queue, const struct braid_queue_cell *cells, size_t count) {
  struct braid_wake_list woken = {0};
  size_t put = 0;
  enter(queue);
  queue->reserved -= count < queue->reserved ? count : queue->reserved;
  while (put < count && !queue->dropped && add(queue, cells[put].item, cells[put].key, &woken)) put++;
  if (put < count || queue->closed) admit_all(queue, &woken);
  leave(queue);
  braid_loop_post_all(&woken);
  return put;
}

void braid_queue_unreserve(struct braid_queue *queue, size_t count) {
  struct braid_wake_list woken = {0};
  enter(queue);
  queue->reserved -= count < queue->reserved ? count : queue->reserved;
  admit_all(queue, &woken);
  leave(queue);
  braid_loop_post_all(&woken);
}

size_t braid_queue_lease(struct braid_queue *queue, struct braid_queue_cell *cells, size_t most) {
  struct braid_wake_list woken = {0};
  size_t count = 0;
  enter(queue);
  while (count < most && queue->size > 0) {
    cells[count++] = pop(queue);
    queue->leased++;
    admit_putter(queue, &woken);
  }
  leave(queue);
  braid_loop_post_all(&woken);
  return count;
}

void braid_queue_settle(struct braid_queue *queue, size_t count) {
  struct braid_wake_list woken = {0};
  enter(queue);
  queue->leased -= count < queue->leased ? count : queue->leased;
  admit_all(queue, &woken);
  leave(queue);
  braid_loop_post_all(&woken);
}

void braid_queue_put_back(struct braid_queue *queue, struct braid_queue_cell *cells, size_t count) {
  struct braid_wake_list woken = {0};
  size_t handed = 0, kept = count;
  enter(queue);
  queue->leased -= count < queue->leased ? count : queue->leased;
  while (!queue->dropped && handed < count && hand_over(queue, cells[handed].item, cells[handed].key, &woken)) handed++;
  while (!queue->dropped && kept > handed && push_back(queue, &cells[kept - 1])) kept--;
  admit_all(queue, &woken);
  leave(queue);
  braid_loop_post_all(&woken);
  while (kept > handed) braid_item_drop(cells[--kept].item); /* the queue was closed at once, or memory is out */
}

/* ---- other operations ----------------------------------------------------------------------------------------- */

/* Whether at least `count` items that were put are not done. While the ring is open, `unfinished` is too low, so the
 * ring is asked only when that matters. Under the guard. */
static bool has_unfinished(struct braid_queue *queue, size_t count) {
  if (queue->unfinished < count && braid_ring_is_open(&queue->ring))
    count_arrivals(queue, braid_ring_arrived(&queue->ring));
  return queue->unfinished >= count;
}

enum braid_status braid_queue_task_done(struct braid_queue *queue) {
  struct braid_wake_list woken = {0};
  braid_guard_enter(&queue->object.guard);
  bool others = has_unfinished(queue, 2), counted = queue->unfinished > 0;
  if (counted) queue->unfinished--;
  queue->finished += counted;
  if (counted && !others) braid_wait_queue_claim_all(&queue->joiners, BRAID_OK, &woken);
  braid_guard_leave(&queue->object.guard);
  braid_loop_post_all(&woken);
  return counted ? BRAID_OK : BRAID_MISUSE;
}

enum braid_status braid_queue_join(struct braid_queue *queue, struct braid_wait_node *node) {
  braid_guard_enter(&queue->object.guard);
  bool wait = has_unfinished(queue, 1);
  if (wait) braid_wait_node_join(node, &queue->joiners);
  braid_guard_leave(&queue->object.guard);
  return wait ? BRAID_WAIT : BRAID_OK;
}

/* Takes the cells out of the queue. The caller drops them outside the guard. */
static void empty(struct braid_queue *queue, struct braid_queue *rest) {
  *rest = (struct braid_queue){
      .cells = queue->cells, .capacity = queue->capacity, .first = queue->first, .size = queue->size};
  queue->cells = NULL;
  queue->capacity = queue->first = queue->size = 0;
  size_t dropped = rest->size < queue->unfinished ? rest->size : queue->unfinished; /* not those in work */
  queue->unfinished -= dropped;
  queue->finished += dropped;
}

static void drop_all(struct braid_queue *rest) {
  while (rest->size > 0) braid_item_drop(pop(rest).item);
  free(rest->cells);
}

void braid_queue_close(struct braid_queue *queue, bool immediate) {
  struct braid_wake_list woken = {0};
  struct braid_queue rest = {0};
  enter(queue);
  queue->closed = true;
  queue->dropped = queue->dropped || immediate;
  if (is_drained(queue))
    braid_wait_queue_claim_all(&queue->getters, BRAID_CLOSED, &woken); /* getters wait only while it is empty */
  braid_wait_queue_claim_all(&queue->putters, BRAID_CLOSED, &woken);
  if (immediate) {
    empty(queue, &rest);
    braid_wait_queue_claim_all(&queue->joiners, BRAID_OK, &woken);
  }
  leave(queue);
  braid_loop_post_all(&woken);
  drop_all(&rest);
}

void braid_queue_visit(struct braid_queue *queue, void (*visit)(struct braid_item *item, void *context),
                       void *context) {
  enter(queue);
  visit_all(queue, visit, context);
  leave(queue);
}

struct mentions {
  const struct braid_object *object;
  unsigned count;
};

static void count_mentions(struct braid_item *item, void *context) {
  struct mentions *mentions = context;
  mentions->count += braid_item_mentions(*item, mentions->object);
}

/* Others give up references, or take items out, either before or after this guarded section. So the count made here is
 * complete. */
void braid_queue_leave(struct braid_queue *queue) {
  struct mentions mentions = {&queue->object, 0};
  struct braid_queue rest = {0};
  if (!queue->object.guard.shared) { /* then its items are no messages, so none of them refers to the queue */
    braid_object_unref(&queue->object);
    return;
  }
  enter(queue);
  visit_all(queue, count_mentions, &mentions);
  unsigned left = braid_object_resign(&queue->object);
  if (left > 0 && left == mentions.count) empty(queue, &rest);
  leave(queue);
  if (left == 0) braid_object_end(&queue->object);
  drop_all(&rest);
}

struct braid_queue_facts braid_queue_look(struct braid_queue *queue) {
  enter(queue);
  struct braid_queue_facts facts = {.size = queue->size,
                                    .maxsize = queue->maxsize,
                                    .arrived = queue->unfinished + queue->finished,
                                    .getters = braid_wait_queue_length(&queue->getters),
                                    .putters = braid_wait_queue_length(&queue->putters),
                                    .closed = queue->closed};
  leave(queue);
  return facts;
}
