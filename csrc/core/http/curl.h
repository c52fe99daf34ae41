/* SPDX-License-Identifier: MIT
 * Loads libcurl when it is first needed. libcurl brings about thirty other libraries. Loading them takes several times
 * as long as everything else that a program or a worker process does before its first line. Code calls libcurl's
 * functions by their usual names; macros map these to a table. */
#ifndef BRAID_CURL_H
#define BRAID_CURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <pthread.h>

#define BRAID_CURL_FUNCTIONS(use)                                                                                      \
  use(global_init) use(easy_init) use(easy_cleanup) use(easy_reset) use(easy_setopt) use(easy_getinfo) use(easy_pause) \
      use(easy_strerror) use(multi_init) use(multi_cleanup) use(multi_setopt) use(multi_add_handle)                    \
          use(multi_remove_handle) use(multi_assign) use(multi_info_read) use(multi_socket_action) use(share_init)     \
              use(share_cleanup) use(share_setopt) use(slist_append) use(slist_free_all) use(url) use(url_cleanup)     \
                  use(url_set) use(url_get) use(free)

#define BRAID_CURL_FIELD(name) __typeof__(curl_##name) *name;
struct braid_curl {
  BRAID_CURL_FUNCTIONS(BRAID_CURL_FIELD)
  pthread_once_t once;
  /* libidn2's function; NULL: libcurl does not bring it */
  int (*ascii_of_host)(const unsigned char *host, unsigned char **ascii, int flags);
  const char *problem; /* why it could not be loaded; NULL: no error */
};
#undef BRAID_CURL_FIELD

extern struct braid_curl braid_curl;

/* Loads libcurl when it is called first. NULL, or why it cannot be loaded. Must be called before any function of
 * libcurl. Any thread; the first call blocks while it loads. */
const char *braid_curl_load(void);

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#undef curl_share_setopt
#define curl_global_init braid_curl.global_init
#define curl_easy_init braid_curl.easy_init
#define curl_easy_cleanup braid_curl.easy_cleanup
#define curl_easy_reset braid_curl.easy_reset
#define curl_easy_setopt braid_curl.easy_setopt
#define curl_easy_getinfo braid_curl.easy_getinfo
#define curl_easy_pause braid_curl.easy_pause
#define curl_easy_strerror braid_curl.easy_strerror
#define curl_multi_init braid_curl.multi_init
#define curl_multi_cleanup braid_curl.multi_cleanup
#define curl_multi_setopt braid_curl.multi_setopt
#define curl_multi_add_handle braid_curl.multi_add_handle
#define curl_multi_remove_handle braid_curl.multi_remove_handle
#define curl_multi_assign braid_curl.multi_assign
#define curl_multi_info_read braid_curl.multi_info_read
#define curl_multi_socket_action braid_curl.multi_socket_action
#define curl_share_init braid_curl.share_init
#define curl_share_cleanup braid_curl.share_cleanup
#define curl_share_setopt braid_curl.share_setopt
#define curl_slist_append braid_curl.slist_append
#define curl_slist_free_all braid_curl.slist_free_all
#define curl_url braid_curl.url
#define curl_url_cleanup braid_curl.url_cleanup
#define curl_url_set braid_curl.url_set
#define curl_url_get braid_curl.url_get
#define curl_free braid_curl.free

#endif
