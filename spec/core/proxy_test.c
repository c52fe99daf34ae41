/* SPDX-License-Identifier: MIT
 * Calls of proxies: their answers, their ends, and the locks that are held over there. */
#include "core/process/proxy.h"

#include "core/sync/counter.h"
#include "core/sync/primitives.h"
#include "caller.h"

static struct neighbours n;
static struct caller caller;

static struct braid_proxy *begin(struct braid_object *object, int far) {
  neighbours_open(&n);
  caller.n = &n;
  braid_object_share(object);
  struct braid_object *proxy = neighbours_send(&n, HOME, object);
  if (far) proxy = neighbours_send(&n, MIDDLE_FAR, proxy);
  check(proxy && braid_proxy_is(proxy));
  return braid_proxy_of(proxy);
}

static void end(struct braid_object *object) {
  neighbours_close(&n);
  check(atomic_load(&object->refs) == 1);
  braid_object_unref(object);
}

static struct braid_object *new_counter(void) { return &braid_counter_new(0)->object; }
static struct braid_primitive *new_lock(void) { return braid_primitive_new(&braid_lock_class, 0, 0); }

static void answers_come_to_their_calls(void) {
  enum { COUNT = 200 }; /* more than there are rows */
  static struct caller callers[COUNT];
  for (int far = 0; far < 2; far++) {
    struct braid_object *object = new_counter();
    struct braid_proxy *proxy = begin(object, far);
    struct braid_call call = {.number = 1};
    for (int i = 0; i < COUNT; i++) {
      callers[i] = (struct caller){.n = &n};
      check(braid_proxy_call(proxy, BRAID_COUNTER_ADD, &call, NULL, NULL, neighbours_arm(&n, &callers[i].waiter),
                             &callers[i].call) == BRAID_WAIT);
      check(!braid_proxy_answered(callers[i].call));
    }
    for (int i = 0; i < COUNT; i++)
      check(caller_look(&callers[i]) == BRAID_OK && callers[i].item.bits == (uint64_t)i + 1);
    end(object);
  }
}

static void calls_end_with_their_home(void) {
  for (int far = 0; far < 2; far++) {
    struct braid_primitive *event = braid_primitive_new(&braid_event_class, 0, 1);
    struct braid_proxy *proxy = begin(&event->object, far);
    check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
    neighbours_close_end(&n, HOME);
    neighbours_close_end(&n, MIDDLE_HOME);
    check(caller_look(&caller) == BRAID_GONE && atomic_load(&proxy->gone));
    check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_GONE && !caller.call);
    end(&event->object);
  }
}

/* The caller's wait has ended, and the home ends before it could answer. */
static void a_cancelled_call_ends_with_its_home(void) {
  struct braid_primitive *event = braid_primitive_new(&braid_event_class, 0, 1);
  struct braid_proxy *proxy = begin(&event->object, 0);
  check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
  check(braid_loop_end_wait(&n.io_thread.loop, &caller.waiter, BRAID_TIMEOUT));
  neighbours_settle(&n);
  neighbours_close_end(&n, HOME);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(!braid_proxy_cancel(caller.call, neighbours_arm(&n, &caller.waiter))); /* it is answered: by its end */
  caller.waiter.state = 1;
  check(caller_look(&caller) == BRAID_GONE);
  end(&event->object);
}

static void an_answer_may_come_first(void) {
  struct braid_primitive *event = braid_primitive_new(&braid_event_class, 0, 1);
  struct braid_proxy *proxy = begin(&event->object, 0);
  check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
  check(braid_loop_end_wait(&n.io_thread.loop, &caller.waiter, BRAID_TIMEOUT));
  braid_event_set(event, true);
  neighbours_settle(&n);
  check(braid_proxy_answered(caller.call));
  check(!braid_proxy_cancel(caller.call, neighbours_arm(&n, &caller.waiter)));
  caller.waiter.state = 1;
  check(caller_look(&caller) == BRAID_OK);
  end(&event->object);
}

/* Of two connections, each answers its own calls only; and nothing is answered twice. */
static void answers_of_others_end_the_connection(void) {
  for (int which = 0; which < 3; which++) {
    struct braid_primitive *event = braid_primitive_new(&braid_event_class, 0, 1);
    struct braid_proxy *proxy = begin(&event->object, 0);
    check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
    struct {
      struct braid_answer answer;
      struct braid_wire_item item;
    } body = {.item.tag = BRAID_ITEM_NONE};
    struct braid_frame frame = {.kind = BRAID_FRAME_ANSWER, .id = caller.call->number, .value = proxy->id};
    if (which == 1) frame.status = BRAID_WAIT; /* no outcome */
    int from = which == 0 ? FAR : HOME;
    neighbours_inject(&n, from, frame, &body, which == 2 ? 4 : sizeof body);
    check(n.connections[from ^ 1].fault != NULL && n.ended[from ^ 1]);
    if (which > 0) neighbours_close_end(&n, MIDDLE_HOME);
    if (which == 0) braid_event_set(event, true);
    check(caller_look(&caller) == (which == 0 ? BRAID_OK : BRAID_GONE));
    end(&event->object);
  }
}

static void an_item_that_was_not_asked_for_is_given_up(void) {
  struct braid_primitive *event = braid_primitive_new(&braid_event_class, 0, 1);
  struct braid_proxy *proxy = begin(&event->object, 0);
  check(caller_ask(&caller, proxy, BRAID_EVENT_WAIT, 0, 0) == BRAID_WAIT);
  struct braid_frame frame = {.kind = BRAID_FRAME_ANSWER, .id = caller.call->number, .value = proxy->id};
  struct braid_answer answer = {0};
  neighbours_inject_item(&n, HOME, frame, &answer, sizeof answer, &event->object);
  check(n.connections[MIDDLE_HOME].fault != NULL && n.ended[MIDDLE_HOME]);
  neighbours_close_end(&n, MIDDLE_HOME);
  check(caller_look(&caller) == BRAID_GONE && caller.item.tag == BRAID_ITEM_NONE);
  end(&event->object);
}

/* ---- locks ---------------------------------------------------------------------------------------------------- */

static void holds_are_kept(void) {
  struct braid_primitive *lock = new_lock();
  struct braid_proxy *proxy = begin(&lock->object, 0);
  check(!braid_proxy_holds(proxy, 1) && !braid_proxy_unhold(proxy, 1));
  check(braid_proxy_hold(proxy, 1) && braid_proxy_hold(proxy, 2) && braid_proxy_hold(proxy, 3));
  check(braid_proxy_holds(proxy, 1) && braid_proxy_holds(proxy, 2) && !braid_proxy_holds(proxy, 4));
  check(braid_proxy_unhold(proxy, 2) && !braid_proxy_unhold(proxy, 2));
  check(braid_proxy_holds(proxy, 1) && braid_proxy_holds(proxy, 3));
  check(braid_proxy_unhold(proxy, 3) && braid_proxy_unhold(proxy, 1));
  braid_proxy_abandon(1); /* of what is not there any more */
  end(&lock->object);
}

static void homes_hear_of_an_owner_that_ended(void) {
  struct braid_primitive *lock = new_lock(), *other = new_lock();
  struct braid_proxy *proxy = begin(&lock->object, 0);
  braid_object_share(&other->object);
  braid_object_ref(&proxy->object);
  struct braid_proxy *second = braid_proxy_of(neighbours_send(&n, HOME, &other->object));
  check(caller_ask(&caller, proxy, BRAID_LOCK_ACQUIRE, 5, 0) == BRAID_OK && braid_proxy_hold(proxy, 5));
  check(caller_ask(&caller, second, BRAID_LOCK_ACQUIRE, 5, 0) == BRAID_OK && braid_proxy_hold(second, 5));
  check(braid_proxy_hold(second, 6));
  braid_proxy_abandon(5);
  neighbours_settle(&n);
  check(braid_lock_owner(lock) == 0 && lock->orphaned && braid_lock_owner(other) == 0 && other->orphaned);
  check(!braid_proxy_holds(proxy, 5) && braid_proxy_holds(second, 6));
  braid_proxy_abandon(6); /* which does not hold it at home */
  braid_object_unref(&proxy->object);
  end(&lock->object);
  check(atomic_load(&other->object.refs) == 1);
  braid_object_unref(&other->object);
}

CHECK_MAIN({"proxy: answers come to their calls", answers_come_to_their_calls},
           {"proxy: calls end with their home", calls_end_with_their_home},
           {"proxy: a cancelled call ends with its home", a_cancelled_call_ends_with_its_home},
           {"proxy: an answer may come first", an_answer_may_come_first},
           {"proxy: answers of others end the connection", answers_of_others_end_the_connection},
           {"proxy: an item that was not asked for is given up", an_item_that_was_not_asked_for_is_given_up},
           {"proxy: holds are kept", holds_are_kept},
           {"proxy: homes hear of an owner that ended", homes_hear_of_an_owner_that_ended})
