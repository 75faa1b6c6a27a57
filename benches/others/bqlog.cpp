// BqLog, asynchronous, with its recovery and its handler of signals.
#include "load.hpp"

#include "bq_log/bq_log.h"

int main(int count, char **arguments) {
    const Load load(count, arguments);
    bq::log::enable_auto_crash_handle();
    const std::string config = "appenders_config.file.type=text_file\n"
                               "appenders_config.file.levels=[all]\n"
                               "appenders_config.file.base_dir_type=0\n"
                               "appenders_config.file.file_name=" +
                               load.directory +
                               "/bqlog\n"
                               "log.thread_mode=async\n"
                               "log.recovery=true\n";
    bq::log logger = bq::log::create_log("cdr", config.c_str());
    load.send_and_die([&](const std::string &text) { logger.info("{}", text.c_str()); });
    bq::log::force_flush_all_logs();
}
