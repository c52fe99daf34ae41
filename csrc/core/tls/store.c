/* SPDX-License-Identifier: MIT
 * A list of the stores that were read, the latest used first. Other threads wait while one reads: they mostly want the
 * same. */
#include "core/tls/store.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/list.h"
#include "core/tls/failure.h"

enum { MOST = 32 }; /* stores that are kept */

/* By what a changed file is noticed. All zero: there is none. */
struct state {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec changed;
};

struct entry {
  struct braid_list link;
  char *file, *folder; /* NULL: none */
  struct state state;
  X509_STORE *store;
};

static struct {
  pthread_mutex_t mutex;
  struct braid_list entries;
  unsigned count;
} stores = {.mutex = PTHREAD_MUTEX_INITIALIZER, .entries = {&stores.entries, &stores.entries}};

static struct state state_of(const char *file) {
  struct stat facts;
  if (!file || stat(file, &facts)) return (struct state){0};
  return (struct state){facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtim};
}

static bool state_equal(const struct state *a, const struct state *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool equal(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static void drop(struct entry *entry) {
  braid_list_remove(&entry->link);
  stores.count--;
  X509_STORE_free(entry->store);
  free(entry->file);
  free(entry->folder);
  free(entry);
}

/* Under the mutex, as is the next one. NULL when it was not read yet, or has changed since. */
static X509_STORE *find(const char *file, const char *folder, const struct state *state) {
  for (struct braid_list *link = stores.entries.next; link != &stores.entries; link = link->next) {
    struct entry *entry = braid_container(link, struct entry, link);
    if (!equal(entry->file, file) || !equal(entry->folder, folder)) continue;
    if (!state_equal(&entry->state, state)) {
      drop(entry);
      return NULL;
    }
    braid_list_raise(&stores.entries, &entry->link);
    X509_STORE_up_ref(entry->store);
    return entry->store;
  }
  return NULL;
}

/* Without memory it is not kept. */
static void keep(X509_STORE *store, const char *file, const char *folder, const struct state *state) {
  struct entry *entry = calloc(1, sizeof *entry);
  if (!entry) return;
  *entry =
      (struct entry){.file = file ? strdup(file) : NULL, .folder = folder ? strdup(folder) : NULL, .state = *state};
  entry->store = store;
  X509_STORE_up_ref(store);
  braid_list_push(stores.entries.next, &entry->link);
  stores.count++;
  bool whole = (!file || entry->file) && (!folder || entry->folder);
  if (!whole) drop(entry);
  if (stores.count > MOST) drop(braid_container(stores.entries.prev, struct entry, link));
}

static X509_STORE *load(const char *file, const char *folder, struct braid_tls_failure *failure) {
  ERR_clear_error();
  struct stat facts;
  if (folder && (stat(folder, &facts) || (!S_ISDIR(facts.st_mode) && (errno = ENOTDIR)))) {
    braid_tls_failure_set(failure, BRAID_TLS_SYSTEM, errno, strerror(errno));
    return NULL;
  }
  X509_STORE *store = X509_STORE_new();
  if (store && (!file || X509_STORE_load_file(store, file)) && (!folder || X509_STORE_load_path(store, folder))) {
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN); /* what is in it is trusted, also if it is no root */
    return store;
  }
  braid_tls_failure_take(failure, file ? file : folder);
  X509_STORE_free(store);
  return NULL;
}

static bool has_hashes(const char *folder) {
  DIR *open = opendir(folder);
  const struct dirent *each;
  bool found = false;
  while (open && !found && (each = readdir(open))) {
    size_t size = strlen(each->d_name);
    found = size == 10 && strcmp(each->d_name + 8, ".0") == 0;
  }
  if (open) closedir(open);
  return found;
}

/* The system's certificates. A folder with hashes is preferred: only those that are needed are read then. */
static void choose_system(const char **file, const char **folder) {
  const char *set_file = getenv(X509_get_default_cert_file_env()),
             *set_folder = getenv(X509_get_default_cert_dir_env());
  *file = set_file;
  *folder = set_folder;
  if (set_file || set_folder) return;
  *folder = X509_get_default_cert_dir();
  if (has_hashes(*folder)) return;
  *folder = NULL;
  *file = X509_get_default_cert_file();
}

X509_STORE *braid_tls_store_get(const char *file, const char *folder, struct braid_tls_failure *failure) {
  if (!file && !folder) choose_system(&file, &folder);
  struct state state = state_of(file);
  pthread_mutex_lock(&stores.mutex);
  X509_STORE *store = find(file, folder, &state);
  if (!store) {
    store = load(file, folder, failure);
    if (store) keep(store, file, folder, &state);
  }
  pthread_mutex_unlock(&stores.mutex);
  return store;
}
