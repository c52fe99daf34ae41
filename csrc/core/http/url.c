/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/http/url.h"

#include <stdlib.h>
#include <string.h>

#include "core/http/curl.h"

static const char *take(CURLU *handle, CURLUPart part, char **target) {
  bool coded = part == CURLUPART_USER || part == CURLUPART_PASSWORD;
  unsigned flags = part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : coded ? CURLU_URLDECODE : 0;
  CURLUcode code = curl_url_get(handle, part, target, flags);
  bool optional = code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD || code == CURLUE_NO_PORT;
  return code == CURLUE_OK || optional ? NULL : "it cannot be read";
}

static bool is_ascii(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text >= 0x80) return false;
  return true;
}

/* A host with other letters has a form in ASCII, which is what servers and proxies know. */
static const char *put_host_in_ascii(CURLU *handle) {
  char *host = NULL;
  const char *problem = take(handle, CURLUPART_HOST, &host);
  if (!problem && !is_ascii(host)) {
    enum { NFC_INPUT = 1, NONTRANSITIONAL = 8 };
    unsigned char *ascii = NULL;
    if (!braid_curl.ascii_of_host ||
        braid_curl.ascii_of_host((const unsigned char *)host, &ascii, NFC_INPUT | NONTRANSITIONAL) != 0)
      problem = "its host cannot be written in ASCII";
    else if (curl_url_set(handle, CURLUPART_HOST, (const char *)ascii, 0) != CURLUE_OK)
      problem = "its host is no name";
    free(ascii);
  }
  curl_free(host);
  return problem;
}

static const char *fill(struct braid_url *url, CURLU *handle) {
  const char *problem = put_host_in_ascii(handle);
  if (!problem) problem = take(handle, CURLUPART_SCHEME, &url->scheme);
  if (!problem) problem = take(handle, CURLUPART_HOST, &url->host);
  if (!problem) problem = take(handle, CURLUPART_PORT, &url->port);
  if (!problem) problem = take(handle, CURLUPART_USER, &url->user);
  if (!problem) problem = take(handle, CURLUPART_PASSWORD, &url->password);
  curl_url_set(handle, CURLUPART_USER, NULL, 0);
  curl_url_set(handle, CURLUPART_PASSWORD, NULL, 0);
  return problem ? problem : take(handle, CURLUPART_URL, &url->text);
}

/* Whether it has a host that all readers of URLs see: others read "http:///host" and "http://host\\@other" otherwise.
 */
static bool is_clear(const char *text) {
  const char *place = text + strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
  place = *place == ':' ? place + 1 : text;
  if (strncmp(place, "//", 2) != 0) return true; /* it has no host of its own */
  place += 2;
  size_t size = strcspn(place, "/?#");
  return size > 0 && !memchr(place, '\\', size);
}

struct braid_url braid_url_read(const char *base, const char *text) {
  struct braid_url url = {0};
  CURLU *handle = curl_url();
  unsigned flags = CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME | (base ? CURLU_ALLOW_SPACE : 0);
  if (!handle) url.problem = "there is no memory for it";
  if (!url.problem && !is_clear(text)) url.problem = "its host is missing or has a backslash";
  if (!url.problem && base && curl_url_set(handle, CURLUPART_URL, base, 0) != CURLUE_OK)
    url.problem = "its base is none";
  if (!url.problem && curl_url_set(handle, CURLUPART_URL, text, flags) != CURLUE_OK) url.problem = "it is malformed";
  if (!url.problem) {
    const char *problem = fill(&url, handle);
    if (problem) braid_url_term(&url);
    url.problem = problem;
  }
  curl_url_cleanup(handle);
  return url;
}

void braid_url_term(struct braid_url *url) {
  curl_free(url->text);
  curl_free(url->scheme);
  curl_free(url->host);
  curl_free(url->port);
  curl_free(url->user);
  curl_free(url->password);
  *url = (struct braid_url){0};
}
