/* A plugin of QEMU that counts the instructions of a program: `benches/instructions.rs` compiles it.
 *
 * QEMU's header is in no package of most distributions, so what is used of it is declared here. */

#include <stdint.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct plugin_info;
struct plugin_block;

typedef void (*translated)(plugin_id, struct plugin_block *);
typedef void (*executed)(unsigned int processor, void *data);
typedef void (*ended)(plugin_id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct plugin_block *, executed, int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id, ended, void *data);
size_t qemu_plugin_tb_n_insns(const struct plugin_block *);
void qemu_plugin_outs(const char *);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = PLUGIN_VERSION;

/* The program that is counted has one thread. */
static uint64_t count;

static void on_executed(unsigned int processor, void *instructions)
{
    (void)processor;
    count += (uintptr_t)instructions;
}

static void on_translated(plugin_id id, struct plugin_block *block)
{
    (void)id;
    void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_executed, 0, instructions);
}

static void on_end(plugin_id id, void *data)
{
    char text[64];
    (void)id;
    (void)data;
    snprintf(text, sizeof text, "counted: %llu\n", (unsigned long long)count);
    qemu_plugin_outs(text);
}

EXPORTED int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_end, 0);
    return 0;
}
