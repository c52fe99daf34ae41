/* SPDX-License-Identifier: MIT
 * The crew, its teams and its loops. A team is reference-counted: its starter holds a reference, and the crew holds one
 * until the team has ended. A share is a loop that takes helpers. It is on the stack of the thread that runs the loop.
 * Helpers enter and leave it under the crew's mutex. The owner returns only after it has taken the share out of the
 * list and no helper is inside. */
#include "core/work/crew.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/loop/loop.h"

struct braid_team {
  atomic_uint refs;
  atomic_bool stopped;
  unsigned size;
  braid_team_run *run;
  void *arguments;
  struct braid_list link;          /* in crew.teams while it has no leader; under crew.mutex */
  struct braid_guard guard;        /* shared from the beginning; protects the fields below */
  struct braid_wait_queue waiting; /* who waits for the team's end */
  pthread_cond_t over;
  bool ended;
};

struct share {
  struct braid_list link; /* in crew.shares, unless closed */
  struct braid_team *team;
  braid_team_body *body;
  void *context;
  size_t count, grain, chunks;
  atomic_size_t next;   /* the next chunk to run */
  unsigned seats;       /* seats given so far; under crew.mutex */
  atomic_uint helpers;  /* how many helpers are inside; changed under crew.mutex */
  pthread_cond_t empty; /* signalled when the last helper leaves */
};

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t work;
  struct braid_list teams;  /* teams without a leader, oldest first */
  struct braid_list shares; /* loops that take helpers */
  unsigned threads, sleeping;
  unsigned usual; /* the size of a team by default; set once */
  pthread_once_t counted;
  atomic_uint news; /* counts additions to both lists, so that threads can check without the mutex */
} crew = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .counted = PTHREAD_ONCE_INIT,
          .work = PTHREAD_COND_INITIALIZER,
          .teams = {&crew.teams, &crew.teams},
          .shares = {&crew.shares, &crew.shares}};

enum { TRY = 30 * 1000 }; /* ns that a thread spins for more work before it sleeps; waking it costs about as much */

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- loops ---------------------------------------------------------------------------------------------------- */

bool braid_team_stopped(const struct braid_team *team) {
  return team && atomic_load_explicit(&team->stopped, memory_order_relaxed);
}

_Static_assert(sizeof(atomic_bool) == 1, "the stop flag is read as a byte");

const volatile unsigned char *braid_team_flag(const struct braid_team *team) {
  static const unsigned char never = 0;
  return team ? (const volatile unsigned char *)&team->stopped : &never;
}

unsigned braid_team_size(const struct braid_team *team) { return team ? team->size : 1; }

unsigned braid_team_seat(void) { return braid_here.seat; }

static void do_chunks(struct share *share) {
  const void *outer = braid_here.share;
  braid_here.share = share;
  while (!braid_team_stopped(share->team)) {
    size_t chunk = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
    if (chunk >= share->chunks) break;
    size_t first = chunk * share->grain, left = share->count - first;
    share->body(share->context, first, first + (left < share->grain ? left : share->grain));
  }
  braid_here.share = outer;
}

/* Wakes up to `wanted` sleeping threads, because there is work. Under the crew's mutex. */
static void call_crew(unsigned wanted) {
  atomic_fetch_add(&crew.news, 1);
  for (unsigned i = 0; i < wanted && i < crew.sleeping; i++) pthread_cond_signal(&crew.work);
}

static void open_share(struct share *share) {
  pthread_cond_init(&share->empty, NULL);
  pthread_mutex_lock(&crew.mutex);
  braid_list_push(&crew.shares, &share->link);
  size_t wanted = share->chunks - 1, room = share->team->size - 1;
  call_crew(wanted < room ? (unsigned)wanted : (unsigned)room);
  pthread_mutex_unlock(&crew.mutex);
}

/* No helper can enter any more; waits until all have left. They are near their end, so it spins first. */
static void close_share(struct share *share) {
  pthread_mutex_lock(&crew.mutex);
  braid_list_remove(&share->link);
  pthread_mutex_unlock(&crew.mutex);
  int64_t end = braid_clock_now() + TRY;
  while (atomic_load(&share->helpers) && braid_clock_now() < end) relax();
  pthread_mutex_lock(&crew.mutex); /* also waits until the last helper has left the mutex */
  while (atomic_load(&share->helpers)) pthread_cond_wait(&share->empty, &crew.mutex);
  pthread_mutex_unlock(&crew.mutex);
  pthread_cond_destroy(&share->empty);
}

bool braid_team_for(struct braid_team *team, size_t count, size_t grain, braid_team_body *body, void *context) {
  enum { CHUNKS = 64 };
  if (count == 0) return !braid_team_stopped(team);
  if (grain == 0) grain = (count - 1) / CHUNKS + 1;
  struct share share = {.team = team, .body = body, .context = context, .count = count, .grain = grain};
  share.chunks = (count - 1) / grain + 1;
  share.seats = 1;
  braid_list_init(&share.link);
  bool alone = !team || team->size == 1 || share.chunks == 1 || braid_here.share;
  if (!alone) open_share(&share);
  do_chunks(&share);
  if (!alone) close_share(&share);
  return !braid_team_stopped(team);
}

/* ---- the crew ------------------------------------------------------------------------------------------------- */

static void end_team(struct braid_team *team) {
  struct braid_wake_list woken = {0};
  braid_guard_enter(&team->guard);
  team->ended = true;
  braid_wait_queue_claim_all(&team->waiting, BRAID_OK, &woken);
  pthread_cond_broadcast(&team->over);
  braid_guard_leave(&team->guard);
  braid_loop_post_all(&woken);
  braid_team_unref(team);
}

/* Returns a team without a leader, or NULL. Under the crew's mutex, as are all functions below that do not lock it. */
static struct braid_team *next_team(void) {
  struct braid_list *link = braid_list_pop(&crew.teams);
  return link ? braid_container(link, struct braid_team, link) : NULL;
}

/* Returns a loop with a free seat and a chunk left, or NULL. */
static struct share *next_share(void) {
  for (struct braid_list *at = crew.shares.next; at != &crew.shares; at = at->next) {
    struct share *share = braid_container(at, struct share, link);
    if (share->seats < share->team->size && atomic_load(&share->next) < share->chunks) return share;
  }
  return NULL;
}

static void help(struct share *share) {
  unsigned mine = share->seats++;
  atomic_fetch_add(&share->helpers, 1);
  pthread_mutex_unlock(&crew.mutex);
  braid_here.seat = mine;
  do_chunks(share);
  braid_here.seat = 0;
  pthread_mutex_lock(&crew.mutex);
  if (atomic_fetch_sub(&share->helpers, 1) == 1) pthread_cond_signal(&share->empty);
}

static void lead(struct braid_team *team) {
  pthread_mutex_unlock(&crew.mutex);
  team->run(team, team->arguments);
  end_team(team);
  pthread_mutex_lock(&crew.mutex);
}

/* Spins for new work for a moment, then sleeps until there is some. The operating system likes to wake a thread on the
 * core of the thread that wakes it, and leaves it there. So from time to time a thread moves back to its own core. */
static void rest(unsigned index) {
  enum { LOOKS = 64, RARELY = 20 * 1000 * 1000 };
  unsigned known = atomic_load(&crew.news);
  pthread_mutex_unlock(&crew.mutex);
  int64_t end = braid_clock_now() + TRY;
  do {
    for (int i = 0; i < LOOKS && atomic_load_explicit(&crew.news, memory_order_relaxed) == known; i++) relax();
  } while (atomic_load(&crew.news) == known && braid_clock_now() < end);
  pthread_mutex_lock(&crew.mutex);
  if (atomic_load(&crew.news) != known) return;
  crew.sleeping++;
  pthread_cond_wait(&crew.work, &crew.mutex);
  crew.sleeping--;
  int64_t now = braid_clock_now();
  if (now - braid_here.spread < RARELY) return;
  braid_here.spread = now;
  braid_thread_spread(index);
}

static void *serve(void *argument) {
  unsigned index = (unsigned)(uintptr_t)argument;
  braid_thread_name("braid-kernels");
  braid_thread_spread(index);
  pthread_mutex_lock(&crew.mutex);
  for (;;) {
    struct braid_team *team = next_team();
    struct share *share = team ? NULL : next_share();
    if (team)
      lead(team);
    else if (share)
      help(share);
    else
      rest(index);
  }
  return NULL;
}

/* Starts threads until the crew is as large as `wanted`. Returns 0, or an error number when the crew has no thread at
 * all. */
static int recruit(unsigned wanted) {
  int error = 0;
  while (crew.threads < wanted && !error) {
    pthread_t thread;
    error = braid_thread_start(&thread, serve, (void *)(uintptr_t)crew.threads);
    if (error) break;
    pthread_detach(thread);
    crew.threads++;
  }
  return crew.threads > 0 ? 0 : error;
}

/* ---- teams ---------------------------------------------------------------------------------------------------- */

static void count_usual(void) {
  const char *text = getenv("BRAID_THREADS");
  char *end;
  bool told = text && *text;
  long count = told ? strtol(text, &end, 10) : braid_thread_usable();
  if (!told && count > BRAID_TEAM_MOST) count = BRAID_TEAM_MOST;
  bool wrong = count < 1 || count > BRAID_TEAM_MOST || (told && *end);
  crew.usual = wrong ? 0 : (unsigned)count;
}

unsigned braid_team_default(void) {
  pthread_once(&crew.counted, count_usual);
  return crew.usual;
}

struct braid_team *braid_team_start(braid_team_run *run, void *arguments, unsigned threads) {
  struct braid_team *team = calloc(1, sizeof *team);
  if (!team) return NULL;
  atomic_init(&team->refs, 2);
  team->size = threads ? threads : braid_team_default();
  team->run = run;
  team->arguments = arguments;
  braid_guard_init(&team->guard, true);
  braid_wait_queue_init(&team->waiting, &team->guard);
  pthread_cond_init(&team->over, NULL);
  pthread_mutex_lock(&crew.mutex);
  int error = recruit(team->size);
  if (!error) {
    braid_list_push(&crew.teams, &team->link);
    call_crew(team->size); /* also helpers: the first loop comes soon */
  }
  pthread_mutex_unlock(&crew.mutex);
  if (!error) return team;
  braid_team_unref(team);
  braid_team_unref(team);
  errno = error;
  return NULL;
}

enum braid_status braid_team_join(struct braid_team *team, struct braid_wait_node *node) {
  braid_guard_enter(&team->guard);
  bool ended = team->ended;
  if (!ended) braid_wait_node_join(node, &team->waiting);
  braid_guard_leave(&team->guard);
  return ended ? BRAID_OK : BRAID_WAIT;
}

void braid_team_stop(struct braid_team *team) {
  atomic_store(&team->stopped, true);
  bool waits = false; /* whether it has no leader yet */
  pthread_mutex_lock(&crew.mutex);
  for (struct braid_list *at = crew.teams.next; at != &crew.teams; at = at->next) waits |= at == &team->link;
  if (waits) braid_list_remove(&team->link);
  pthread_mutex_unlock(&crew.mutex);
  if (waits) end_team(team);
}

void braid_team_await(struct braid_team *team) {
  braid_guard_enter(&team->guard);
  while (!team->ended) pthread_cond_wait(&team->over, &team->guard.mutex);
  braid_guard_leave(&team->guard);
}

void braid_team_unref(struct braid_team *team) {
  if (atomic_fetch_sub_explicit(&team->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_cond_destroy(&team->over);
  braid_guard_term(&team->guard);
  free(team);
}
