/* SPDX-License-Identifier: MIT
 * References own a segment. This file does not know what is in the memory. `mutex` guards a hash table of all segments
 * of the process, so that each is mapped only once. The handler of SIGBUS uses no lock: it looks through the watches,
 * which are never freed, and are used again. */
#include "core/memory/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/file_limit.h"
#include "core/base/nameless_file.h"

#ifdef __APPLE__
#include <sys/random.h>
#endif

#ifdef __linux__
/* A process that shrank the file could crash the others that read it. The seals forbid that. */
static void seal(int fd) { fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

/* Whether nobody can shrink the file. Files of most file systems cannot have seals: fcntl fails, and they are accepted.
 * A file in /dev/shm has no seals either, but looks like an unsealed memfd. If it has no name, it is accepted only
 * where there can be no memfd. */
static bool is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals < 0 || seals & F_SEAL_SHRINK || !braid_nameless_file_is_memfd();
}

/* For a signal's handler. It is the system's call, because a sanitizer takes the function for a write of this thread to
 * memory that others read. */
static bool put_zeroes(void *place, size_t size) {
  return syscall(SYS_mmap, place, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) != -1;
}
#else
static void seal(int fd) { (void)fd; }
static bool is_sealed(int fd) { return fd >= 0; }

static bool put_zeroes(void *place, size_t size) {
  return mmap(place, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}
#endif

enum { ROWS = 64 };

/* Where a named segment is mapped. */
struct watch {
  atomic_uintptr_t base; /* 0: it is free */
  size_t size;
  struct braid_shm *segment;
  struct watch *next;
};

static struct {
  pthread_mutex_t mutex;
  struct braid_list rows[ROWS];
  _Atomic(struct watch *) watches;
  atomic_uint torn;
  struct sigaction before; /* what SIGBUS did before the first watch */
} segments = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Under the mutex. */
static struct braid_list *row_of(uint64_t serial) {
  struct braid_list *row = &segments.rows[serial % ROWS];
  if (!row->next) braid_list_init(row);
  return row;
}

static bool keep(struct braid_shm *segment) {
  unsigned refs = atomic_load(&segment->refs);
  while (refs > 0 && !atomic_compare_exchange_weak(&segment->refs, &refs, refs + 1)) continue;
  return refs > 0;
}

struct braid_shm *braid_shm_find(uint64_t serial) {
  struct braid_shm *found = NULL;
  pthread_mutex_lock(&segments.mutex);
  struct braid_list *row = row_of(serial);
  for (struct braid_list *at = row->next; at != row && !found; at = at->next) {
    struct braid_shm *segment = braid_container(at, struct braid_shm, link);
    if (segment->serial == serial && keep(segment)) found = segment; /* else it is about to be freed */
  }
  pthread_mutex_unlock(&segments.mutex);
  return found;
}

/* ---- truncated files --------------------------------------------------------------------------------------------- */

/* Puts zeroes in the place of the pages that are gone: from this one to the end. Other threads may be in them: what
 * they read is as undefined as the file. */
static bool mend(const struct watch *watch, uintptr_t base, uintptr_t address) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = address / page * page;
  void *place = (void *)from;
  size_t size = base + watch->size - from;
  if (!put_zeroes(place, size)) return false;
  atomic_store(&watch->segment->torn, true);
  atomic_fetch_add(&segments.torn, 1);
  return true;
}

static bool mend_at(uintptr_t address) {
  for (const struct watch *watch = atomic_load(&segments.watches); watch; watch = watch->next) {
    uintptr_t base = atomic_load(&watch->base);
    if (base && address >= base && address - base < watch->size) return mend(watch, base, address);
  }
  return false;
}

/* A fault in other memory happens again when the handler from before is back. */
static void handle_bus_error(int number, siginfo_t *about, void *context) {
  int error = errno;
  (void)context;
  if (about->si_code != BUS_ADRERR || !mend_at((uintptr_t)about->si_addr)) {
    sigaction(SIGBUS, &segments.before, NULL);
    if (about->si_code <= 0) raise(number); /* somebody has sent it */
  }
  errno = error;
}

/* Under the mutex. */
static bool add_watch(struct braid_shm *segment) {
  struct watch *first = atomic_load(&segments.watches), *watch = first;
  while (watch && atomic_load(&watch->base)) watch = watch->next;
  bool is_new = !watch;
  if (is_new) watch = calloc(1, sizeof *watch);
  if (!watch) return false;
  watch->size = segment->size;
  watch->segment = segment;
  atomic_store(&watch->base, (uintptr_t)segment->base);
  if (!is_new) return true;
  watch->next = first;
  atomic_store(&segments.watches, watch);
  if (first) return true;
  struct sigaction action = {.sa_sigaction = handle_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  return sigaction(SIGBUS, &action, &segments.before) == 0;
}

/* Under the mutex. */
static void remove_watch(const struct braid_shm *segment) {
  for (struct watch *watch = atomic_load(&segments.watches); watch; watch = watch->next)
    if (atomic_load(&watch->base) && watch->segment == segment) atomic_store(&watch->base, 0);
}

unsigned braid_shm_torn(void) { return atomic_load_explicit(&segments.torn, memory_order_relaxed); }

/* ------------------------------------------------------------------------------------------------------------------ */

static bool put_in_table(struct braid_shm *segment) {
  pthread_mutex_lock(&segments.mutex);
  bool added = !segment->named || add_watch(segment);
  if (added) braid_list_push(row_of(segment->serial), &segment->link);
  pthread_mutex_unlock(&segments.mutex);
  return added;
}

/* On success the segment owns the descriptor. */
static struct braid_shm *map(int fd, uint64_t serial) {
  struct stat facts;
  if (fstat(fd, &facts) != 0) return NULL;
  struct braid_shm *segment = malloc(sizeof *segment);
  if (!segment) return NULL;
  size_t size = (size_t)facts.st_size;
  *segment = (struct braid_shm){.serial = serial, .inode = facts.st_ino, .fd = fd, .size = size};
  segment->named = facts.st_nlink > 0;
  segment->copies = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
  atomic_init(&segment->refs, 1);
  segment->base = mmap(NULL, size, PROT_READ | PROT_WRITE, segment->copies ? MAP_PRIVATE : MAP_SHARED, fd, 0);
  if (segment->base != MAP_FAILED && put_in_table(segment)) return segment;
  int error = errno;
  if (segment->base != MAP_FAILED) munmap(segment->base, size);
  free(segment);
  errno = error;
  return NULL;
}

size_t braid_shm_whole_pages(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (size > SIZE_MAX / 4) return 0;
  return size ? (size + page - 1) / page * page : page;
}

/* A random number: one made from the process id would repeat when the id is reused. */
static bool draw_serial(uint64_t *serial) {
  do
    if (getentropy(serial, sizeof *serial) != 0) return false;
  while (*serial == 0);
  return true;
}

/* EFBIG when the user's limit forbids a file of this size; ENOMEM when the system cannot have such a file. */
static int reason(int error, size_t size) {
  struct rlimit limit;
  if (error != EFBIG && error != EINVAL) return error;
  bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur;
  return limited ? EFBIG : ENOMEM;
}

struct braid_shm *braid_shm_new(size_t size) {
  uint64_t serial;
  struct braid_shm *segment = NULL;
  braid_file_limit_prepare(); /* the system counts the segment as a file */
  size = braid_shm_whole_pages(size);
  if (size == 0) errno = ENOMEM;
  int fd = size && draw_serial(&serial) ? braid_nameless_file_open() : -1;
  if (fd < 0) return NULL;
  if (ftruncate(fd, (off_t)size) == 0) {
    seal(fd);
    segment = map(fd, serial);
  }
  if (segment) return segment;
  int error = reason(errno, size);
  close(fd);
  errno = error;
  return NULL;
}

struct braid_shm *braid_shm_new_named(int fd) {
  uint64_t serial;
  struct stat facts;
  if (fstat(fd, &facts) != 0) return NULL;
  if (facts.st_size == 0) {
    errno = ENODATA;
    return NULL;
  }
  return draw_serial(&serial) ? map(fd, serial) : NULL;
}

static struct braid_shm *map_foreign(int fd, uint64_t serial, uint64_t inode) {
  struct stat facts;
  if (fstat(fd, &facts) != 0) return NULL;
  if (facts.st_ino != inode || facts.st_size <= 0 || (facts.st_nlink == 0 && !is_sealed(fd))) {
    errno = EBADMSG;
    return NULL;
  }
  struct braid_shm *segment = map(fd, serial);
  if (segment) segment->foreign = true;
  return segment;
}

struct braid_shm *braid_shm_adopt(int fd, uint64_t serial, uint64_t inode) {
  struct braid_shm *segment = braid_shm_find(serial);
  bool known = segment != NULL;
  if (!known) segment = map_foreign(fd, serial, inode);
  int error = errno;
  if ((known || !segment) && fd >= 0) close(fd);
  errno = error;
  return segment;
}

void braid_shm_ref(struct braid_shm *segment) { atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed); }

void braid_shm_unref(struct braid_shm *segment) {
  if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_lock(&segments.mutex);
  braid_list_remove(&segment->link);
  if (segment->named) remove_watch(segment);
  pthread_mutex_unlock(&segments.mutex);
  munmap(segment->base, segment->size);
  close(segment->fd);
  free(segment);
}

void braid_shm_clear(struct braid_shm *segment, size_t offset, size_t size) {
#ifdef MADV_REMOVE
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  bool whole = offset % page == 0 && size % page == 0;
  if (whole && madvise(segment->base + offset, size, MADV_REMOVE) == 0) return;
#endif
  memset(segment->base + offset, 0, size);
}
