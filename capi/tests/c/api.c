// Every function of the interface: `api TEST DIRECTORY` runs one test in an empty directory, `api` lists them.

#include "check.h"

extern const struct test core_tests[], option_tests[], sending_tests[], telling_tests[],
    process_tests[], disk_tests[], reading_tests[];

static const struct test *const all[] = {core_tests,    option_tests, sending_tests, telling_tests,
                                         process_tests, disk_tests,   reading_tests};

int main(int count, char **arguments) {
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (const struct test *test = all[i]; test->name != NULL; test++) {
            if (count == 1) puts(test->name);
            if (count == 3 && strcmp(arguments[1], test->name) == 0) {
                test->run(arguments[2]);
                return 0;
            }
        }
    }
    if (count == 1) return 0;
    fprintf(stderr, "usage: api TEST DIRECTORY\n");
    return 2;
}
