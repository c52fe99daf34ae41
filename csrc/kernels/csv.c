/* SPDX-License-Identifier: MIT
 * If the text has no quotes, every line end ends a record, so it can be cut anywhere, and a field ends at the next
 * separator; else one pass finds the line ends outside of quotes. Usual numbers are read where they stand, all others
 * by core/base/decimal.h. */
#include "kernels/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/decimal.h"

enum { PIECE = 1 << 20 };

static const char *line_end(const char *at, const char *end) {
  const char *found = memchr(at, '\n', (size_t)(end - at));
  return found ? found : end;
}

/* Where the record that begins at `at` ends: its line end, or `end`. */
static const char *record_end(const char *at, const char *end) {
  for (bool inside = false;; inside = !inside) {
    const char *line = inside ? end : line_end(at, end);
    const char *quote = memchr(at, '"', (size_t)(line - at));
    if (!quote) return line;
    at = quote + 1;
  }
}

const char *braid_csv_field(const char *at, const char *end, char separator, const char **from, const char **to,
                            bool *quoted) {
  *quoted = at < end && *at == '"';
  if (!*quoted) {
    *from = at;
    while (at < end && *at != separator && *at != '\n') at++;
    *to = at > *from && at[-1] == '\r' && (at == end || *at == '\n') ? at - 1 : at;
    return at;
  }
  *from = ++at;
  for (;; at += 2) {
    const char *quote = at < end ? memchr(at, '"', (size_t)(end - at)) : NULL;
    at = *to = quote ? quote : end;
    if (at == end || at + 1 == end || at[1] != '"') break;
  }
  while (at < end && *at != separator && *at != '\n') at++;
  return at;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

/* Cuts the text at line ends; if there are quotes, only at those outside of them. */
static void cut(struct braid_csv *csv) {
  const char *end = csv->text + csv->size, *at = csv->text;
  csv->pieces = 0;
  while (at < end) {
    csv->starts[csv->pieces++] = (size_t)(at - csv->text);
    const char *most = end - at > PIECE ? at + PIECE : end;
    if (csv->quotes) {
      while (at < most) {
        const char *stop = record_end(at, end);
        at = stop < end ? stop + 1 : end;
      }
    } else {
      const char *stop = line_end(most, end);
      at = stop < end ? stop + 1 : end;
    }
  }
  csv->starts[csv->pieces] = csv->size;
}

static bool is_empty(const char *at, const char *end) { return at == end || (end - at == 1 && *at == '\r'); }

static void count_piece(void *context, size_t first, size_t last) {
  struct braid_csv *csv = context;
  bool quotes = csv->quotes;
  for (size_t piece = first; piece < last; piece++) {
    const char *at = csv->text + csv->starts[piece], *end = csv->text + csv->starts[piece + 1];
    size_t records = 0;
    if (!quotes && memchr(at, '"', (size_t)(end - at))) csv->quotes = true;
    while (at < end) {
      const char *stop = quotes ? record_end(at, end) : line_end(at, end);
      records += !is_empty(at, stop);
      at = stop < end ? stop + 1 : end;
    }
    csv->firsts[piece] = records;
  }
}

/* Cuts the text and counts its records. False: it was stopped. */
static bool count(struct braid_team *team, struct braid_csv *csv) {
  cut(csv);
  return braid_team_for(team, csv->pieces, 1, count_piece, csv);
}

void braid_csv_count(struct braid_team *team, void *arguments) {
  struct braid_csv *csv = arguments;
  size_t most = csv->size / PIECE + 2;
  csv->starts = calloc(most + 1, sizeof *csv->starts);
  csv->firsts = calloc(most + 1, sizeof *csv->firsts);
  if (!csv->starts || !csv->firsts) {
    csv->status = BRAID_NO_MEMORY;
    return;
  }
  bool done = count(team, csv);
  if (done && csv->quotes) done = count(team, csv); /* now with them */
  if (!done) {
    csv->status = BRAID_CANCELLED;
    return;
  }
  for (size_t piece = 0; piece < csv->pieces; piece++) {
    size_t mine = csv->firsts[piece];
    csv->firsts[piece] = csv->records;
    csv->records += mine;
  }
  csv->firsts[csv->pieces] = csv->records;
}

void braid_csv_term(struct braid_csv *csv) {
  free(csv->starts);
  free(csv->firsts);
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* What a piece finds out about the columns; joined after all have ended. */
struct piece {
  enum braid_csv_kind *kinds;
  bool uneven;
  size_t record, fields, at;
};

struct reading {
  struct braid_csv *csv;
  struct piece *pieces;
};

static bool is_word(const char *from, const char *to, const char *word) {
  return (size_t)(to - from) == strlen(word) && memcmp(from, word, (size_t)(to - from)) == 0;
}

/* A missing number, or one that JSON does not know. */
static bool read_strange(const char *from, const char *to, double *number) {
  if (from == to || is_word(from, to, "NaN") || is_word(from, to, "nan") || is_word(from, to, "NA"))
    *number = NAN;
  else if (is_word(from, to, "inf") || is_word(from, to, "Infinity") || is_word(from, to, "+inf"))
    *number = INFINITY;
  else if (is_word(from, to, "-inf") || is_word(from, to, "-Infinity"))
    *number = -INFINITY;
  else
    return false;
  return true;
}

/* A number, or what else a field is. */
struct number {
  double number;
  int64_t integer;
  enum braid_csv_kind kind;
};

enum { LONGEST = 1024 }; /* a longer field is no number */

/* Reads a field as a number, in every form. */
static struct number read_number(const char *from, const char *to) {
  char text[LONGEST + 1];
  struct number found = {.kind = BRAID_CSV_TEXT};
  while (from < to && *from == ' ') from++;
  while (to > from && to[-1] == ' ') to--;
  if (from < to && *from == '+') from++;
  size_t size = (size_t)(to - from);
  if (size > LONGEST) return found;
  memcpy(text, from, size);
  text[size] = 0;
  if (*text == '-' || (*text >= '0' && *text <= '9')) {
    struct braid_decimal decimal = braid_decimal_read(text);
    if (decimal.kind != BRAID_DECIMAL_FAULT && decimal.end == text + size) {
      bool whole = decimal.kind == BRAID_DECIMAL_INTEGER;
      found.integer = whole ? decimal.integer : 0;
      found.number = whole ? (double)decimal.integer : decimal.number;
      found.kind = whole ? BRAID_CSV_INTEGER : BRAID_CSV_FLOAT;
      return found;
    }
  }
  if (read_strange(text, text + size, &found.number)) found.kind = BRAID_CSV_FLOAT;
  return found;
}

/* Eight digits at once: each step joins neighbours, of one digit, two and four. */
static inline bool eight_digits(const char *at, uint64_t *value) {
  uint64_t bytes;
  memcpy(&bytes, at, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  bytes = __builtin_bswap64(bytes);
#endif
  uint64_t above = bytes + UINT64_C(0x4646464646464646), below = bytes - UINT64_C(0x3030303030303030);
  if ((above | below) & UINT64_C(0x8080808080808080)) return false;
  bytes = below * 10 + (below >> 8);
  bytes = (((bytes & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064)) +
           (((bytes >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001))) >>
          32;
  *value = *value * 100000000 + bytes;
  return true;
}

static inline const char *take_digits(const char *at, const char *end, uint64_t *value) {
  while (end - at >= 8 && eight_digits(at, value)) at += 8;
  for (; at < end && *at >= '0' && *at <= '9'; at++) *value = *value * 10 + (uint64_t)(*at - '0');
  return at;
}

/* Reads digits with at most one point, which fit into 64 bits. Returns where they end; NULL: it is another form. */
static inline const char *read_usual(const char *at, const char *end, struct number *found) {
  enum { MOST = 19 };
  bool negative = at < end && *at == '-';
  const char *digits = at + negative, *point = NULL, *stop;
  uint64_t value = 0;
  stop = take_digits(digits, end, &value);
  ptrdiff_t whole = stop - digits, count = whole, part = 0;
  if (stop < end && *stop == '.') {
    point = stop + 1;
    stop = take_digits(point, end, &value);
    part = stop - point;
    count += part;
  }
  bool sound = whole > 0 && count <= MOST && (!point || part > 0) && (whole == 1 || *digits != '0');
  if (!sound || (negative && value == 0)) return NULL;
  if (!point && value > INT64_MAX) return NULL;
  found->kind = point ? BRAID_CSV_FLOAT : BRAID_CSV_INTEGER;
  found->integer = point ? 0 : (int64_t)(negative ? -value : value);
  double number = point ? braid_decimal_scaled(value, -(int)part) : (double)value;
  found->number = negative ? -number : number;
  return stop;
}

static inline void store(const struct braid_csv_column *column, enum braid_csv_kind *kind, size_t record,
                         const struct number *found) {
  column->numbers[record] = found->number;
  if (found->kind > *kind) *kind = found->kind;
  if (*kind == BRAID_CSV_INTEGER) column->integers[record] = found->integer;
}

static inline bool is_wanted(const struct braid_csv_column *column, enum braid_csv_kind kind) {
  return column->numbers && kind != BRAID_CSV_TEXT;
}

/* The end of the field that begins at `at`, where there are no quotes. */
static const char *plain_end(const char *at, const char *end, char separator) {
  while (at < end && *at != separator && *at != '\n') at++;
  return at;
}

static bool ends_field(const char *at, const char *end, char separator) {
  return at == end || *at == separator || *at == '\n';
}

/* Reads a record of a text without quotes. Returns its end; *fields: how many it has. */
static const char *read_plain_record(const struct braid_csv *csv, struct piece *piece, const char *at, const char *end,
                                     size_t record, size_t *fields) {
  char separator = csv->separator;
  for (size_t field = 0;; field++) {
    if (field < csv->columns && is_wanted(&csv->column[field], piece->kinds[field])) {
      struct number found;
      const char *stop = read_usual(at, end, &found);
      if (stop && end - stop > 1 && stop[0] == '\r' && stop[1] == '\n') stop++;
      if (!stop || !ends_field(stop, end, separator)) {
        stop = plain_end(at, end, separator);
        bool returned = stop > at && stop[-1] == '\r' && (stop == end || *stop == '\n');
        found = read_number(at, returned ? stop - 1 : stop);
      }
      store(&csv->column[field], &piece->kinds[field], record, &found);
      at = stop;
    } else {
      at = plain_end(at, end, separator);
    }
    *fields = field + 1;
    if (at == end || *at == '\n') return at;
    at++;
  }
}

/* The same of any text, for a record that ends at `end`. */
static const char *read_record(const struct braid_csv *csv, struct piece *piece, const char *at, const char *end,
                               size_t record, size_t *fields) {
  for (size_t field = 0;; field++) {
    const char *from, *to;
    bool quoted;
    at = braid_csv_field(at, end, csv->separator, &from, &to, &quoted);
    if (field < csv->columns && is_wanted(&csv->column[field], piece->kinds[field])) {
      struct number found = read_number(from, to);
      store(&csv->column[field], &piece->kinds[field], record, &found);
    }
    *fields = field + 1;
    if (at == end) return end;
    at++;
  }
}

static void read_piece(void *context, size_t first, size_t last) {
  struct reading *reading = context;
  struct braid_csv *csv = reading->csv;
  bool quotes = csv->quotes;
  for (size_t number = first; number < last; number++) {
    struct piece *piece = &reading->pieces[number];
    const char *at = csv->text + csv->starts[number], *end = csv->text + csv->starts[number + 1];
    size_t record = csv->firsts[number], most = csv->firsts[number + 1];
    while (at < end && !piece->uneven && record < most) {
      if (*at == '\n' || (*at == '\r' && (end - at == 1 || at[1] == '\n'))) { /* an empty line */
        at += *at == '\r' && end - at > 1 ? 2 : 1;
        continue;
      }
      piece->at = (size_t)(at - csv->text);
      at = quotes ? read_record(csv, piece, at, record_end(at, end), record, &piece->fields)
                  : read_plain_record(csv, piece, at, end, record, &piece->fields);
      piece->uneven = piece->fields != csv->columns;
      piece->record = record++;
      if (at < end) at++;
    }
  }
}

static void join(struct reading *reading) {
  struct braid_csv *csv = reading->csv;
  for (size_t number = 0; number < csv->pieces; number++) {
    struct piece *piece = &reading->pieces[number];
    for (size_t field = 0; field < csv->columns; field++)
      if (piece->kinds[field] > csv->column[field].kind) csv->column[field].kind = piece->kinds[field];
    if (!piece->uneven || csv->uneven) continue;
    csv->uneven = true;
    csv->bad_record = piece->record;
    csv->bad_fields = piece->fields;
    csv->bad_at = piece->at;
  }
}

void braid_csv_read(struct braid_team *team, void *arguments) {
  struct braid_csv *csv = arguments;
  struct reading reading = {csv, calloc(csv->pieces + 1, sizeof *reading.pieces)};
  enum braid_csv_kind *kinds = calloc(csv->pieces * csv->columns + 1, sizeof *kinds);
  if (reading.pieces && kinds) {
    for (size_t i = 0; i < csv->pieces; i++) reading.pieces[i].kinds = kinds + i * csv->columns;
    if (braid_team_for(team, csv->pieces, 1, read_piece, &reading))
      join(&reading);
    else
      csv->status = BRAID_CANCELLED;
  } else {
    csv->status = BRAID_NO_MEMORY;
  }
  free(reading.pieces);
  free(kinds);
}

bool braid_csv_find(const struct braid_csv *csv, size_t column, bool whole, size_t *record, size_t *at,
                    const char **from, const char **to) {
  const char *place = csv->text, *end = csv->text + csv->size;
  for (*record = 0; place < end; (*record)++) {
    const char *stop = record_end(place, end);
    *at = (size_t)(place - csv->text);
    if (is_empty(place, stop)) {
      (*record)--;
    } else {
      bool quoted;
      const char *field = place;
      for (size_t i = 0; i <= column; i++) {
        field = braid_csv_field(field, stop, csv->separator, from, to, &quoted);
        if (i < column && field++ == stop) return false;
      }
      if (read_number(*from, *to).kind > (whole ? BRAID_CSV_INTEGER : BRAID_CSV_FLOAT)) return true;
    }
    place = stop < end ? stop + 1 : end;
  }
  return false;
}
