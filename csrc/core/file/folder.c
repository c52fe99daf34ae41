/* SPDX-License-Identifier: MIT
 * Folders are removed through descriptors of the folders, so that a link that is put in the way leads nowhere. */
#include "core/file/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

static void note(struct braid_file_work *work, int result) { work->error = result == 0 ? 0 : errno; }

/* ---- lists ---------------------------------------------------------------------------------------------------- */

char braid_folder_letter(mode_t mode) {
  if (S_ISREG(mode)) return 'f';
  if (S_ISDIR(mode)) return 'd';
  if (S_ISLNK(mode)) return 'l';
  if (S_ISFIFO(mode)) return 'p';
  if (S_ISSOCK(mode)) return 's';
  if (S_ISCHR(mode)) return 'c';
  return S_ISBLK(mode) ? 'b' : '?';
}

/* Some file systems do not tell the kind with the name. */
static char letter_of(DIR *folder, const struct dirent *entry) {
  struct stat facts;
  if (entry->d_type != DT_UNKNOWN) return braid_folder_letter((mode_t)DTTOIF(entry->d_type));
  if (fstatat(dirfd(folder), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) return '?';
  return braid_folder_letter(facts.st_mode);
}

static bool is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* The next entry that is a name of its own; NULL at the end, and then errno is 0 or an error. */
static const struct dirent *next_entry(DIR *folder) {
  const struct dirent *entry;
  errno = 0;
  do entry = readdir(folder);
  while (entry && is_dots(entry->d_name));
  return entry;
}

static int collect(struct braid_file_work *work, DIR *folder) {
  const struct dirent *entry;
  while ((entry = next_entry(folder))) {
    char letter = letter_of(folder, entry);
    if (braid_file_work_is_abandoned(work)) return ECANCELED;
    if (!braid_buffer_append(&work->data, &letter, 1)) return ENOMEM;
    if (!braid_buffer_append(&work->data, entry->d_name, strlen(entry->d_name) + 1)) return ENOMEM;
    work->count++;
  }
  return errno;
}

static int compare(const void *one, const void *other) {
  return strcmp(*(const char *const *)one + 1, *(const char *const *)other + 1);
}

static int sort(struct braid_file_work *work) {
  struct braid_buffer sorted;
  const char **names = malloc(((size_t)work->count + 1) * sizeof *names), *at = work->data.data;
  braid_buffer_init(&sorted);
  if (!names || !braid_buffer_reserve(&sorted, work->data.size)) {
    free(names);
    return ENOMEM;
  }
  for (int64_t i = 0; i < work->count; i++, at += strlen(at) + 1) names[i] = at;
  qsort(names, (size_t)work->count, sizeof *names, compare);
  for (int64_t i = 0; i < work->count; i++) braid_buffer_append(&sorted, names[i], strlen(names[i]) + 1);
  free(names);
  braid_buffer_term(&work->data);
  work->data = sorted;
  return 0;
}

void braid_folder_list(struct braid_file_work *work) {
  DIR *folder = opendir(work->path);
  if (!folder) {
    work->error = errno;
    return;
  }
  work->error = collect(work, folder);
  closedir(folder);
  if (!work->error) work->error = sort(work);
}

/* ---- making and removing -------------------------------------------------------------------------------------- */

static bool is_folder(const char *path) {
  struct stat facts;
  return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* A folder that another program makes meanwhile is as good. */
static int make(const char *path, mode_t mode) {
  if (mkdir(path, mode) == 0) return 0;
  int error = errno;
  return is_folder(path) ? 0 : error;
}

void braid_folder_make(struct braid_file_work *work) {
  mode_t mode = (mode_t)work->mode;
  if (!work->flags) {
    note(work, mkdir(work->path, mode));
    return;
  }
  for (char *at = work->path + 1; *work->path && *at && !work->error; at++) {
    if (*at != '/') continue;
    *at = '\0';
    if (!is_folder(work->path)) work->error = make(work->path, mode | S_IWUSR | S_IXUSR);
    *at = '/';
  }
  if (!work->error) work->error = make(work->path, mode);
}

static int remove_at(struct braid_file_work *work, int parent, const char *name);

static int remove_entries(struct braid_file_work *work, DIR *folder) {
  const struct dirent *entry;
  while ((entry = next_entry(folder))) {
    int error = remove_at(work, dirfd(folder), entry->d_name);
    if (error) return error;
  }
  return errno;
}

static int remove_folder(struct braid_file_work *work, int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR *folder = fdopendir(fd);
  if (!folder) {
    int error = errno;
    close(fd);
    return error;
  }
  int error = remove_entries(work, folder);
  closedir(folder);
  if (!error && unlinkat(parent, name, AT_REMOVEDIR) != 0) error = errno;
  if (!error) work->count++;
  return error;
}

static int remove_at(struct braid_file_work *work, int parent, const char *name) {
  if (braid_file_work_is_abandoned(work)) return ECANCELED;
  if (unlinkat(parent, name, 0) == 0) {
    work->count++;
    return 0;
  }
  int error = errno;
  if (error == ENOENT && work->count > 0) return 0; /* another one was quicker */
  if (error != EISDIR && error != EPERM) return error;
  int removed = remove_folder(work, parent, name);
  return removed == ENOTDIR ? error : removed; /* EPERM was about a file */
}

void braid_folder_remove(struct braid_file_work *work) {
  if (work->flags)
    work->error = remove_at(work, AT_FDCWD, work->path);
  else
    note(work, remove(work->path));
}

void braid_folder_rename(struct braid_file_work *work) { note(work, rename(work->path, work->other)); }

void braid_folder_look(struct braid_file_work *work) {
  note(work, work->flags ? lstat(work->path, &work->facts) : stat(work->path, &work->facts));
}

void braid_folder_temporary(struct braid_file_work *work) {
  if (work->flags) {
    work->error = mkdtemp(work->path) ? 0 : errno;
    return;
  }
  int fd = mkostemp(work->path, O_CLOEXEC);
  if (fd < 0) {
    work->error = errno;
    return;
  }
  work->file = braid_open_file_new(fd);
  if (work->file) return;
  work->error = ENOMEM;
  unlink(work->path);
  close(fd);
}

void braid_folder_watch(struct braid_file_work *work) {
#ifdef __linux__
  int fd = braid_open_file_use(work->file);
  int number = inotify_add_watch(fd, work->path, (uint32_t)work->flags);
  work->error = number < 0 ? errno : 0;
  work->count = number;
  braid_open_file_release(work->file);
#else
  work->error = ENOSYS;
#endif
}
