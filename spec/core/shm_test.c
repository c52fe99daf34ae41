/* SPDX-License-Identifier: MIT
 * Segments: each is mapped once, is what it was announced to be, and is gone with its last holder. */
#include "core/memory/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "refusal.h"

static bool is_zero(const char *bytes, size_t size) {
  while (size-- > 0)
    if (*bytes++ != 0) return false;
  return true;
}

static void sizes_are_whole_pages(void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  check(braid_shm_whole_pages(0) == page && braid_shm_whole_pages(1) == page);
  check(braid_shm_whole_pages(page) == page && braid_shm_whole_pages(page + 1) == 2 * page);
  check(braid_shm_whole_pages(SIZE_MAX) == 0 && braid_shm_whole_pages(SIZE_MAX / 4 + 1) == 0);
  errno = 0;
  check(braid_shm_new(SIZE_MAX) == NULL && errno == ENOMEM);
  struct braid_shm *segment = braid_shm_new(0);
  check(segment && segment->size == page && is_zero(segment->base, page));
  if (segment) braid_shm_unref(segment);
}

static void is_found_while_it_lives(void) {
  struct braid_shm *segment = braid_shm_new(1), *other = braid_shm_new(1);
  uint64_t serial = segment->serial;
  int fd = segment->fd;
  check(serial != 0 && serial != other->serial && !segment->foreign);
  check(braid_shm_find(serial) == segment);
  braid_shm_unref(segment);
  check(braid_shm_find(serial) == segment); /* by the other reference */
  braid_shm_unref(segment);
  braid_shm_unref(segment);
  check(braid_shm_find(serial) == NULL && fcntl(fd, F_GETFD) < 0);
  braid_shm_unref(other);
}

/* One that is just going, on another thread, is not found any more. */
static void is_not_found_while_it_goes(void) {
  struct braid_shm *segment = braid_shm_new(1);
  atomic_store(&segment->refs, 0);
  check(braid_shm_find(segment->serial) == NULL);
  atomic_store(&segment->refs, 1);
  braid_shm_unref(segment);
}

static void is_mapped_once(void) {
  struct braid_shm *segment = braid_shm_new(5000);
  check(segment && segment->size >= 5000);
  struct braid_shm *same = braid_shm_adopt(-1, segment->serial, segment->inode);
  check(same == segment);
  check(braid_shm_adopt(-1, segment->serial + 1, segment->inode) == NULL);
  strcpy(segment->base + 100, "seen");
  int fd = dup(segment->fd);
  check(braid_shm_adopt(fd, segment->serial, segment->inode) == segment && fcntl(fd, F_GETFD) < 0); /* not needed */
  braid_shm_unref(segment);
  struct braid_shm *other = /* as another process */
      braid_shm_adopt(dup(segment->fd), segment->serial + 1, segment->inode);
  check(other && other->foreign && other->base != segment->base && strcmp(other->base + 100, "seen") == 0);
  braid_shm_clear(other, 0, other->size);
  check(is_zero(segment->base, segment->size));
  braid_shm_unref(same);
  braid_shm_unref(segment);
  other->base[0] = 1; /* it lives on */
  braid_shm_unref(other);
}

static void a_part_is_cleared(void) {
  struct braid_shm *segment = braid_shm_new(3 * 4096);
  memset(segment->base, 7, segment->size);
  braid_shm_clear(segment, 100, 50);
  check(segment->base[99] == 7 && is_zero(segment->base + 100, 50) && segment->base[150] == 7);
  braid_shm_clear(segment, 0, 0);
  size_t page = braid_shm_whole_pages(1);
  braid_shm_clear(segment, 0, page);
  check(is_zero(segment->base, page) && (segment->size == page || segment->base[page] == 7));
  braid_shm_unref(segment);
}

/* A descriptor that came in another's place, or whose owner could make the file smaller. */
static void other_files_are_refused(void) {
  struct braid_shm *segment = braid_shm_new(5000), *other = braid_shm_new(5000);
  errno = 0;
  check(braid_shm_adopt(dup(other->fd), segment->serial + 1, segment->inode) == NULL && errno == EBADMSG);
  check(ftruncate(segment->fd, 0) != 0);
#ifdef __linux__
  struct stat facts;
  int fd = memfd_create("test", MFD_CLOEXEC);
  check(fstat(fd, &facts) == 0);
  check(braid_shm_adopt(dup(fd), segment->serial + 1, facts.st_ino) == NULL && errno == EBADMSG); /* empty */
  check(ftruncate(fd, 4096) == 0);
  check(braid_shm_adopt(fd, segment->serial + 1, facts.st_ino) == NULL && errno == EBADMSG);
#endif
  braid_shm_unref(segment);
  braid_shm_unref(other);
}

/* A soft limit of descriptors that is reached is raised. */
static void soft_limit_is_raised(void) {
  struct rlimit before, limit;
  int next = dup(0);
  close(next);
  getrlimit(RLIMIT_NOFILE, &before);
  limit = before;
  limit.rlim_cur = (rlim_t)next;
  if (before.rlim_max <= limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  struct braid_shm *segment = braid_shm_new(1);
  check(segment && segment->fd >= next);
  if (segment) braid_shm_unref(segment);
  setrlimit(RLIMIT_NOFILE, &before);
}

#ifdef __linux__
static void is_made(void) {
  struct braid_shm *segment = braid_shm_new(5000);
  check(segment && is_zero(segment->base, segment->size));
  if (!segment) return;
  struct braid_shm *there = braid_shm_adopt(dup(segment->fd), segment->serial + 1, segment->inode);
  check(there != NULL); /* though such a file cannot be sealed */
  if (there) braid_shm_unref(there);
  braid_shm_unref(segment);
}

static void fails_for_want_of_memory(void) {
  errno = 0;
  check(braid_shm_new(5000) == NULL && errno == ENOMEM);
}

static void fails_for_files(void) {
  errno = 0;
  check(braid_shm_new(5000) == NULL && errno == EMFILE);
}

/* A sandbox has no memfd: then it is a file without a name. */
static void refusals_are_told(void) {
  refuse_call(SYS_memfd_create, EPERM, is_made);
  refuse_call(SYS_memfd_create, ENOSYS, is_made);
  refuse_call(SYS_memfd_create, ENOMEM, fails_for_want_of_memory);
  refuse_call(SYS_memfd_create, EMFILE, fails_for_files);
  refuse_call(SYS_ftruncate, EINVAL, fails_for_want_of_memory); /* more than the system has a number for */
  refuse_call(SYS_ftruncate, EFBIG, fails_for_want_of_memory);  /* though no limit is set */
  refuse_call(SYS_getrandom, ENOMEM, fails_for_want_of_memory);
}
#else
static void refusals_are_told(void) {}
#endif

CHECK_MAIN({"shm: sizes are whole pages", sizes_are_whole_pages},
           {"shm: is found while it lives", is_found_while_it_lives},
           {"shm: is not found while it goes", is_not_found_while_it_goes}, {"shm: is mapped once", is_mapped_once},
           {"shm: a part is cleared", a_part_is_cleared},
           {"shm: a descriptor of something else is refused", other_files_are_refused},
           {"shm: a soft limit is raised", soft_limit_is_raised}, {"shm: refusals are told", refusals_are_told})
