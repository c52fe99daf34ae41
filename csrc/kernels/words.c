/* SPDX-License-Identifier: MIT
 * A word is a run of bytes other than ASCII white space, as wc counts. Each seat counts into its own table; the tables
 * are added at the end. Hashes are FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo, 1991) with a final mix. */
#include "kernels/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct braid_block {
  struct braid_block *next;
  size_t used, room;
  char text[];
};

enum { BLOCK = 64 * 1024, FIRST_ROOM = 1024, BUFFER = 256 * 1024 };

static inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* ---- the table ------------------------------------------------------------------------------------------------ */

void braid_words_free(struct braid_words *words) {
  struct braid_block *next;
  for (struct braid_block *block = words->blocks; block; block = next) {
    next = block->next;
    free(block);
  }
  free(words->places);
  *words = (struct braid_words){0};
}

/* Copies the text into the table's memory. NULL when memory is out. */
static char *keep(struct braid_words *words, const char *text, size_t size) {
  struct braid_block *block = words->blocks;
  if (!block || block->room - block->used < size) {
    size_t room = size > BLOCK / 4 ? size : BLOCK;
    block = malloc(sizeof *block + room);
    if (!block) return NULL;
    *block = (struct braid_block){.next = words->blocks, .room = room};
    words->blocks = block;
  }
  char *copy = block->text + block->used;
  memcpy(copy, text, size);
  block->used += size;
  return copy;
}

static struct braid_word *find(struct braid_word *places, size_t room, uint64_t hash, const char *text, size_t size) {
  for (size_t at = hash & (room - 1);; at = (at + 1) & (room - 1)) {
    struct braid_word *place = &places[at];
    if (place->count == 0) return place;
    if (place->hash == hash && place->size == size && memcmp(place->text, text, size) == 0) return place;
  }
}

static bool grow(struct braid_words *words) {
  size_t room = words->room ? 2 * words->room : FIRST_ROOM;
  struct braid_word *places = calloc(room, sizeof *places);
  if (!places) return false;
  for (size_t i = 0; i < words->room; i++) {
    const struct braid_word *word = &words->places[i];
    if (word->count) *find(places, room, word->hash, word->text, word->size) = *word;
  }
  free(words->places);
  words->places = places;
  words->room = room;
  return true;
}

/* Adds to the word's count. False when memory is out. */
static bool add(struct braid_words *words, uint64_t hash, const char *text, size_t size, uint64_t count) {
  if (2 * words->used >= words->room && !grow(words)) return false;
  struct braid_word *place = find(words->places, words->room, hash, text, size);
  if (place->count == 0) {
    char *copy = keep(words, text, size);
    if (!copy) return false;
    *place = (struct braid_word){.hash = hash, .text = copy, .size = size};
    words->used++;
  }
  place->count += count;
  words->total += count;
  return true;
}

static bool add_table(struct braid_words *words, const struct braid_words *more) {
  for (size_t i = 0; i < more->room; i++) {
    const struct braid_word *word = &more->places[i];
    if (word->count && !add(words, word->hash, word->text, word->size, word->count)) return false;
  }
  words->lines += more->lines;
  words->bytes += more->bytes;
  return true;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

/* Counts the words of a text. Counts a word at the very end only if `at_end`. Returns the bytes that it has used; -1
 * when memory is out. */
static ptrdiff_t count_text(struct braid_words *words, const char *text, size_t size, bool at_end) {
  size_t at = 0;
  while (at < size) {
    if (is_space(text[at])) {
      words->lines += text[at++] == '\n';
      continue;
    }
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t end = at;
    for (; end < size && !is_space(text[end]); end++)
      hash = (hash ^ (unsigned char)text[end]) * UINT64_C(0x100000001b3);
    if (end == size && !at_end) break;
    if (!add(words, hash ^ hash >> 32, text + at, end - at, 1)) return -1;
    at = end;
  }
  return (ptrdiff_t)at;
}

/* Like read(), but repeats it after EINTR. */
static ssize_t read_some(int fd, char *data, size_t room) {
  ssize_t size;
  do size = read(fd, data, room);
  while (size < 0 && errno == EINTR);
  return size;
}

/* Counts the words of a file. Returns 0 or an error number. */
static int count_stream(const struct braid_team *team, struct braid_words *words, int fd) {
  size_t room = BUFFER, held = 0;
  char *buffer = malloc(room);
  ssize_t size = 1;
  ptrdiff_t used = 0;
  while (buffer && used >= 0 && size > 0 && !braid_team_stopped(team)) {
    if (held == room) { /* the buffer has only a part of one word */
      char *larger = realloc(buffer, 2 * room);
      if (!larger) break;
      buffer = larger;
      room *= 2;
    }
    size = read_some(fd, buffer + held, room - held);
    if (size < 0) break;
    words->bytes += (uint64_t)size;
    held += (size_t)size;
    used = count_text(words, buffer, held, size == 0);
    if (used > 0) memmove(buffer, buffer + used, held -= (size_t)used);
  }
  bool out_of_memory = !buffer || used < 0 || held == room;
  int error = size < 0 ? errno : out_of_memory ? ENOMEM : 0;
  free(buffer);
  return error;
}

static int count_file(const struct braid_team *team, struct braid_words *words, const char *name) {
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = count_stream(team, words, fd);
  close(fd);
  return error;
}

/* Checks between parts whether to stop. Returns 0 or an error number. */
static int count_string(const struct braid_team *team, struct braid_words *words, const struct braid_text *text) {
  size_t part = 1 << 20;
  words->bytes += text->size;
  for (size_t at = 0, left; (left = text->size - at) > 0 && !braid_team_stopped(team);) {
    ptrdiff_t used = count_text(words, text->data + at, part < left ? part : left, part >= left);
    if (used < 0) return ENOMEM;
    if (used == 0) part *= 2; /* the part has only a part of one word */
    at += (size_t)used;
  }
  return 0;
}

static void count_chunk(void *context, size_t first, size_t last) {
  struct braid_words_list *list = context;
  struct braid_words *words = &list->tables[braid_team_seat()];
  for (size_t i = first; i < last; i++) {
    const struct braid_text *text = &list->texts[i];
    int error = list->files ? count_file(list->team, words, text->data) : count_string(list->team, words, text);
    list->errors[i] = error;
    if (error == ENOMEM) list->out_of_memory = true;
  }
}

void braid_words_run(struct braid_team *team, void *arguments) {
  struct braid_words_list *list = arguments;
  list->team = team;
  if (!braid_team_for(team, list->count, 1, count_chunk, list)) return;
  for (unsigned seat = 1; seat < braid_team_size(team); seat++)
    if (!add_table(&list->tables[0], &list->tables[seat])) list->out_of_memory = true;
}
