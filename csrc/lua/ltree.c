/* SPDX-License-Identifier: MIT
 * A task's scopes form a chain from task->scope up to, but without, its nursery. Whether a task is cancelled is not
 * stored but seen by looking up this chain and on through the owners of its nurseries: a cancel, its end and a shield
 * are then one flag each, and nothing can go out of date. */
#include "ltree.h"

#include <string.h>

void tree_init(struct tree *tree, struct braid_loop *loop) {
  memset(tree, 0, sizeof *tree);
  tree->loop = loop;
  braid_waiter_init(&tree->script.waiter, loop, BRAID_WAITER_TASK);
  tree->script.waiter.state = FUTURE_RUNNING;
  braid_list_init(&tree->script.sibling);
  tree_enter(tree, &tree->root, &tree->script, SCOPE_NURSERY);
}

const void *tree_canceller(const struct tree *tree, const struct task *task) {
  if (tree->cancels == 0) return NULL;
  const struct scope *scope = task->scope;
  for (;;) {
    for (; scope != task->nursery; scope = scope->outer) {
      if (scope->flags & SCOPE_CANCELLED) return scope;
      if (scope->flags & SCOPE_SHIELD) return NULL;
    }
    if (task->waiter.flags & TASK_CANCELLED) return task;
    if (!scope) return NULL;
    task = scope->owner;
  }
}

void tree_enter(struct tree *tree, struct scope *scope, struct task *owner, unsigned flags) {
  *scope = (struct scope){.outer = owner->scope, .owner = owner, .tree = tree, .flags = flags};
  braid_list_init(&scope->children);
  braid_line_init(&scope->ended, NULL);
  owner->scope = scope;
}

/* A child that its scope does not wait for, because the scope's owner cannot: it is cancelled, and goes to the nearest
 * nursery outside. */
static void give_away(struct tree *tree, struct task *child, struct scope *to) {
  struct scope **at = &child->scope;
  while (*at != child->nursery) at = &(*at)->outer;
  braid_list_remove(&child->sibling);
  *at = child->nursery = to;
  braid_list_push(&to->children, &child->sibling);
  if (!(child->waiter.flags & TASK_DAEMON)) to->alive++;
  child->waiter.flags &= ~(uint32_t)TASK_LINKED;
  tree_cancel_task(tree, child, 0);
}

void tree_leave(struct scope *scope) {
  if (scope->flags & SCOPE_ENDED) return;
  struct scope *outside = scope->outer;
  while (outside && !(outside->flags & SCOPE_NURSERY)) outside = outside->outer;
  while (!braid_list_empty(&scope->children))
    give_away(scope->tree, braid_container(scope->children.next, struct task, sibling), outside);
  struct scope **at = &scope->owner->scope;
  while (*at && *at != scope) at = &(*at)->outer;
  if (*at) *at = scope->outer;
  if (scope->flags & SCOPE_CANCELLED) scope->tree->cancels--;
  scope->flags = (scope->flags & ~(unsigned)SCOPE_CANCELLED) | SCOPE_ENDED;
  braid_alarm_stop(scope->tree->loop, &scope->alarm);
}

struct scope *tree_nursery(const struct task *task) {
  struct scope *scope = task->scope;
  while (!(scope->flags & SCOPE_NURSERY)) scope = scope->outer;
  return scope;
}

void tree_adopt(struct scope *scope, struct task *task) {
  task->nursery = task->scope = scope;
  braid_list_push(&scope->children, &task->sibling);
  scope->alive++;
}

void tree_start(struct tree *tree, struct task *task) {
  if (!(task->waiter.flags & TASK_HELD)) return;
  task->waiter.flags &= ~(uint32_t)TASK_HELD;
  braid_road_push(&tree->loop->ready, &task->waiter);
}

static void let_owner_go(struct scope *scope) {
  if (scope->alive > 0) return;
  struct braid_road woken = {0};
  braid_line_claim_all(&scope->ended, BRAID_OK, &woken);
  braid_loop_post_all(&woken);
}

void tree_set_daemon(struct task *task) {
  if (task->waiter.flags & TASK_DAEMON || task->waiter.state >= FUTURE_DONE) return;
  task->waiter.flags |= TASK_DAEMON;
  task->nursery->alive--;
  let_owner_go(task->nursery);
}

void tree_release(struct tree *tree, struct task *task) {
  struct scope *scope = task->nursery;
  while (task->scope != scope) tree_leave(task->scope); /* entered by hand, and never left */
  braid_list_remove(&task->sibling);
  if (!(task->waiter.flags & TASK_DAEMON)) scope->alive--;
  if (task->waiter.flags & TASK_CANCELLED) tree->cancels--;
  let_owner_go(scope);
}

/* ---- cancels -------------------------------------------------------------------------------------------------- */

static void interrupt(struct task *task, void *context) {
  struct tree *tree = context;
  if (!(task->waiter.flags & TASK_HELD) && (task->waiter.flags & (TASK_PARKED | TASK_MASKED)) != TASK_PARKED) return;
  if (!tree_canceller(tree, task)) return;
  if (task->waiter.flags & TASK_HELD)
    tree_start(tree, task); /* to end it */
  else
    braid_loop_end_wait(tree->loop, &task->waiter, BRAID_CANCELLED);
}

static void walk_task(struct task *task, void (*visit)(struct task *, void *), void *context) {
  visit(task, context);
  for (struct scope *scope = task->scope; scope != task->nursery; scope = scope->outer)
    tree_walk(scope, visit, context);
}

/* Without recursion: scopes may be nested deeper than the C stack is. */
void tree_walk(struct scope *top, void (*visit)(struct task *, void *), void *context) {
  struct scope *scope = top;
  struct braid_list *at = scope->children.next;
  for (;;) {
    if (at != &scope->children) {
      struct task *task = braid_container(at, struct task, sibling);
      visit(task, context);
      bool childless = task->scope == task->nursery;
      if (!childless) scope = task->scope;
      at = childless ? at->next : scope->children.next;
    } else if (scope == top) {
      return;
    } else { /* to the owner's next scope outward, or to the owner's next sibling */
      struct task *owner = scope->owner;
      scope = scope->outer;
      at = scope == owner->nursery ? owner->sibling.next : scope->children.next;
    }
  }
}

void tree_cancel_scope(struct scope *scope) {
  if (scope->flags & (SCOPE_CANCELLED | SCOPE_ENDED)) return;
  scope->flags |= SCOPE_CANCELLED;
  scope->tree->cancels++;
  interrupt(scope->owner, scope->tree);
  tree_walk(scope, interrupt, scope->tree);
  /* Scopes that the owner has entered since stand inside this one. */
  for (struct scope *inner = scope->owner->scope; inner && inner != scope; inner = inner->outer)
    tree_walk(inner, interrupt, scope->tree);
}

void tree_cancel_task(struct tree *tree, struct task *task, unsigned flags) {
  if (!(task->waiter.flags & TASK_CANCELLED)) tree->cancels++;
  task->waiter.flags |= TASK_CANCELLED | flags;
  walk_task(task, interrupt, tree);
}
