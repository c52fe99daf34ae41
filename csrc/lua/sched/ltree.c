/* SPDX-License-Identifier: MIT
 * A task's scopes form a chain from task->scope outward to its nursery, which is not a part of it. A task does not
 * store whether it is cancelled: a look up this chain, and up through the owners of its nurseries, tells it. So a
 * cancel, its end and a shield are one flag each. A cancel that spreads is noted in the scopes that it reaches
 * (`doom`), so a look ends there. These scopes end before the cancelled scope or task does, so the note never becomes
 * wrong. */
#include "lua/sched/ltree.h"

#include <string.h>

void tree_init(struct tree *tree, struct braid_loop *loop) {
  memset(tree, 0, sizeof *tree);
  tree->loop = loop;
  braid_waiter_init(&tree->script.waiter, loop, BRAID_WAITER_TASK);
  tree->script.waiter.state = FUTURE_RUNNING;
  braid_list_init(&tree->script.sibling);
  tree_enter(tree, &tree->root, &tree->script, SCOPE_NURSERY);
}

/* The same as seen from `scope`: one of the task's scopes, or its nursery. */
static const void *canceller_from(const struct tree *tree, const struct task *task, const struct scope *scope) {
  if (tree->cancels == 0) return NULL;
  for (;;) {
    for (; scope != task->nursery; scope = scope->outer) {
      if (scope->flags & SCOPE_CANCELLED) return scope;
      if (scope->flags & SCOPE_SHIELD) return NULL;
      if (scope->doom) return scope->doom;
    }
    if (task->waiter.flags & TASK_CANCELLED) return task;
    if (!scope) return NULL;
    task = scope->owner;
  }
}

const void *tree_canceller(const struct tree *tree, const struct task *task) {
  return canceller_from(tree, task, task->scope);
}

void tree_enter(struct tree *tree, struct scope *scope, struct task *owner, unsigned flags) {
  *scope =
      (struct scope){.outer = owner->scope, .owner = owner, .tree = tree, .flags = flags, .serial = ++tree->entered};
  braid_list_init(&scope->children);
  braid_wait_queue_init(&scope->ended, NULL);
  owner->scope = scope;
}

/* Gives away a child that its scope does not wait for, because the owner cannot wait: cancels it, and moves it to the
 * nearest nursery outside. */
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
  for (; *at && *at != scope; at = &(*at)->outer) /* scopes left open inside it are not in it any more */
    if ((*at)->doom == scope) (*at)->doom = NULL;
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

struct scope *tree_run(const struct task *task) {
  struct scope *scope = task->scope;
  for (;;) {
    for (; scope != task->nursery; scope = scope->outer)
      if (scope->flags & SCOPE_RUN) return scope;
    if (!scope) return NULL;
    task = scope->owner;
  }
}

void tree_adopt(struct scope *scope, struct task *task) {
  task->nursery = task->scope = scope;
  braid_list_push(&scope->children, &task->sibling);
  scope->alive++;
}

void tree_start(struct tree *tree, struct task *task) {
  if (!(task->waiter.flags & TASK_HELD)) return;
  task->waiter.flags &= ~(uint32_t)TASK_HELD;
  braid_wake_list_push(&tree->loop->ready, &task->waiter);
}

static void let_owner_go(struct scope *scope) {
  if (scope->alive > 0) return;
  struct braid_wake_list woken = {0};
  braid_wait_queue_claim_all(&scope->ended, BRAID_OK, &woken);
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
  while (task->scope != scope) tree_leave(task->scope); /* entered without a function, and never left */
  braid_list_remove(&task->sibling);
  if (!(task->waiter.flags & TASK_DAEMON)) scope->alive--;
  if (task->waiter.flags & TASK_CANCELLED) tree->cancels--;
  let_owner_go(scope);
}

/* ---- cancels -------------------------------------------------------------------------------------------------- */

static void interrupt(struct tree *tree, struct task *task) {
  if (task->waiter.flags & TASK_HELD)
    tree_start(tree, task); /* so that it can end */
  else if ((task->waiter.flags & (TASK_PARKED | TASK_MASKED)) == TASK_PARKED)
    braid_loop_end_wait(tree->loop, &task->waiter, BRAID_CANCELLED);
}

/* A cancel reaches the task from outside the scope `end` of its chain, and goes inward up to a shield or to a scope
 * that was cancelled before. Returns the innermost scope that it reached; `end` if none. */
static struct scope *strike(struct tree *tree, struct task *task, struct scope *end, const void *canceller) {
  struct scope *innermost = task->scope;
  for (struct scope *scope = task->scope; scope != end; scope = scope->outer)
    if (scope->flags & (SCOPE_SHIELD | SCOPE_CANCELLED)) innermost = scope->outer;
  for (struct scope *scope = innermost; scope != end; scope = scope->outer) scope->doom = canceller;
  if (innermost == task->scope) interrupt(tree, task);
  return innermost;
}

/* Walks are not recursive: scopes may be nested deeper than the C stack allows. Goes from a task to the children of its
 * scope `inner`; if that is its nursery, to its next sibling. */
static struct braid_list *descend(struct task *task, struct scope *inner, struct scope **scope) {
  if (inner == task->nursery) return task->sibling.next;
  *scope = inner;
  return inner->children.next;
}

/* After the last child: goes on to the owner's next scope outward, or to the owner's next sibling. */
static struct braid_list *ascend(struct scope **scope) {
  struct task *owner = (*scope)->owner;
  *scope = (*scope)->outer;
  return *scope == owner->nursery ? owner->sibling.next : (*scope)->children.next;
}

void tree_walk(struct scope *top, void (*visit)(struct task *, void *), void *context) {
  struct scope *scope = top;
  struct braid_list *at = scope->children.next;
  for (;;) {
    if (at != &scope->children) {
      struct task *task = braid_container(at, struct task, sibling);
      visit(task, context);
      at = descend(task, task->scope, &scope);
    } else if (scope == top) {
      return;
    } else {
      at = ascend(&scope);
    }
  }
}

/* A cancel reaches all tasks below the scope, except those that were cancelled before: it reached them then. */
static void spread(struct scope *top, const void *canceller) {
  struct scope *scope = top;
  struct braid_list *at = scope->children.next;
  for (;;) {
    if (at != &scope->children) {
      struct task *task = braid_container(at, struct task, sibling);
      bool before = task->waiter.flags & TASK_CANCELLED;
      at = descend(task, before ? task->nursery : strike(top->tree, task, task->nursery, canceller), &scope);
    } else if (scope == top) {
      return;
    } else {
      at = ascend(&scope);
    }
  }
}

/* Spreads below the scopes from `inner` outward to `end`, without `end`. */
static void spread_from(struct scope *inner, struct scope *end, const void *canceller) {
  for (; inner != end; inner = inner->outer) spread(inner, canceller);
}

/* If a cancel from further out has already reached this scope, it has reached everything inside, and nothing is left to
 * do. So each task is visited once, however many scopes and tasks around it are cancelled one after the other. */
void tree_cancel_scope(struct scope *scope) {
  if (scope->flags & (SCOPE_CANCELLED | SCOPE_ENDED)) return;
  if (scope->doom) {
    scope->flags |= SCOPE_CANCELLED;
    scope->tree->cancels++;
    return;
  }
  struct scope *inner = strike(scope->tree, scope->owner, scope, scope); /* the scopes entered after this one */
  scope->flags |= SCOPE_CANCELLED;
  scope->tree->cancels++;
  spread_from(inner, scope->outer, scope);
}

void tree_cancel_task(struct tree *tree, struct task *task, unsigned flags) {
  bool before = task->waiter.flags & TASK_CANCELLED;
  task->waiter.flags |= TASK_CANCELLED | flags;
  if (before) return;
  tree->cancels++;
  if (!(task->waiter.flags & TASK_HELD) && (task->nursery->doom || task->nursery->flags & SCOPE_CANCELLED)) return;
  spread_from(strike(tree, task, task->nursery, task), task->nursery, task);
}

/* ---- generators ----------------------------------------------------------------------------------------------- */

/* The frame and the scopes inside it move to `task`, inside the scope `outer`. */
static void hand_over(struct scope *frame, struct scope *inner, struct task *task, struct scope *outer) {
  for (struct scope *scope = inner; scope != frame; scope = scope->outer) scope->owner = task;
  frame->owner = task;
  frame->outer = outer;
  task->scope = inner;
}

/* A cancel from outside would not be seen any more from the new place: it becomes the frame's own. */
static void keep_cancel(struct scope *frame) {
  frame->doom = NULL;
  tree_cancel_scope(frame);
}

void tree_lay_aside(struct scope *frame, struct task *guest, struct scope *home) {
  struct task *task = frame->owner;
  if (canceller_from(frame->tree, task, frame->outer)) keep_cancel(frame);
  struct scope *inner = task->scope;
  task->scope = frame->outer;
  guest->nursery = home;
  braid_list_push(&home->children, &guest->sibling);
  hand_over(frame, inner, guest, home);
}

void tree_take_back(struct scope *frame, struct task *guest, struct task *task) {
  struct tree *tree = frame->tree;
  bool cancelled = guest->waiter.flags & TASK_CANCELLED;
  bool keep = cancelled || canceller_from(tree, guest, guest->nursery);
  braid_list_remove(&guest->sibling);
  hand_over(frame, guest->scope, task, task->scope);
  if (keep) keep_cancel(frame);
  if (cancelled) tree->cancels--;
  guest->waiter.flags &= ~(uint32_t)TASK_CANCELLED;
}

struct scope *tree_home(struct scope *inner, const struct scope *scope, uint64_t serial) {
  for (struct scope *at = inner; at; at = at->outer)
    if (at == scope && at->serial == serial) return at;
  while (!(inner->flags & SCOPE_NURSERY)) inner = inner->outer;
  return inner;
}
