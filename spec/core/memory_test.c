/* SPDX-License-Identifier: MIT
 * Every allocation fails once (see allocator.h). Each failure must be told, must change nothing, and must leave nothing
 * behind. One thread. */
#include <errno.h>

#include "core/inspect/wait_graph.h"
#include "core/memory/array.h"
#include "core/base/buffer.h"
#include "core/http/decoder.h"
#include "core/http/encoder.h"
#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/primitives.h"
#include "core/loop/choices.h"
#include "core/loop/loop.h"
#include "core/loop/priorities.h"
#include "core/sync/queue.h"
#include "core/work/thread_pool.h"
#include "kernels/histogram.h"
#include "kernels/map.h"
#include "kernels/matmul.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "kernels/sort.h"
#include "kernels/unique.h"
#include "kernels/factor.h"
#include "kernels/sieve.h"
#include "kernels/words.h"
#include "allocator.h"

/* ---- scenarios ------------------------------------------------------------------------------------------------ */

static bool fill_buffer(void) {
  struct braid_buffer buffer;
  bool through = true;
  size_t size = 0;
  braid_buffer_init(&buffer);
  for (int i = 0; i < 3000 && through; i++) {
    through = braid_buffer_append(&buffer, "abc", 3);
    if (through) size += 3;
    check(buffer.size == size);
  }
  for (size_t i = 0; i < size; i++) check(buffer.data[i] == "abc"[i % 3]);
  braid_buffer_term(&buffer);
  return through;
}

static bool fill_heap(void) {
  enum { COUNT = 1000 };
  static uint32_t places[COUNT];
  struct braid_heap heap;
  bool through = true;
  int pushed = 0;
  braid_heap_init(&heap);
  memset(places, 0, sizeof places);
  for (int i = 0; i < COUNT && through; i++) {
    through = braid_heap_push(&heap, COUNT - i, &places[i]);
    if (through) pushed++;
    check((places[i] != 0) == through);
  }
  for (int i = pushed; i > 0; i--) check(braid_heap_pop(&heap, INT64_MAX) == &places[i - 1]);
  check(braid_heap_pop(&heap, INT64_MAX) == NULL);
  braid_heap_term(&heap);
  return through;
}

static bool fill_deadlines(void) {
  enum { COUNT = 1000 };
  static uint32_t places[COUNT];
  struct braid_deadlines deadlines;
  bool through = true;
  uint32_t pushed = 0;
  braid_deadlines_init(&deadlines);
  memset(places, 0, sizeof places);
  for (int i = 0; i < COUNT && through; i++) {
    through = braid_deadlines_push(&deadlines, i, &places[i]);
    if (through) pushed++;
    check((places[i] != 0) == through);
  }
  for (uint32_t i = 0; i < pushed; i++) check(braid_deadlines_pop(&deadlines, INT64_MAX) == &places[i]);
  check(braid_deadlines_pop(&deadlines, INT64_MAX) == NULL);
  braid_deadlines_term(&deadlines);
  return through;
}

static bool send_message(void) {
  struct braid_counter *counter = braid_counter_new(1);
  if (!counter) return false;
  struct braid_object *object = &counter->object;
  struct braid_message *message = braid_message_new("bytes", 5, &object, 1);
  check(atomic_load(&object->refs) == (message ? 2 : 1));
  if (message) braid_message_unref(message);
  braid_object_unref(object);
  return message != NULL;
}

static bool make_arrays(void) {
  struct braid_array *small = braid_array_new(BRAID_F64, 10);
  struct braid_array *large = braid_array_new(BRAID_F64, 10000000);
  struct braid_array *slice = small ? braid_array_slice(small, 2, 3) : NULL;
  bool through = small && large && slice;
  if (slice) braid_object_unref(&slice->object);
  if (large) braid_object_unref(&large->object);
  if (small) braid_object_unref(&small->object);
  return through;
}

/* What kernels allocate for their own use. */
static bool compute(void) {
  enum { COUNT = 300000, SIDE = 20 };
  static double numbers[COUNT], others[COUNT];
  static int64_t places[COUNT];
  static struct braid_expression expression;
  struct braid_expression_error error;
  for (size_t i = 0; i < COUNT; i++) numbers[i] = (double)(i * 7919 % COUNT);
  struct braid_row row = {BRAID_F64, numbers, COUNT}, other = {BRAID_F64, others, COUNT};
  struct braid_row matrix = {BRAID_F64, numbers, SIDE * SIDE}, product = {BRAID_F64, others, SIDE * SIDE};
  struct braid_map_value value = {.row = row, .is_row = true};
  struct braid_reduced reduced;
  size_t found;
  check(braid_expression_parse(&expression, "2*x + 1", &error));
  enum braid_status status = braid_reduce(NULL, BRAID_REDUCE_SUM, &row, NULL, &reduced);
  if (!status) status = braid_scan(NULL, BRAID_SCAN_SUM, &row, &other);
  double edges[6];
  braid_histogram_edges(0, COUNT, 5, edges);
  if (!status) status = braid_histogram(NULL, &row, edges, 5, places);
  if (!status) status = braid_map(NULL, &expression, &value, &other);
  if (!status) status = braid_matmul(NULL, &matrix, &matrix, &product, SIDE, SIDE, SIDE);
  if (!status) status = braid_sort_order(NULL, &row, false, places);
  if (!status) status = braid_sort(NULL, &row, &other, false);
  if (!status) check(places[0] == 1 && others[COUNT - 1] == COUNT - 1);
  if (!status) status = braid_unique(NULL, &other, &row, NULL, &found);
  if (!status) check(found == COUNT && numbers[5] == 5);
  check(!status || status == BRAID_NO_MEMORY);
  return !status;
}

static bool fill_queue(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_PRIORITY);
  if (!queue) return false;
  enum braid_status status = BRAID_OK;
  uint64_t put = 0;
  while (put < 200 && status == BRAID_OK) {
    struct braid_item item = {.bits = put, .tag = BRAID_ITEM_INTEGER};
    status = braid_queue_put(queue, item, (double)put, NULL);
    put += status == BRAID_OK;
  }
  check(status == BRAID_OK || status == BRAID_NO_MEMORY);
  check(braid_queue_look(queue).size == put);
  for (uint64_t i = 0; i < put; i++) {
    struct braid_item item;
    check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == i);
    check(braid_queue_task_done(queue) == BRAID_OK);
  }
  check(braid_queue_task_done(queue) == BRAID_MISUSE); /* what was refused is not waited for */
  braid_object_unref(&queue->object);
  return status == BRAID_OK;
}

static bool fill_dict(void) {
  struct braid_dict *dict = braid_dict_new();
  if (!dict) return false;
  enum braid_status status = BRAID_OK;
  size_t count = 0;
  for (int64_t i = 0; i < 50 && !status; i++) {
    char name[20];
    struct braid_key key = {.bits = (uint64_t)snprintf(name, sizeof name, "name %d", (int)i), .bytes = name};
    status = braid_dict_set(dict, &key, (struct braid_item){(uint64_t)i, BRAID_ITEM_INTEGER}, 0);
    count += !status;
  }
  check(status == BRAID_OK || status == BRAID_NO_MEMORY);
  check(braid_dict_size(dict) == count);
  struct braid_buffer keys;
  braid_buffer_init(&keys);
  bool listed = braid_dict_keys(dict, &keys);
  braid_buffer_term(&keys);
  braid_object_unref(&dict->object);
  return !status && listed;
}

/* As another process's items are handled: places, leases, and what comes back. */
static bool lend_items(void) {
  struct braid_queue *queue = braid_queue_new(0, BRAID_PRIORITY);
  if (!queue) return false;
  struct braid_queue_cell cells[100];
  bool through = true;
  size_t kept = braid_queue_reserve(queue, 100), put = 0;
  check(kept == 100);
  for (uint64_t i = 0; i < 100; i++)
    cells[i] = (struct braid_queue_cell){.item = {i, BRAID_ITEM_INTEGER}, .key = (double)i};
  for (size_t i = 0; i < 100 && put == i; i += 10) put += braid_queue_put_reserved(queue, cells + i, 10);
  braid_queue_unreserve(queue, 100);
  check(queue->reserved == 0 && braid_queue_look(queue).size == put);
  through = put == 100;
  size_t lent = braid_queue_lease(queue, cells, 100);
  check(lent == put && queue->leased == put);
  braid_queue_put_back(queue, cells, lent);
  check(queue->leased == 0 && braid_queue_look(queue).size == put);
  struct braid_item item;
  for (uint64_t i = 0; i < put && through; i++)
    check(braid_queue_get(queue, &item, NULL) == BRAID_OK && item.bits == i);
  braid_object_unref(&queue->object);
  return through;
}

/* Without a thread: what is not started needs none. */
static bool make_lone_pool(void) {
  struct braid_thread_pool *pool = braid_thread_pool_lone(NULL, NULL, NULL);
  if (!pool) return false;
  struct braid_message *call = braid_message_new("", 0, NULL, 0);
  struct braid_job *job = call ? braid_job_new(call, NULL) : NULL;
  if (!job && call) braid_message_unref(call);
  bool through = job && pool->pool.kind->submit(&pool->pool, job) == BRAID_OK;
  if (through)
    pool->pool.kind->close(&pool->pool, true);
  else if (job)
    braid_job_unref(job);
  if (job) braid_job_unref(job);
  pool->pool.alive = 0; /* its worker never ran */
  braid_object_unref(&pool->pool.object);
  braid_object_unref(&pool->pool.object);
  return through;
}

static bool make_primitive(void) {
  struct braid_primitive *primitive = braid_primitive_new(&braid_lock_class, 0, 0);
  if (primitive) braid_object_unref(&primitive->object);
  return primitive != NULL;
}

static void never_fires(struct braid_watch *watch, int events) {
  (void)watch;
  (void)events;
  check(false);
}

static void strikes(struct braid_alarm *alarm) { alarm->fire = NULL; }

static bool turn_loop(void) {
  static struct braid_waiter waiters[100];
  struct braid_loop loop;
  struct braid_watch watch = {.fire = never_fires};
  struct braid_alarm alarm = {.fire = strikes};
  int ends[2], asleep = 0;
  if (pipe(ends) || braid_loop_open(&loop)) abort(); /* a loop is opened without memory */
  int error = braid_watch_start(&loop, &watch, ends[0], BRAID_READ);
  check(error == 0 || error == ENOMEM);
  check(loop.watch_count == (error ? 0 : 1));
  bool through = !error && braid_alarm_start(&loop, &alarm, 1);
  for (int i = 0; i < 100 && through; i++) {
    braid_waiter_init(&waiters[i], &loop, BRAID_WAITER_TASK);
    braid_waiter_arm(&waiters[i]);
    through = braid_loop_sleep(&loop, &waiters[i], 1);
    if (through) asleep++;
  }
  braid_loop_poll(&loop, 0);
  check(!through || alarm.fire == NULL);
  for (int i = 0; i < asleep; i++) check(braid_loop_next(&loop) != NULL);
  check(braid_loop_next(&loop) == NULL);
  braid_watch_stop(&loop, &watch);
  braid_loop_close(&loop);
  close(ends[0]);
  close(ends[1]);
  return through;
}

static bool factor_numbers(void) {
  enum { COUNT = 100, GRAIN = 10 };
  uint64_t numbers[COUNT], *rows[COUNT / GRAIN] = {0};
  uint8_t counts[COUNT];
  struct braid_factor_list list = {.numbers = numbers, .count = COUNT, .grain = GRAIN, .counts = counts, .rows = rows};
  for (unsigned i = 0; i < COUNT; i++) numbers[i] = UINT64_C(1) << (i % 64);
  braid_factor_run(NULL, &list);
  for (unsigned i = 0; i < COUNT && !list.out_of_memory; i++) check(counts[i] == i % 64);
  for (unsigned i = 0; i < COUNT / GRAIN; i++) free(rows[i]);
  return !list.out_of_memory;
}

static bool sieve_primes(void) {
  enum { LIMIT = 1000, CHUNKS = 1 };
  int64_t counts[CHUNKS] = {0};
  struct braid_sieve sieve = {.limit = LIMIT, .counts = counts};
  check(braid_sieve_chunks(LIMIT) == CHUNKS);
  braid_sieve_run(NULL, &sieve);
  check(sieve.out_of_memory || counts[0] == 168);
  return !sieve.out_of_memory;
}

static bool count_words(void) {
  char text[40 * 1000];
  struct braid_words table = {0};
  int error = 0;
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i % 8 == 7 ? ' ' : 'a' + i / 8 / (i % 8 + 1) % 26);
  struct braid_text whole = {text, sizeof text};
  struct braid_words_list list = {.texts = &whole, .count = 1, .errors = &error, .tables = &table, .seats = 1};
  braid_words_run(NULL, &list);
  check(list.out_of_memory || table.total == sizeof text / 8);
  braid_words_free(&table);
  return !list.out_of_memory;
}

/* A hundred tasks that wait for each other in a ring. Without memory less is told, and no deadlock is found. */
static bool find_deadlock(void) {
  enum { TASKS = 100, FIRST = 8 };
  struct braid_buffer list;
  size_t count;
  braid_buffer_init(&list);
  braid_wait_record_add(&list, (struct braid_wait_record){.kind = BRAID_WAIT_PROCESS, .who = 1, .count = 1});
  braid_wait_record_add(&list, (struct braid_wait_record){.kind = BRAID_WAIT_STATE, .who = 1});
  for (uint64_t i = 0; i < TASKS; i++) {
    uint64_t task = FIRST + 8 * i, next = FIRST + 8 * ((i + 1) % TASKS);
    braid_wait_record_add(&list, (struct braid_wait_record){.kind = BRAID_WAIT_TASK, .who = task, .what = 1});
    braid_wait_record_add(&list, (struct braid_wait_record){.kind = BRAID_WAIT_FOR_TASK, .who = task, .what = next});
  }
  bool complete = list.size == (2 + 2 * TASKS) * sizeof(struct braid_wait_record);
  free(braid_wait_graph_find(&list, &list, &count));
  braid_buffer_term(&list);
  check(count == 0 || count == TASKS);
  return complete && count == TASKS;
}

static void buffer_survives(void) { fail_each_once(fill_buffer); }
static void heap_survives(void) { fail_each_once(fill_heap); }
static bool fill_choices(void) {
  enum { COUNT = 1000 };
  static char owners[COUNT];
  struct braid_choices choices;
  struct braid_priorities priorities;
  braid_choices_init(&choices);
  braid_priorities_init(&priorities);
  braid_choices_seed(&choices, 1);
  for (int i = 0; i < COUNT; i++) {
    check(braid_choices_make(&choices, 3) < 3);
    check(braid_priorities_rank(&priorities, &owners[i], 1) > priorities.lowest);
  }
  bool through = !choices.incomplete && priorities.count == COUNT;
  braid_choices_term(&choices);
  braid_priorities_term(&priorities);
  return through;
}

enum { TEXT = 100000 };

static bool compress(const char *name, const char *text, struct braid_buffer *out) {
  struct braid_encoder *encoder = braid_encoder_open(name, 0);
  if (!encoder) return false;
  bool done = braid_encoder_run(encoder, text, TEXT / 2, BRAID_ENCODER_FLUSH, out) &&
              braid_encoder_run(encoder, text + TEXT / 2, TEXT / 2, BRAID_ENCODER_FINISH, out);
  braid_encoder_close(encoder);
  return done;
}

static bool decompress(const char *name, const struct braid_buffer *in, struct braid_buffer *out) {
  const char *problem;
  struct braid_decoder *decoder = braid_decoder_open(name, strlen(name), &problem);
  if (!decoder) return false;
  bool done = braid_decoder_feed(decoder, in->data, in->size) && !braid_decoder_pull(decoder, out, TEXT + 1) &&
              braid_decoder_complete(decoder);
  braid_decoder_close(decoder);
  return done;
}

static bool code_text(void) {
  static const char *const names[] = {"gzip", "br", "zstd"};
  static char text[TEXT];
  for (size_t i = 0; i < TEXT; i++) text[i] = (char)('a' + i * i % 1009 % 26);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct braid_buffer small = {0}, plain = {0};
    if (!strstr(braid_encoder_names(), names[i])) continue;
    bool through = compress(names[i], text, &small) && decompress(names[i], &small, &plain);
    if (through) check(plain.size == TEXT && memcmp(plain.data, text, TEXT) == 0);
    braid_buffer_term(&small);
    braid_buffer_term(&plain);
    if (!through) return false;
  }
  return true;
}

/* Whether zlib, brotli and zstd are here is found out once, in memory that stays. With musl none is. */
static void codings_survive(void) {
  bool here = *braid_encoder_names() && *braid_coding_names();
  memory.living = 0;
  if (here) fail_each_once(code_text);
}
static void choices_survive(void) { fail_each_once(fill_choices); }
static void deadlines_survive(void) { fail_each_once(fill_deadlines); }
static void message_survives(void) { fail_each_once(send_message); }
static void queue_survives(void) { fail_each_once(fill_queue); }
/* A segment is kept for the arrays to come: it does not count. */
static void array_survives(void) {
  struct braid_array *first = braid_array_new(BRAID_F64, 10);
  if (first) braid_object_unref(&first->object);
  memory.living = 0;
  fail_each_once(make_arrays);
}
static void kernels_survive(void) { fail_each_once(compute); }
static void primitive_survives(void) { fail_each_once(make_primitive); }
static void loop_survives(void) { fail_each_once(turn_loop); }
static void factor_survives(void) { fail_each_once(factor_numbers); }
static void sieve_survives(void) { fail_each_once(sieve_primes); }
static void words_survive(void) { fail_each_once(count_words); }
static void dict_survives(void) { fail_each_once(fill_dict); }
static void loans_survive(void) { fail_each_once(lend_items); }
static void pool_survives(void) { fail_each_once(make_lone_pool); }
static void waits_survive(void) { fail_each_once(find_deadlock); }

CHECK_MAIN({"memory is out: buffer", buffer_survives}, {"memory is out: heap", heap_survives},
           {"memory is out: deadlines", deadlines_survive}, {"memory is out: choices", choices_survive},
           {"memory is out: message", message_survives}, {"memory is out: queue", queue_survives},
           {"memory is out: array", array_survives}, {"memory is out: kernels", kernels_survive},
           {"memory is out: primitive", primitive_survives}, {"memory is out: loop", loop_survives},
           {"memory is out: factor", factor_survives}, {"memory is out: sieve", sieve_survives},
           {"memory is out: words", words_survive}, {"memory is out: dict", dict_survives},
           {"memory is out: what a queue lends", loans_survive}, {"memory is out: a pool of threads", pool_survives},
           {"memory is out: codings", codings_survive}, {"memory is out: a graph of waits", waits_survive})
