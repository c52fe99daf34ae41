/* SPDX-License-Identifier: MIT
 * How objects cross: each kind there, on to the next process, and home again; and what other processes say of them. */
#include "core/process/marshal.h"

#include "core/sync/counter.h"
#include "core/sync/dict.h"
#include "core/sync/primitives.h"
#include "core/work/pool.h"
#include "neighbours.h"

static struct neighbours n;

static unsigned refs(const struct braid_object *object) { return atomic_load(&object->refs); }

static void end(struct braid_object *object) {
  neighbours_close(&n);
  check(refs(object) == 1);
  braid_object_unref(object);
}

static struct braid_object *new_of(enum braid_proxy_kind kind) {
  struct braid_primitive *lock;
  struct braid_object *object = NULL;
  switch (kind) {
    case BRAID_PROXY_QUEUE: object = &braid_queue_new(3, BRAID_LIFO)->object; break;
    case BRAID_PROXY_LOCK: object = &braid_primitive_new(&braid_lock_class, 0, 0)->object; break;
    case BRAID_PROXY_SEMAPHORE: object = &braid_primitive_new(&braid_semaphore_class, 1, 1)->object; break;
    case BRAID_PROXY_EVENT: object = &braid_primitive_new(&braid_event_class, 0, 1)->object; break;
    case BRAID_PROXY_BARRIER: object = &braid_primitive_new(&braid_barrier_class, 0, 2)->object; break;
    case BRAID_PROXY_COUNTER: object = &braid_counter_new(0)->object; break;
    case BRAID_PROXY_DICT: object = &braid_dict_new()->object; break;
    default:
      lock = braid_primitive_new(&braid_lock_class, 0, 0);
      braid_object_share(&lock->object);
      object = &braid_condition_new(lock)->object;
      braid_object_unref(&lock->object);
  }
  braid_object_share(object);
  return object;
}

/* ---- objects with a home -------------------------------------------------------------------------------------- */

static void every_kind_goes_on_and_comes_home(void) {
  for (unsigned kind = 0; kind < BRAID_PROXY_KINDS; kind++) {
    neighbours_open(&n);
    struct braid_object *object = new_of((enum braid_proxy_kind)kind);
    check(!braid_marshal_refuse(object));
    struct braid_object *middle = neighbours_send(&n, HOME, object);
    check(middle && braid_proxy_is(middle) && braid_proxy_of(middle)->kind == kind);
    check(!braid_marshal_refuse(middle));
    struct braid_object *far = neighbours_send(&n, MIDDLE_FAR, middle);
    check(far && far != middle && braid_proxy_is(far) && braid_proxy_of(far)->kind == kind);
    bool has_lock = kind == BRAID_PROXY_CONDITION || kind == BRAID_PROXY_DICT;
    check((braid_proxy_of(far)->lock != NULL) == has_lock);
    if (kind == BRAID_PROXY_QUEUE) {
      const struct braid_proxy_queue *queue = braid_proxy_of(far)->queue;
      check(queue->maxsize == 3 && queue->order == BRAID_LIFO);
    }
    check(neighbours_send(&n, FAR, far) == middle);
    check(neighbours_send(&n, MIDDLE_HOME, middle) == object);
    end(object);
  }
}

static void a_lock_is_the_same_with_and_without_its_condition(void) {
  neighbours_open(&n);
  struct braid_object *condition = new_of(BRAID_PROXY_CONDITION);
  struct braid_primitive *lock = braid_container(condition, struct braid_primitive, object)->lock;
  struct braid_object *proxy = neighbours_send(&n, HOME, &lock->object);
  braid_object_ref(proxy);
  for (int i = 0; i < 2; i++) {
    struct braid_object *came = neighbours_send(&n, HOME, condition);
    check(&braid_proxy_of(came)->lock->object == proxy);
  }
  braid_object_unref(proxy);
  end(condition);
}

static void what_is_gone_goes_on_as_gone(void) {
  neighbours_open(&n);
  struct braid_object *object = new_of(BRAID_PROXY_EVENT);
  struct braid_object *proxy = neighbours_send(&n, HOME, object);
  neighbours_close_end(&n, HOME);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(atomic_load(&braid_proxy_of(proxy)->gone));
  struct braid_object *far = neighbours_send(&n, MIDDLE_FAR, proxy);
  check(far && atomic_load(&braid_proxy_of(far)->gone));
  end(object);
}

static void who_has_it_hears_that_it_is_gone(void) {
  neighbours_open(&n);
  struct braid_object *object = new_of(BRAID_PROXY_EVENT), *array = &braid_array_new(BRAID_F64, 5)->object;
  braid_object_share(array);
  struct braid_object *far = neighbours_send(&n, MIDDLE_FAR, neighbours_send(&n, HOME, object));
  braid_object_ref(far);
  struct braid_object *copy = neighbours_send(&n, MIDDLE_FAR, neighbours_send(&n, HOME, array));
  neighbours_close_end(&n, HOME);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(atomic_load(&braid_proxy_of(far)->gone));
  ((double *)braid_container(copy, struct braid_array, object)->data)[4] = 1; /* memory stays */
  neighbours_inject(&n, MIDDLE_FAR, (struct braid_frame){.kind = BRAID_FRAME_GONE, .value = 999}, NULL, 0);
  check(!n.ended[FAR]);
  braid_object_unref(far);
  end(object);
  check(refs(array) == 1);
  braid_object_unref(array);
}

/* ---- objects without one -------------------------------------------------------------------------------------- */

static void others_stay(void) {
  static const struct braid_class class = {"braid.thing", NULL};
  struct braid_object thing, *mentioned[2];
  const struct braid_object *which = NULL;
  braid_object_init(&thing, &class);
  check(braid_marshal_refuse(&thing) != NULL);
  struct braid_object *event = new_of(BRAID_PROXY_EVENT);
  mentioned[0] = event;
  mentioned[1] = &thing;
  struct braid_message *message = braid_message_new("", 0, mentioned, 2);
  check(braid_marshal_refuse_message(message, &which) != NULL && which == &thing);
  braid_message_unref(message);
  braid_object_unref(event);
}

static void of_a_pool_nothing_travels(void) {
  neighbours_open(&n);
  struct braid_pool *pool = braid_pool_elsewhere();
  struct braid_object *there = neighbours_send(&n, HOME, &pool->object);
  check(there && there != &pool->object && braid_pool_is_elsewhere(braid_container(there, struct braid_pool, object)));
  struct braid_waiter waiter;
  struct braid_message *nothing = braid_message_new("", 0, NULL, 0);
  struct braid_job *job = braid_job_new(nothing, NULL);
  check(pool->kind->submit(pool, job) == BRAID_CLOSED && !pool->kind->cancel(pool, job));
  pool->kind->close(pool, true);
  pool->kind->stop(pool);
  check(pool->kind->queued(pool) == 0 && braid_pool_join(pool, neighbours_arm(&n, &waiter)) == BRAID_OK);
  braid_job_unref(job);
  braid_job_unref(job);
  neighbours_close(&n);
  braid_object_unref(&pool->object);
}

/* ---- arrays --------------------------------------------------------------------------------------------------- */

static struct braid_array *array_of(struct braid_object *object) {
  check(object && object->class == &braid_array_class);
  return braid_container(object, struct braid_array, object);
}

static void arrays_and_slices_come_home(void) {
  neighbours_open(&n);
  struct braid_array *array = braid_array_new(BRAID_I32, 1000);
  braid_object_share(&array->object);
  ((int32_t *)array->data)[500] = 7;
  struct braid_array *there = array_of(neighbours_send(&n, HOME, &array->object));
  check(there != array && there->length == 1000 && ((int32_t *)there->data)[500] == 7);
  check(array_of(neighbours_send(&n, HOME, &array->object)) == there); /* the same once more */
  struct braid_array *slice = braid_array_slice(there, 500, 10);
  braid_object_share(&slice->object);
  struct braid_array *home = array_of(neighbours_send(&n, MIDDLE_HOME, &slice->object));
  check(home->whole == array && home->length == 10 && ((int32_t *)home->data)[0] == 7);
  check(neighbours_send(&n, MIDDLE_HOME, &there->object) == &array->object);
  struct braid_array *far = array_of(neighbours_send(&n, MIDDLE_FAR, &slice->object));
  check(far->length == 10 && ((int32_t *)far->data)[0] == 7);
  braid_object_unref(&slice->object);
  end(&array->object);
}

/* What the end that has gone had beside its array goes back to the system. */
static void memory_of_the_dead_is_trimmed(void) {
  neighbours_open(&n);
  struct braid_array *arrays[100];
  struct braid_object *kept[100];
  for (int i = 0; i < 100; i++) {
    arrays[i] = braid_array_new(BRAID_F64, 1000);
    braid_object_share(&arrays[i]->object);
    ((double *)arrays[i]->data)[999] = i;
    kept[i] = neighbours_send(&n, HOME, &arrays[i]->object);
    braid_object_ref(kept[i]);
  }
  for (int i = 0; i < 100; i += 2) braid_object_unref(kept[i]);
  neighbours_settle(&n);
  neighbours_close_end(&n, HOME);
  neighbours_close_end(&n, MIDDLE_HOME);
  for (int i = 1; i < 100; i += 2) {
    check(((double *)array_of(kept[i])->data)[999] == i);
    braid_object_unref(kept[i]);
  }
  neighbours_close(&n);
  for (int i = 0; i < 100; i++) {
    check(refs(&arrays[i]->object) == 1);
    braid_object_unref(&arrays[i]->object);
  }
}

/* ---- what is not so ------------------------------------------------------------------------------------------- */

enum { YOURS = 1, GONE = 2, PART = 4 };

/* As a message mentions it: see connection.c. */
static void mention(int from, struct braid_wire_object wire, const char *name) {
  struct {
    uint64_t size, mentions;
    uint32_t what, place, upvalues;
    uint64_t code;
    struct braid_wire_object wire;
  } body = {.mentions = 1, .what = 3, .wire = wire};
  neighbours_inject(&n, from, (struct braid_frame){.kind = BRAID_FRAME_JOB, .has_message = 1}, &body, sizeof body);
  if (!n.ended[from ^ 1]) printf("# %s\n", name);
  check(n.connections[from ^ 1].fault != NULL && n.ended[from ^ 1]);
}

/* Said to the home of an array and of an event, and to who has got them. */
static void lies_end_the_connection(void) {
  static const struct {
    const char *name;
    int from;
    bool of_array;
    struct braid_wire_object wire;
  } lies[] = {
      {"an object of ours that is not known", MIDDLE_HOME, false, {.id = 99, .flags = YOURS}},
      {"a slice of what is not known", MIDDLE_HOME, false, {.id = 99, .flags = YOURS | PART}},
      {"a slice of an event", MIDDLE_HOME, false, {.id = 1, .flags = YOURS | PART, .more = {1, 0}}},
      {"a slice beyond the array", MIDDLE_HOME, true, {.id = 1, .flags = YOURS | PART, .more = {11, 0}}},
      {"a slice between elements", MIDDLE_HOME, true, {.id = 1, .flags = YOURS | PART, .more = {1, 3}}},
      {"an array that is an event", HOME, false, {.id = 1, .class = BRAID_PROXY_ARRAY}},
      {"an event that is an array", HOME, true, {.id = 1, .class = BRAID_PROXY_EVENT}},
      {"an event that is a lock", HOME, false, {.id = 1, .class = BRAID_PROXY_LOCK}},
      {"a condition without a lock", HOME, false, {.id = 5, .class = BRAID_PROXY_CONDITION, .value = 1}},
      {"a dict whose lock is an array", HOME, true, {.id = 5, .class = BRAID_PROXY_DICT, .value = 1}},
      {"an array whose memory was never sent", HOME, false, {.id = 5, .class = BRAID_PROXY_ARRAY, .value = 123}},
      {"an array without memory", HOME, false, {.id = 5, .class = BRAID_PROXY_ARRAY}},
      {"a queue of no order", HOME, false, {.id = 5, .class = BRAID_PROXY_QUEUE, .more = {3, 0}}},
      {"a class that there is not", HOME, false, {.id = 5, .class = 200}},
      {"a lock with a type", HOME, false, {.id = 5, .class = 1 << 8 | BRAID_PROXY_LOCK}},
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    neighbours_open(&n);
    struct braid_object *object =
        lies[i].of_array ? &braid_array_new(BRAID_F64, 10)->object : new_of(BRAID_PROXY_EVENT);
    braid_object_share(object);
    check(neighbours_send(&n, HOME, object) != NULL);
    mention(lies[i].from, lies[i].wire, lies[i].name);
    end(object);
  }
}

CHECK_MAIN({"marshal: every kind goes on, and comes home", every_kind_goes_on_and_comes_home},
           {"marshal: a lock is the same without its condition", a_lock_is_the_same_with_and_without_its_condition},
           {"marshal: what is gone goes on as gone", what_is_gone_goes_on_as_gone},
           {"marshal: who has it hears that it is gone", who_has_it_hears_that_it_is_gone},
           {"marshal: other objects stay", others_stay},
           {"marshal: of a pool nothing travels", of_a_pool_nothing_travels},
           {"marshal: arrays and slices come home", arrays_and_slices_come_home},
           {"marshal: memory of the dead is trimmed", memory_of_the_dead_is_trimmed},
           {"marshal: lies end the connection", lies_end_the_connection})
