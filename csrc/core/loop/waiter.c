/* SPDX-License-Identifier: MIT
 * Claims and lines. The invariant: a hook that stands in a line is removed only under that line's guard, and a
 * waiter's memory outlives its hooks' places in lines; so whoever holds the guard may touch the waiter. */
#include "core/loop/waiter.h"

static void set_line(struct braid_hook *hook, struct braid_line *line) {
  atomic_store_explicit(&hook->line, line, memory_order_relaxed);
}

void braid_line_init(struct braid_line *line, struct braid_guard *guard) {
  braid_list_init(&line->hooks);
  line->guard = guard;
}

void braid_waiter_init(struct braid_waiter *waiter, struct braid_loop *home, enum braid_waiter_kind kind) {
  *waiter = (struct braid_waiter){.home = home, .kind = (uint8_t)kind};
  braid_hook_init(&waiter->hook, 0);
  atomic_init(&waiter->claimed, 1);
}

bool braid_waiter_claim(struct braid_waiter *waiter, enum braid_status status) {
  unsigned char expected = 0;
  if (!atomic_compare_exchange_strong_explicit(&waiter->claimed, &expected, 1, memory_order_acq_rel,
                                               memory_order_acquire))
    return false;
  waiter->status = (uint8_t)status;
  return true;
}

void braid_hook_init(struct braid_hook *hook, uint16_t position) {
  *hook = (struct braid_hook){.position = position};
  braid_list_init(&hook->link);
}

void braid_hook_join(struct braid_hook *hook, struct braid_line *line) {
  set_line(hook, line);
  braid_list_push(&line->hooks, &hook->link);
}

void braid_hook_leave(struct braid_hook *hook) {
  struct braid_line *line = atomic_load_explicit(&hook->line, memory_order_relaxed);
  if (!line) return;
  set_line(hook, NULL);
  if (line->guard) braid_guard_enter(line->guard);
  if (!braid_list_empty(&hook->link)) braid_list_remove(&hook->link);
  if (line->guard) braid_guard_leave(line->guard);
}

struct braid_waiter *braid_hook_waiter(struct braid_hook *hook) {
  if (hook->position == 0) return braid_container(hook, struct braid_waiter, hook);
  return braid_container(hook, struct braid_case, hook)->waiter;
}

struct braid_hook *braid_line_claim(struct braid_line *line, enum braid_status status) {
  struct braid_list *link;
  while ((link = braid_list_pop(&line->hooks))) {
    struct braid_hook *hook = braid_container(link, struct braid_hook, link);
    if (!braid_waiter_claim(braid_hook_waiter(hook), status)) {
      if (!line->guard)
        set_line(hook, NULL); /* such a line may end before the waiter, which another case woke, is home */
      continue;
    }
    hook->chosen = 1;
    set_line(hook, NULL); /* out of it: leaving need not look again */
    return hook;
  }
  return NULL;
}

void braid_line_dissolve(struct braid_line *line) {
  struct braid_list *link;
  while ((link = braid_list_pop(&line->hooks))) set_line(braid_container(link, struct braid_hook, link), NULL);
}

void braid_line_claim_all(struct braid_line *line, enum braid_status status, struct braid_road *road) {
  struct braid_hook *hook;
  while ((hook = braid_line_claim(line, status))) braid_road_push(road, braid_hook_waiter(hook));
}
