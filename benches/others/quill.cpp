// quill with its defaults: a queue that grows, a thread that writes, its handler of signals.
#include "load.hpp"

#include "quill/Backend.h"
#include "quill/Frontend.h"
#include "quill/LogMacros.h"
#include "quill/Logger.h"
#include "quill/sinks/FileSink.h"

int main(int count, char **arguments) {
    const Load load(count, arguments);
    quill::Backend::start<quill::FrontendOptions>(quill::BackendOptions{}, quill::SignalHandlerOptions{});
    quill::FileSinkConfig config;
    config.set_open_mode('a');
    auto sink = quill::Frontend::create_or_get_sink<quill::FileSink>(load.directory + "/quill.log", config);
    quill::Logger *logger =
        quill::Frontend::create_or_get_logger("cdr", std::move(sink), quill::PatternFormatterOptions{"%(message)"});
    load.send_and_die([&](const std::string &text) { LOG_INFO(logger, "{}", text); });
    quill::Backend::stop();
}
