/* SPDX-License-Identifier: MIT
 * If the text has no quotes, every line end ends a record, so it can be cut anywhere; else one pass finds the line ends
 * outside of quotes. */
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

/* Cuts the text at line ends. `quotes`: only at those outside of quotes. */
static void cut(struct braid_csv *csv, bool quotes) {
  const char *end = csv->text + csv->size, *at = csv->text;
  csv->pieces = 0;
  while (at < end) {
    csv->starts[csv->pieces++] = (size_t)(at - csv->text);
    const char *most = end - at > PIECE ? at + PIECE : end;
    if (quotes) {
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
  for (size_t piece = first; piece < last; piece++) {
    const char *at = csv->text + csv->starts[piece], *end = csv->text + csv->starts[piece + 1];
    size_t records = 0;
    while (at < end) {
      const char *stop = record_end(at, end);
      records += !is_empty(at, stop);
      at = stop < end ? stop + 1 : end;
    }
    csv->firsts[piece] = records;
  }
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
  cut(csv, csv->size && memchr(csv->text, '"', csv->size));
  if (!braid_team_for(team, csv->pieces, 1, count_piece, csv)) {
    csv->status = BRAID_CANCELLED;
    return;
  }
  for (size_t piece = 0; piece < csv->pieces; piece++) {
    size_t mine = csv->firsts[piece];
    csv->firsts[piece] = csv->records;
    csv->records += mine;
  }
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
  size_t record, fields;
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

/* Reads a field as a number. The byte after it is no part of a number: a separator, a line end, a quote, or zero. */
static enum braid_csv_kind read_number(const char *from, const char *to, double *number, int64_t *integer) {
  while (from < to && *from == ' ') from++;
  while (to > from && to[-1] == ' ') to--;
  if (from < to && *from == '+') from++;
  if (from < to && (*from == '-' || (*from >= '0' && *from <= '9'))) {
    struct braid_decimal decimal = braid_decimal_read(from);
    if (decimal.kind != BRAID_DECIMAL_FAULT && decimal.end == to) {
      bool whole = decimal.kind == BRAID_DECIMAL_INTEGER;
      *integer = whole ? decimal.integer : 0;
      *number = whole ? (double)decimal.integer : decimal.number;
      return whole ? BRAID_CSV_INTEGER : BRAID_CSV_FLOAT;
    }
  }
  return read_strange(from, to, number) ? BRAID_CSV_FLOAT : BRAID_CSV_TEXT;
}

/* Returns the number of fields. */
static size_t read_record(const struct braid_csv *csv, struct piece *piece, const char *at, const char *end,
                          size_t record) {
  for (size_t field = 0;; field++) {
    const char *from, *to;
    bool quoted;
    at = braid_csv_field(at, end, csv->separator, &from, &to, &quoted);
    const struct braid_csv_column *column = field < csv->columns ? &csv->column[field] : NULL;
    if (column && column->numbers && piece->kinds[field] != BRAID_CSV_TEXT) {
      double number = 0;
      int64_t integer = 0;
      enum braid_csv_kind kind = read_number(from, to, &number, &integer);
      column->numbers[record] = number;
      column->integers[record] = integer;
      if (kind > piece->kinds[field]) piece->kinds[field] = kind;
    }
    if (at == end) return field + 1;
    at++;
  }
}

static void read_piece(void *context, size_t first, size_t last) {
  struct reading *reading = context;
  struct braid_csv *csv = reading->csv;
  for (size_t number = first; number < last; number++) {
    struct piece *piece = &reading->pieces[number];
    const char *at = csv->text + csv->starts[number], *end = csv->text + csv->starts[number + 1];
    size_t record = csv->firsts[number];
    while (at < end && !piece->uneven) {
      const char *stop = record_end(at, end);
      if (!is_empty(at, stop)) {
        size_t fields = read_record(csv, piece, at, stop, record);
        piece->uneven = fields != csv->columns;
        piece->record = record++;
        piece->fields = fields;
      }
      at = stop < end ? stop + 1 : end;
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
