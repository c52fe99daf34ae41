/* SPDX-License-Identifier: MIT
 * Maps the fields of a request to libcurl's options. */
#include "core/http/request.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Keeps the first error. */
struct setter {
  CURL *easy;
  CURLcode code;
};

static void set_number(struct setter *setter, CURLoption option, long value) {
  if (setter->code == CURLE_OK) setter->code = curl_easy_setopt(setter->easy, option, value);
}
static void set_size(struct setter *setter, CURLoption option, curl_off_t value) {
  if (setter->code == CURLE_OK) setter->code = curl_easy_setopt(setter->easy, option, value);
}
static void set_pointer(struct setter *setter, CURLoption option, const void *value) {
  if (setter->code == CURLE_OK) setter->code = curl_easy_setopt(setter->easy, option, value);
}

static bool is(const struct braid_request *request, const char *method) { return strcmp(request->method, method) == 0; }

bool braid_method_repeatable(const char *method) {
  static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (strcmp(method, methods[i]) == 0) return true;
  return false;
}

/* The method has a name of its own. */
static bool is_custom(const struct braid_request *request) {
  if (request->upload) return !is(request, "PUT");
  return request->body ? !is(request, "POST") : !is(request, "GET") && !is(request, "HEAD");
}

/* libcurl has options for GET, POST, PUT and HEAD. Other methods replace the name of one of these. */
static void set_method(struct setter *setter, const struct braid_request *request) {
  bool head = !request->body && !request->upload && is(request, "HEAD");
  set_number(setter, CURLOPT_UPLOAD, request->upload);
  if (request->upload) {
    set_size(setter, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_size);
  } else if (request->body) {
    set_number(setter, CURLOPT_POST, 1);
    set_pointer(setter, CURLOPT_POSTFIELDS, request->body);
    set_size(setter, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
  } else {
    set_number(setter, head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1);
  }
  set_pointer(setter, CURLOPT_CUSTOMREQUEST, is_custom(request) ? request->method : NULL);
  set_size(setter, CURLOPT_MAXFILESIZE_LARGE, head ? 0 : (curl_off_t)request->max_body);
}

/* Whether requests may share one connection as HTTP/2 streams. Then they wait until the first one knows whether the
 * server can do that. */
static bool streams(const struct braid_request *request) {
  bool secure = strncasecmp(request->url, "https:", 6) == 0;
  long version = request->http_version;
  return version == CURL_HTTP_VERSION_2_0 || (secure && version == CURL_HTTP_VERSION_NONE);
}

bool braid_request_lonely(const struct braid_request *request) {
  return request->http_version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && LIBCURL_VERSION_NUM < 0x080100;
}

bool braid_request_plain(const struct braid_request *request) {
  return !streams(request) && strncasecmp(request->url, "http:", 5) == 0;
}

void braid_request_number(struct braid_request *request) {
  static atomic_ulong last;
  request->serial = atomic_fetch_add(&last, 1) + 1;
}

static void set_options(struct setter *setter, const struct braid_request *request) {
  set_method(setter, request);
  set_pointer(setter, CURLOPT_HTTPHEADER, request->headers);
  set_pointer(setter, CURLOPT_CONNECT_TO, request->ways);
  set_number(setter, CURLOPT_FORBID_REUSE, braid_request_lonely(request));
  set_number(setter, CURLOPT_NOPROGRESS, request->patience.read <= 0 && request->patience.write <= 0);
  set_pointer(setter, CURLOPT_USERNAME, request->user);
  set_pointer(setter, CURLOPT_PASSWORD, request->password);
  set_pointer(setter, CURLOPT_PROXY, request->proxy);
  set_number(setter, CURLOPT_HTTP_VERSION, request->http_version);
  set_pointer(setter, CURLOPT_NOPROXY, request->no_proxy);
  set_pointer(setter, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
  set_pointer(setter, CURLOPT_COOKIE, request->cookies);
  set_number(setter, CURLOPT_HTTPAUTH, request->auth);
  set_number(setter, CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout);
  set_pointer(setter, CURLOPT_SSLCERT, request->cert);
  set_pointer(setter, CURLOPT_SSLKEY, request->key);
  set_pointer(setter, CURLOPT_PINNEDPUBLICKEY, request->pin);
  set_number(setter, CURLOPT_SSLVERSION, request->tls_version);
  set_pointer(setter, CURLOPT_INTERFACE, request->interface);
  set_number(setter, CURLOPT_NETRC, request->netrc ? CURL_NETRC_OPTIONAL : CURL_NETRC_IGNORED);
  set_pointer(setter, CURLOPT_NETRC_FILE, request->netrc && *request->netrc ? request->netrc : NULL);
  set_number(setter, CURLOPT_SSL_VERIFYPEER, request->verify ? 1 : 0);
  set_number(setter, CURLOPT_SSL_VERIFYHOST, request->verify ? 2 : 0);
}

CURLcode braid_request_apply(const struct braid_request *request, CURL *easy, bool changed) {
  struct setter setter = {easy, CURLE_OK};
  if (changed) set_options(&setter, request);
  set_number(&setter, CURLOPT_PIPEWAIT, streams(request));
  /* Here it means the HTTP version; an unsupported scheme in the URL is reported when the transfer runs. */
  return setter.code == CURLE_UNSUPPORTED_PROTOCOL ? CURLE_NOT_BUILT_IN : setter.code;
}

bool braid_request_split(const char *text, struct curl_slist **list) {
  while (text && *text) {
    size_t size = strcspn(text, "\n");
    char *line = strndup(text, size);
    struct curl_slist *longer = line ? curl_slist_append(*list, line) : NULL;
    free(line);
    if (!longer) return false;
    *list = longer;
    text += size + (text[size] == '\n');
  }
  return true;
}

size_t braid_request_lookup(const struct braid_request *request) {
  if (request->unix_socket || request->ways || !request->proxy || *request->proxy) return 0;
  const char *host = strstr(request->url, "://");
  if (!host) return 0;
  host += 3;
  const char *end = host + strcspn(host, "/?#");
  for (const char *at = host; at < end; at++)
    if (*at == '@') host = at + 1;
  if (*host == '[' || host + strspn(host, "0123456789.:") >= end) return 0;
  if (strncasecmp(host, "localhost", 9) == 0 && (host + 9 == end || host[9] == ':')) return 0;
  return (size_t)(end - request->url);
}
