/* SPDX-License-Identifier: MIT
 * OpenSSL's digests (EVP). The functions are looked up by name in the installed version, so no header is needed, and
 * nothing is linked. */
#include "kernels/digest.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/http/openssl.h"

const char *braid_digest_load(struct braid_digest_library *evp) {
  static const char *const names[] = {"libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so", "libcrypto.3.dylib"};
  const struct {
    const char *name;
    void *place;
  } functions[] = {{"EVP_get_digestbyname", &evp->find}, {"EVP_MD_CTX_new", &evp->open},
                   {"EVP_MD_CTX_free", &evp->close},     {"EVP_DigestInit_ex", &evp->begin},
                   {"EVP_DigestUpdate", &evp->add},      {"EVP_DigestFinal_ex", &evp->end}};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (library) braid_openssl_keep(library);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *address = library ? dlsym(library, functions[i].name) : NULL;
    if (!address) return "OpenSSL's libcrypto (version 3 or 1.1) was not found";
    *(void **)functions[i].place = address;
  }
  return NULL;
}

/* 0 or an error number. */
static int add_file(const struct braid_digest_list *list, void *context, const char *name) {
  enum { CHUNK = 64 * 1024 };
  char chunk[CHUNK];
  ssize_t size = 0;
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  while (!braid_team_stopped(list->team)) {
    size = read(fd, chunk, CHUNK);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    list->evp.add(context, chunk, (size_t)size);
  }
  int error = size < 0 ? errno : 0;
  close(fd);
  return error;
}

static void add_text(const struct braid_digest_list *list, void *context, const struct braid_text *text) {
  const size_t part = 1 << 20;
  for (size_t at = 0; at < text->size && !braid_team_stopped(list->team); at += part)
    list->evp.add(context, text->data + at, text->size - at < part ? text->size - at : part);
}

static void digest_chunk(void *context, size_t first, size_t last) {
  struct braid_digest_list *list = context;
  void *evp_context = list->evp.open();
  for (size_t i = first; i < last; i++) {
    struct braid_digest *digest = &list->digests[i];
    unsigned size = 0;
    if (!evp_context || !list->evp.begin(evp_context, list->algorithm, NULL)) {
      digest->error = ENOMEM;
      continue;
    }
    if (list->files)
      digest->error = add_file(list, evp_context, list->texts[i].data);
    else
      add_text(list, evp_context, &list->texts[i]);
    list->evp.end(evp_context, digest->bytes, &size);
    digest->size = (uint8_t)size;
  }
  if (evp_context) list->evp.close(evp_context);
}

void braid_digest_run(struct braid_team *team, void *arguments) {
  enum { GRAIN = 16 };
  struct braid_digest_list *list = arguments;
  list->team = team;
  braid_team_for(team, list->count, list->files ? 1 : GRAIN, digest_chunk, list);
}
