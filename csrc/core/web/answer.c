/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/web/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/web/syntax.h"

const char *braid_status_words(unsigned status) {
  static const char *const words[] = {
      [100] = "Continue",
      [101] = "Switching Protocols",
      [103] = "Early Hints",
      [200] = "OK",
      [201] = "Created",
      [202] = "Accepted",
      [203] = "Non-Authoritative Information",
      [204] = "No Content",
      [205] = "Reset Content",
      [206] = "Partial Content",
      [300] = "Multiple Choices",
      [301] = "Moved Permanently",
      [302] = "Found",
      [303] = "See Other",
      [304] = "Not Modified",
      [307] = "Temporary Redirect",
      [308] = "Permanent Redirect",
      [400] = "Bad Request",
      [401] = "Unauthorized",
      [402] = "Payment Required",
      [403] = "Forbidden",
      [404] = "Not Found",
      [405] = "Method Not Allowed",
      [406] = "Not Acceptable",
      [408] = "Request Timeout",
      [409] = "Conflict",
      [410] = "Gone",
      [411] = "Length Required",
      [412] = "Precondition Failed",
      [413] = "Content Too Large",
      [414] = "URI Too Long",
      [415] = "Unsupported Media Type",
      [416] = "Range Not Satisfiable",
      [417] = "Expectation Failed",
      [418] = "I'm a teapot",
      [421] = "Misdirected Request",
      [422] = "Unprocessable Content",
      [423] = "Locked",
      [425] = "Too Early",
      [426] = "Upgrade Required",
      [428] = "Precondition Required",
      [429] = "Too Many Requests",
      [431] = "Request Header Fields Too Large",
      [451] = "Unavailable For Legal Reasons",
      [500] = "Internal Server Error",
      [501] = "Not Implemented",
      [502] = "Bad Gateway",
      [503] = "Service Unavailable",
      [504] = "Gateway Timeout",
      [505] = "HTTP Version Not Supported",
      [507] = "Insufficient Storage",
      [511] = "Network Authentication Required",
  };
  const char *found = status < sizeof words / sizeof *words ? words[status] : NULL;
  return found ? found : "";
}

bool braid_answer_add(struct braid_buffer *fields, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
  if (name_size == 0 || !braid_text_is(name, name_size, BRAID_CHAR_TOKEN) ||
      !braid_text_is(value, value_size, BRAID_CHAR_VALUE))
    return false;
  char *at = braid_buffer_reserve(fields, name_size + value_size + 4);
  if (!at) return false;
  memcpy(at, name, name_size);
  memcpy(at + name_size, ": ", 2);
  memcpy(at + name_size + 2, value, value_size);
  memcpy(at + name_size + 2 + value_size, "\r\n", 2);
  fields->size += name_size + value_size + 4;
  return true;
}

/* Not by strftime, which follows the locale. */
void braid_date_update(struct braid_date *date) {
  static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  time_t now = time(NULL);
  struct tm t;
  if (now == date->second || !gmtime_r(&now, &t)) return;
  date->second = now;
  snprintf(date->line, sizeof date->line, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[t.tm_wday % 7],
           t.tm_mday % 100, months[t.tm_mon % 12], (t.tm_year + 1900) % 10000, t.tm_hour % 100, t.tm_min % 100,
           t.tm_sec % 100);
}
