#include "common/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <vector>

#include "common/log_output.hpp"

namespace notp::log {
namespace {

namespace json = boost::json;

Format g_format = Format::kText;

std::string loss_line(uint64_t lines);

LogOutput& output() {
  static LogOutput instance(STDERR_FILENO, loss_line);
  return instance;
}

// Its mutex is the output's own.
class OutputSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    output().write({line.data(), line.size()});
  }
  void flush_() override {}
};

spdlog::logger& logger() {
  static const auto instance = [] {
    output();  // first, so that it is destroyed last
    auto made = std::make_shared<spdlog::logger>("notp", std::make_shared<OutputSink>());
    made->set_level(spdlog::level::info);
    made->set_pattern("%v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view level_name(Level level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};
  return kNames[static_cast<int>(level)];
}

// A pipe or file in the place of the journal, as after a shell's redirection, is another inode.
bool stderr_is_journal() {
  static const bool is_journal = [] {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status{};
    return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
           fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
  }();
  return is_journal;
}

// Of syslog(3).
std::string_view priority(Level level) {
  constexpr std::string_view kPriorities[] = {"<7>", "<6>", "<4>", "<3>"};
  return kPriorities[static_cast<int>(level)];
}

std::string timestamp() {
  const auto now = spdlog::log_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::time_t seconds = spdlog::log_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", text, ms);
}

json::value to_json(const Value& value) {
  return std::visit([](const auto& v) { return json::value(v); }, value);
}

std::string line(Level level, std::string_view event, const std::vector<Field>& fields) {
  std::string out;
  if (g_format == Format::kJson) {
    json::object object{{"time", timestamp()}, {"level", level_name(level)}, {"event", event}};
    for (const Field& field : fields) object[field.name] = to_json(field.value);
    out = json::serialize(object);
  } else {
    out = fmt::format("{} {:5} {}", timestamp(), level_name(level), event);
    for (const Field& field : fields)
      out += fmt::format(" {}={}", field.name, json::serialize(to_json(field.value)));
  }
  if (stderr_is_journal()) out.insert(0, priority(level));
  return out;
}

std::string loss_line(uint64_t lines) {
  return log::line(
             Level::kWarn, "log_lines_dropped",
             {{"lines", lines},
              {"message", "standard error was not read fast enough; lines are missing here"}}) +
         '\n';
}

void write_fields(Level level, std::string_view event, const std::vector<Field>& fields) {
  if (logger().should_log(to_spdlog(level)))
    logger().log(to_spdlog(level), "{}", line(level, event, fields));
}

}  // namespace

uint64_t dropped_lines() { return output().dropped(); }

void configure(Level level, Format format) {
  g_format = format;
  logger().set_level(to_spdlog(level));
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  write_fields(level, event, fields);
}

void write(Level level, std::string_view event, const Error& error,
           std::initializer_list<Field> fields) {
  std::vector<Field> all(fields);
  all.emplace_back("code", error_traits(error.code).name);
  all.emplace_back("message", error.message);
  for (const auto& [name, value] : error.context) all.emplace_back(name, value);
  write_fields(level, event, all);
}

std::string for_stderr(Level level, std::string_view text) {
  if (!stderr_is_journal()) return std::string(text);
  std::string out(priority(level));
  for (size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '\n' && i + 1 < text.size()) out += priority(level);
  }
  return out;
}

Result<Level> parse_level(std::string_view text) {
  for (Level level : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError})
    if (text == level_name(level)) return level;
  return fail(ErrorCode::kConfig,
              fmt::format("log level '{}': use debug, info, warn or error", text));
}

Result<Format> parse_format(std::string_view text) {
  if (text == "json") return Format::kJson;
  if (text == "text") return Format::kText;
  return fail(ErrorCode::kConfig, fmt::format("log format '{}': use json or text", text));
}

}  // namespace notp::log
