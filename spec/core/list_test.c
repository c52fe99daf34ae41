/* SPDX-License-Identifier: MIT
 * Links that know no list. */
#include "core/base/list.h"

#include "check.h"

struct member {
  struct braid_list link;
  int number;
};

static int number_of(struct braid_list *link) { return link ? braid_container(link, struct member, link)->number : -1; }

static void fill(struct braid_list *list, struct member *members, int count) {
  braid_list_init(list);
  for (int i = 0; i < count; i++) {
    members[i].number = i;
    braid_list_push(list, &members[i].link);
  }
}

static void is_empty_at_first(void) {
  struct braid_list list;
  braid_list_init(&list);
  check(braid_list_empty(&list));
  check(braid_list_pop(&list) == NULL);
}

static void pops_in_order(void) {
  struct braid_list list;
  struct member members[3];
  fill(&list, members, 3);
  for (int i = 0; i < 3; i++) check(number_of(braid_list_pop(&list)) == i);
  check(braid_list_empty(&list));
}

static void removes_from_anywhere(void) {
  struct braid_list list;
  struct member members[4];
  fill(&list, members, 4);
  braid_list_remove(&members[0].link);
  braid_list_remove(&members[2].link);
  braid_list_remove(&members[3].link);
  check(braid_list_empty(&members[2].link));
  braid_list_remove(&members[2].link); /* of no list: harmless */
  check(number_of(braid_list_pop(&list)) == 1);
  check(braid_list_empty(&list));
}

static void moves_all(void) {
  struct braid_list from, to, none;
  struct member first[2], second[2];
  fill(&to, first, 2);
  fill(&from, second, 2);
  braid_list_init(&none);
  braid_list_move(&none, &to);
  braid_list_move(&from, &to);
  check(braid_list_empty(&from));
  check(number_of(braid_list_pop(&to)) == 0);
  check(number_of(braid_list_pop(&to)) == 1);
  check(number_of(braid_list_pop(&to)) == 0);
  check(number_of(braid_list_pop(&to)) == 1);
  check(braid_list_empty(&to));
}

CHECK_MAIN({"list: is empty at first", is_empty_at_first}, {"list: pops in order", pops_in_order},
           {"list: removes from anywhere", removes_from_anywhere}, {"list: moves all", moves_all})
